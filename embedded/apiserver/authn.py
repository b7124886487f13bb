"""Tokens: who a bearer is, TokenRequest, TokenReview.

Upstream: `k8s.io/kubernetes/pkg/serviceaccount` (claims, validation),
`pkg/registry/core/serviceaccount/storage/token.go` (TokenRequest). RS256 as there. Who was let in
is remembered for ten seconds, who was not is asked about anew:
`k8s.io/apiserver/pkg/authentication/token/cache`, as kube-apiserver's flags have it.
"""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from embedded.apiserver import status

if TYPE_CHECKING:
    from embedded.apiserver.api import Api, User

Object = dict[str, Any]
ISSUER = "https://kubernetes.default.svc"
MIN_SECONDS, MAX_SECONDS = 600, 1 << 32
KEY_ID = "embedded"
REMEMBERED_SECONDS = 10.0
Answer = tuple["User | None", list[str], str]


class Tokens:
    """Signs and reads ServiceAccount tokens; `static` maps further bearer tokens to users."""

    def __init__(self, api: Api, key: rsa.RSAPrivateKey, static: dict[str, User]) -> None:
        self._api, self._static = api, static
        self._private = key  # the object: to read PEM takes 30 ms each time
        self._public = key.public_key()
        self._remembered: dict[tuple[str, ...], tuple[float, Answer]] = {}

    @property
    def signing_key(self) -> bytes:
        """PEM of the private key."""
        return self._private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )

    def jwks(self) -> Object:
        """The public key as a JSON Web Key Set."""
        key = jwt.algorithms.RSAAlgorithm.to_jwk(self._public, as_dict=True)
        return {"keys": [{**key, "kid": KEY_ID, "alg": "RS256", "use": "sig"}]}

    def authenticate(self, bearer: str, audiences: list[str]) -> Answer:
        """(user or None, audiences that both sides accept, why not)."""
        if bearer in self._static:
            return self._static[bearer], audiences, ""
        asked, now = (bearer, *audiences), time.monotonic()
        ends, known = self._remembered.get(asked, (0.0, (None, [], "")))
        if ends > now:
            return known
        found = self._verified(bearer, audiences)
        if found[0]:
            fresh = {key: entry for key, entry in self._remembered.items() if entry[0] > now}
            self._remembered = fresh | {asked: (now + REMEMBERED_SECONDS, found)}
        return found

    def _verified(self, bearer: str, audiences: list[str]) -> Answer:
        try:
            claims = jwt.decode(
                bearer,
                self._public,
                algorithms=["RS256"],
                issuer=ISSUER,
                options={"verify_aud": False, "require": ["exp", "iat", "sub"]},
            )
        except jwt.ExpiredSignatureError:
            return None, [], "[invalid bearer token, service account token has expired]"
        except jwt.InvalidTokenError:
            return None, [], "invalid bearer token"
        accepted = [a for a in audiences if a in claims.get("aud", [])]
        if not accepted:
            found = claims.get("aud", [])
            why = f"[invalid bearer token, token audiences {found} is invalid for the target " + (
                f"audiences {audiences}]"
            )
            return None, [], why
        return self._service_account(claims, accepted)

    def _service_account(self, claims: Object, accepted: list[str]) -> Answer:
        from embedded.apiserver.api import User

        bound = claims.get("kubernetes.io", {})
        namespace, account = bound.get("namespace", ""), bound.get("serviceaccount", {})
        found = self._api.find("", "serviceaccounts", namespace, account.get("name", ""))
        if found is None or found["metadata"]["uid"] != account.get("uid"):
            return None, [], "[invalid bearer token, service account token has been invalidated]"
        pod = bound.get("pod")
        if pod and not self._api.find("", "pods", namespace, pod["name"]):
            return None, [], "[invalid bearer token, service account token has been invalidated]"
        groups = (
            "system:serviceaccounts",
            f"system:serviceaccounts:{namespace}",
            "system:authenticated",
        )
        extra = {"authentication.kubernetes.io/credential-id": [f"JTI={claims.get('jti', '')}"]}
        return User(claims["sub"], groups, account["uid"], extra), accepted, ""

    def request(self, account: Object, request: Object, pod: Object | None = None) -> Object:
        """Answer a TokenRequest for a stored ServiceAccount."""
        spec = request.get("spec") or {}
        seconds = spec.get("expirationSeconds", 3600)
        self._check_seconds(seconds)
        audiences = spec.get("audiences") or [ISSUER]
        issued = int(time.time())
        metadata = account["metadata"]
        bound: Object = {
            "namespace": metadata["namespace"],
            "serviceaccount": {"name": metadata["name"], "uid": metadata["uid"]},
        }
        if pod:
            bound["pod"] = {"name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]}
        claims = {
            "aud": audiences,
            "exp": issued + seconds,
            "iat": issued,
            "iss": ISSUER,
            "jti": str(uuid.uuid4()),
            "kubernetes.io": bound,
            "nbf": issued,
            "sub": f"system:serviceaccount:{metadata['namespace']}:{metadata['name']}",
        }
        token = jwt.encode(claims, self._private, algorithm="RS256", headers={"kid": KEY_ID})
        expires = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(issued + seconds))
        return {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "metadata": {"name": metadata["name"], "namespace": metadata["namespace"]},
            "spec": {**spec, "audiences": audiences, "expirationSeconds": seconds},
            "status": {"token": token, "expirationTimestamp": expires},
        }

    @staticmethod
    def _check_seconds(seconds: Any) -> None:
        text = ""
        if not isinstance(seconds, int) or isinstance(seconds, bool):
            raise status.bad_request("spec.expirationSeconds must be an integer")
        if seconds < MIN_SECONDS:
            text = f"Invalid value: {seconds}: may not specify a duration less than 10 minutes"
        elif seconds > MAX_SECONDS:
            text = f"Invalid value: {seconds}: may not specify a duration larger than 2^32 seconds"
        if text:
            field = "spec.expirationSeconds"
            cause = {"reason": "FieldValueInvalid", "message": text, "field": field}
            raise status.invalid("TokenRequest", "authentication.k8s.io", "", [cause])

    def review(self, review: Object) -> Object:
        """Answer a TokenReview."""
        spec = review.get("spec") or {}
        if not spec.get("token"):
            text = "token is required for TokenReview in authentication"
            raise status.bad_request(text)
        asked = spec.get("audiences") or [ISSUER]
        # As upstream's storage does: what is reviewed is read as if a request brought it.
        user, accepted, why = self.authenticate(bearer(f"Bearer {spec['token']}"), asked)
        if user is None:
            answer: Object = {"authenticated": False, "user": {}, "error": why}
        else:
            answer = {"authenticated": True, "user": user_info(user), "audiences": accepted}
        return {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "metadata": {},
            "spec": spec,
            "status": answer,
        }


def bearer(authorization: str) -> str:
    """The token of a header, as far as its next space; "" without any
    (k8s.io/apiserver `pkg/authentication/request/bearertoken`)."""
    parts = authorization.strip().split(" ", 2)
    return parts[1] if len(parts) > 1 and parts[0].lower() == "bearer" else ""


def user_info(user: User) -> Object:
    """`authentication.k8s.io/v1` UserInfo."""
    info: Object = {"username": user.name, "groups": list(user.groups)}
    if user.uid:
        info["uid"] = user.uid
    if user.extra:
        info["extra"] = user.extra
    return info
