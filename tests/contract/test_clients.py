"""The cluster against the real clients of its APIs: kubernetes, openai, curl, kustomize."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
import uuid

import httpx
import openai
import pytest
import yaml
from kubernetes import client, config, watch
from kubernetes.dynamic import DynamicClient

from fixtures.clusters import Access
from fixtures.kube import ApplyError, Kube
from fixtures.stack import Stack
from fixtures.stack.gateways import MAAS_GATEWAY, endpoint
from fixtures.stack.gateways import client as gateway_client
from manifests import FOLDER, identity, render
from suites.mixed_providers.providers import ALL, OPENAI
from tests.conftest import Cluster


@pytest.fixture(scope="module")
def access(cluster: Cluster) -> Access:
    state = cluster.state
    return Access(state.kubeconfig, state.ca, state.signing_key, True, frozenset())


@pytest.fixture(scope="module")
def stack(access: Access) -> Stack:
    return Stack(Kube(access.kubeconfig), access, ALL)


def test_typed_client_and_watch(cluster: Cluster, namespace: str) -> None:
    """CRUD by the typed client, and a watch that sees it, in order."""
    api = config.new_client_from_config(str(cluster.state.kubeconfig))
    core = client.CoreV1Api(api)
    seen: list[tuple[str, str | None]] = []
    start = core.list_namespaced_config_map(namespace).metadata.resource_version

    def follow() -> None:
        stream = watch.Watch().stream(
            core.list_namespaced_config_map, namespace, resource_version=start, timeout_seconds=10
        )
        for event in stream:
            seen.append((event["type"], (event["object"].data or {}).get("a")))
            if event["type"] == "DELETED":
                return

    follower = threading.Thread(target=follow)
    follower.start()
    body = client.V1ConfigMap(metadata=client.V1ObjectMeta(name="x"), data={"a": "1"})
    created = core.create_namespaced_config_map(namespace, body)
    stale = created.metadata.resource_version
    created.data = {"a": "2"}
    core.replace_namespaced_config_map("x", namespace, created)
    created.metadata.resource_version = stale
    with pytest.raises(client.ApiException) as conflict:
        core.replace_namespaced_config_map("x", namespace, created)
    assert (conflict.value.status, json.loads(conflict.value.body)["reason"]) == (409, "Conflict")
    core.delete_namespaced_config_map("x", namespace)
    follower.join(10)
    assert seen == [("ADDED", "1"), ("MODIFIED", "2"), ("DELETED", "2")]


def test_dynamic_client_on_a_new_crd(cluster: Cluster) -> None:
    """A CRD is served at once: defaults, status subresource, generation, selectors."""
    dynamic = DynamicClient(config.new_client_from_config(str(cluster.state.kubeconfig)))
    spec = {"type": "object", "properties": {"size": {"type": "integer", "default": 3}}}
    schema = {"type": "object", "properties": {"spec": spec, "status": {
        "type": "object", "x-kubernetes-preserve-unknown-fields": True}}}  # fmt: skip
    version = {"name": "v1", "served": True, "storage": True, "subresources": {"status": {}},
               "schema": {"openAPIV3Schema": schema}}  # fmt: skip
    names = {"plural": "boxes", "singular": "box", "kind": "Box"}
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "boxes.example.com"},
        "spec": {
            "group": "example.com", "scope": "Cluster", "names": names, "versions": [version]
        },
    }  # fmt: skip
    crds = dynamic.resources.get(kind="CustomResourceDefinition", api_version=crd["apiVersion"])
    crds.create(body=crd)
    try:
        dynamic.resources.invalidate_cache()
        boxes = dynamic.resources.get(kind="Box", api_version="example.com/v1")
        box = {"apiVersion": "example.com/v1", "kind": "Box", "spec": {},
               "metadata": {"name": "a", "labels": {"x": "y"}}}  # fmt: skip
        made = boxes.create(body=box)
        assert (made.spec.size, made.metadata.generation) == (3, 1)
        done = boxes.status.patch(
            name="a", body={"status": {"ok": True}}, content_type="application/merge-patch+json"
        )
        assert (done.status.ok, done.metadata.generation) == (True, 1)
        grown = boxes.patch(
            name="a", body={"spec": {"size": 4}}, content_type="application/merge-patch+json"
        )
        assert (grown.metadata.generation, grown.status.ok) == (2, True)
        assert [b.metadata.name for b in boxes.get(label_selector="x=y").items] == ["a"]
        assert boxes.get(label_selector="x!=y").items == []
    finally:
        crds.delete(name="boxes.example.com")


def test_apply_says_what_is_wrong(access: Access) -> None:
    """The suite's own apply refuses a wrong field in the cluster's words."""
    route = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
             "metadata": {"name": "x", "namespace": "default"}, "spec": {"rulez": []}}  # fmt: skip
    with pytest.raises(ApplyError, match=r"HTTPRoute default/x: .*unknown field \"spec.rulez\""):
        Kube(access.kubeconfig).apply(route)


def test_openai_client(stack: Stack) -> None:
    """The official client, JSON and stream, through both gateways."""
    user = stack.free_user()
    api = openai.OpenAI(
        api_key=user.token.reveal(),
        base_url=str(stack.https.base_url).rstrip("/") + "/external/openai/v1",
        http_client=stack.https,
        max_retries=0,
    )
    messages = [{"role": "user", "content": "Hello"}]
    answer = api.chat.completions.create(model=OPENAI.model, messages=messages)  # type: ignore
    assert answer.usage is not None
    assert (answer.model, answer.usage.total_tokens) == ("gpt-4", 25)
    stream = api.chat.completions.create(
        model=OPENAI.model, messages=messages, stream=True, stream_options={"include_usage": True}
    )  # type: ignore
    chunks = list(stream)
    assert chunks[-1].usage.total_tokens == 25
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices).strip()
    with pytest.raises(openai.AuthenticationError):
        api.with_options(api_key="garbage").models.list()


def test_big_bodies_pass(stack: Stack) -> None:
    """More than Envoy's default buffers hold, up and down."""
    user = stack.free_user()
    exchange = stack.chat(OPENAI, user, note="x" * 3_000_000).expect_status(200)
    assert exchange.expect_backend_received("openai").size > 3_000_000


def test_changed_route_reaches_open_connections(cluster: Cluster, stack: Stack) -> None:
    """A new rule is live for a connection that was open before it."""
    name, user = f"moved-{uuid.uuid4().hex[:6]}", stack.free_user()
    stack.models(OPENAI, user).expect_status(200)
    rule = {
        "matches": [{"path": {"type": "PathPrefix", "value": f"/{name}"}}],
        "filters": [{"type": "RequestRedirect", "requestRedirect": {"hostname": "elsewhere.test"}}],
    }
    route = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "parentRefs": [{"name": "maas-default-gateway", "namespace": "openshift-ingress"}],
            "rules": [rule],
        },
    }
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(route))
    try:
        deadline = time.monotonic() + 5
        while (answer := stack.send("GET", f"/{name}/a", user)).status != 403:
            assert time.monotonic() < deadline, f"not refused after 5 s: {answer.status}"
        # The Gateway's AuthPolicy reaches the new route too, and its path names no model.
        assert answer.response.headers["x-ext-auth-reason"].startswith("not authorized")
    finally:
        cluster.kubectl("delete", "httproute", name)


@pytest.mark.parametrize(
    "folder",
    ["maas/base", "maas/overlays/embedded", "mixed-providers/base",
     "mixed-providers/overlays/recording", "maas-gateway/overlays/recording",
     "dual-gateway/base", "dual-gateway/overlays/document", "dual-gateway/overlays/poc",
     "external-models/overlays/quickstart", "external-models/overlays/recording",
     "conformance", "platform/embedded"],
)  # fmt: skip
def test_manifests_render_as_kustomize_does(cluster: Cluster, folder: str) -> None:
    """Our renderer and `kubectl kustomize` give the same objects."""
    theirs = yaml.safe_load_all(cluster.kubectl("kustomize", str(FOLDER / folder)))
    ours = {identity(obj): obj for obj in render(FOLDER / folder)}
    assert ours == {identity(obj): obj for obj in theirs}


def test_curl_follows_the_document(cluster: Cluster, namespace: str) -> None:
    """The document's Validation commands as they stand, with the README's two variables."""
    cluster.kubectl("create", "serviceaccount", "-n", namespace, "alice")
    script = f"""
    set -eu
    CLUSTER_DOMAIN=$(kubectl get ingresses.config.openshift.io cluster \\
      -o jsonpath='{{.spec.domain}}')
    HOST="maas.${{CLUSTER_DOMAIN}}"
    curl -sSk -H "Authorization: Bearer $(kubectl create token alice -n {namespace})" \\
      --json '{{"expiration": "10m"}}' "https://${{HOST}}/maas-api/v1/tokens" > $OUT/token
    TOKEN=$(python3 -c 'import json, sys; print(json.load(sys.stdin)["token"])' < $OUT/token)
    curl -sSk -H "Authorization: Bearer $TOKEN" "https://${{HOST}}/v1/models" > $OUT/models
    for PROVIDER in openai anthropic vllm; do
      curl -sSk -o /dev/null -w "%{{http_code}} " "https://${{HOST}}/external/$PROVIDER/v1/models"
    done
    for i in $(seq 6); do
      curl -sS -o /dev/null -w "%{{http_code}} " -H "Authorization: Bearer $TOKEN" \\
        -H "Content-Type: application/json" \\
        -d '{{"model":"gpt-4","messages":[{{"role":"user","content":"Hello"}}],"max_tokens":10}}' \\
        "https://${{HOST}}/external/openai/v1/chat/completions"
      sleep 0.3  # tokens are counted after the answer
    done
    """
    out = cluster.state.folder / namespace
    out.mkdir()
    cluster.env["OUT"] = str(out)
    done = cluster.run("bash", "-c", script)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["401"] * 3 + ["200"] * 4 + ["429"] * 2
    models = json.loads((out / "models").read_text())
    assert len(models["data"]) == 4


def test_certificate_is_of_the_clusters_ca(stack: Stack, access: Access) -> None:
    """A client that does not know the CA refuses the gateway."""
    target = endpoint(stack.kube, access, *MAAS_GATEWAY, "https")
    with (
        gateway_client(target, dataclasses.replace(access, ca=None)) as stranger,
        pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        stranger.get("/v1/models")
