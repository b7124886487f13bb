"""Keys of maas-api, and who may read or end them."""

from __future__ import annotations

import uuid

from fixtures.evidence import CLIENT
from fixtures.evidence.requirements import requirement
from fixtures.evidence.verdicts import CLOSED, PRESENT, Decision
from fixtures.secrets import Secret
from fixtures.stack import Identity, Provider, Stack

API_KEYS = "/maas-api/v1/api-keys"


@requirement("HD-80")
def test_keys_of_others(stack: Stack, external: Provider, decide: Decision) -> None:
    """Two users with a key each: what the one can list, read and end of the other's."""
    owner, other = stack.cluster_identity(), stack.cluster_identity()
    name, about = f"key-{uuid.uuid4().hex[:8]}", f"about-{uuid.uuid4().hex[:8]}"
    asked = {"name": name, "description": about, "expiration": "1h"}
    made = stack.send("POST", API_KEYS, owner, asked).expect_status(201).json
    stack.send("POST", API_KEYS, other, {**asked, "name": "theirs"}).expect_status(201)
    own = stack.send("GET", f"{API_KEYS}/{made['jti']}", owner).expect_status(200)
    own.expect(CLIENT, own.json["name"] == name, f"the key {name}", own.json["name"])
    listed = stack.send("GET", API_KEYS, other).expect_status(200)
    names = [one["name"] for one in listed.json]
    listed.expect(CLIENT, names == ["theirs"], "his own key alone", names)
    for path in (f"/{made['jti']}", ""):
        ended = stack.send("DELETE", API_KEYS + path, other)
        ended.expect(CLIENT, ended.status in (403, 404, 405), "403, 404 or 405", ended.status)
    stack.send("DELETE", "/maas-api/v1/tokens", other).expect_status(204)
    stack.models(external, Identity(Secret(made["token"]))).expect_status(200)
    read = stack.send("GET", f"{API_KEYS}/{made['jti']}", other)
    read.expect(CLIENT, made["token"] not in read.response.text, "no token", "the token")
    if read.status in (403, 404):
        read.expect(CLIENT, about not in read.response.text, "nothing of the key", "a part of it")
        decide(CLOSED)
    else:
        found = read.expect_status(200).json
        whole = (found.get("id"), found.get("name"), found.get("description"))
        shown = whole == (made["jti"], name, about)
        decide(PRESENT if shown else f"{whole}")
