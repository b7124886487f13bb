"""What Kind is made of: its table, the runtime, the entry, the shim's place in Istio."""

import asyncio
import json
import re
from pathlib import Path

import httpx
import pytest
import yaml

from embedded.images.kuadrant.shim_filters import clusters_of, in_its_place
from fixtures.clusters.kind import _programs
from fixtures.clusters.programs import running
from fixtures.evidence.requirements import by_id, read_all
from fixtures.evidence.verdicts import CONFORMANT, NOT_APPLICABLE
from fixtures.invocation import SUITES
from kind import FOLDER as KIND
from kind import KindError, components, oci_runtime, platform
from kind.components import table
from manifests import FOLDER, load, render
from manifests.platform.kind import entry
from reports import compare


def test_every_program_has_a_source() -> None:
    known = {p for module in table().modules.values() for p in module.programs}
    for image in table().images:
        assert image.programs or image.stand_in or image.suite or image.base == "debian", (
            image.image
        )
        assert set(image.programs) <= known | {"pause", "envoy"}, image.image
        assert set(image.links.values()) <= set(image.programs), image.image


def test_every_image_that_the_manifests_name_is_in_the_table() -> None:
    """The local registry stands in for every other: what it has not, nobody has."""
    found = set()
    for name in ("conformance", "nightly", "platform/kind-packages"):
        text = json.dumps(render(FOLDER / name))
        found |= set(re.findall(r'"image": "([^"]+)"', text))
        found |= set(re.findall(r'"--[a-z]+-image=([^"]+)"', text))
    names = [image.image for image in table().images]
    assert len(found) > 10
    assert found - set(names) == set()
    assert len(names) == len(set(names)), "an image twice"
    assert all(":" in name and "/" in name for name in names), "a name that is not whole"


def test_what_its_shim_decides_otherwise_is_explained() -> None:
    """Its release of the wasm-shim is that of its Kuadrant, and the embedded cluster's is 0.11 but
    for what its Envoy buffers."""
    (image,) = [one for one in table().images if "wasm_shim" in one.stand_in]
    release = f"wasm-shim {image.stand_in[-1]}"
    assert f":v{image.stand_in[-1]}." in image.image, "the tag is of another release"
    known = compare.known(KIND / "differences.yaml")
    requirements = by_id(read_all(SUITES)).values()
    mine = {one.id: one.decided_by(release) for one in requirements if release in one.releases}
    here = {one.id: one.decided_by("wasm-shim 0.11") for one in requirements if one.id in mine}
    differ = mine.items() - (here | {"MG-56": CONFORMANT, "MP-61": CONFORMANT}).items()
    differ = {one for one in differ if known.get(one[0], ("",))[0] != NOT_APPLICABLE}  # ruins
    assert {"MP-35", "MP-36", "MG-15"} <= dict(differ).keys()
    assert {(name, known[name][0]) for name, _ in differ if name in known} == differ


def test_a_wrong_line_of_the_table_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "components.yaml").write_text(
        "node: n\nmodules: {}\nimages: [{image: a, bases: b}]\n"
    )
    monkeypatch.setattr(components, "FOLDER", tmp_path)
    with pytest.raises(KindError, match="bases"):
        components.table.__wrapped__()


def test_runtime_takes_out_what_the_machine_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oci_runtime, "held", lambda: {"CAP_CHOWN"})
    ran: list[list[str]] = []
    monkeypatch.setattr(oci_runtime.os, "execvp", lambda _, words: ran.append(words))
    process = {
        "capabilities": {"bounding": ["CAP_CHOWN", "CAP_SYS_RESOURCE"]},
        "oomScoreAdj": -999,
        "args": ["true"],
    }
    config, other = tmp_path / "config.json", tmp_path / "process.json"
    config.write_text(json.dumps({"ociVersion": "1", "process": process}))
    other.write_text(json.dumps(process))
    oci_runtime.main(["--root", "/r", "create", "--bundle", str(tmp_path), "id"])
    oci_runtime.main(["exec", f"--process={other}", "id"])
    oci_runtime.main(["delete", "id"])
    mended = {"capabilities": {"bounding": ["CAP_CHOWN"]}, "args": ["true"]}
    assert json.loads(config.read_text()) == {"ociVersion": "1", "process": mended}
    assert json.loads(other.read_text()) == mended
    assert [words[0] for words in ran] == ["runc"] * 3


def test_operators_keep_their_limits() -> None:
    container = {
        "name": "manager",
        "resources": {"limits": {"cpu": "200m", "memory": "300Mi"}, "requests": {"cpu": "200m"}},
        "readinessProbe": {"initialDelaySeconds": 5, "periodSeconds": 10},
    }
    spec = {"template": {"spec": {"containers": [container]}}}
    name = "kuadrant-operator-controller-manager"
    made = platform._adjusted({"kind": "Deployment", "metadata": {"name": name}, "spec": spec})
    (found,) = made["spec"]["template"]["spec"]["containers"]
    assert found["resources"]["limits"] == {"cpu": platform.OPERATOR_CPU, "memory": "300Mi"}
    assert found["resources"]["requests"]["cpu"] == "10m"
    names = {one["name"]: one["value"] for one in found["env"]}
    assert names["ISTIO_GATEWAY_CONTROLLER_NAMES"] == platform.CONTROLLER


def test_our_controller_is_the_documents() -> None:
    (gateway_class, _) = load(FOLDER / "maas" / "base" / "gateway.yaml")
    assert gateway_class["spec"]["controllerName"] == platform.CONTROLLER
    assert gateway_class["metadata"]["name"] == platform.CLASS


def test_shim_finds_the_clusters_that_kuadrant_adds() -> None:
    socket = {"address": "limitador.ns.svc.cluster.local", "port_value": 8081.0}
    endpoint = {"lb_endpoints": [{"endpoint": {"address": {"socket_address": socket}}}]}
    value = {"name": "kuadrant-ratelimit-service", "load_assignment": {"endpoints": [endpoint]}}
    patches = [
        {"applyTo": "CLUSTER", "patch": {"operation": "ADD", "value": value}},
        {"applyTo": "HTTP_FILTER", "patch": {"operation": "REMOVE"}},
    ]
    found = clusters_of([{"spec": {"configPatches": patches}}, {"spec": {}}])
    assert found == {"kuadrant-ratelimit-service": "limitador.ns.svc.cluster.local:8081"}


def test_shim_comes_in_the_modules_place() -> None:
    plugin = yaml.safe_load(
        """
        apiVersion: extensions.istio.io/v1alpha1
        kind: WasmPlugin
        metadata: {name: kuadrant-g, namespace: ns, uid: u}
        spec: {targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: g}]}
        """
    )
    made = in_its_place(plugin)
    *removed, inserted, _ = made["spec"]["configPatches"]
    names = [p["match"]["listener"]["filterChain"]["filter"]["subFilter"]["name"] for p in removed]
    assert all("ns.kuadrant-g" in name for name in names)
    grpc = inserted["patch"]["value"]["typed_config"]["grpc_service"]
    assert grpc["initial_metadata"] == [{"key": "gateway", "value": "ns/g"}]
    assert made["metadata"]["ownerReferences"][0]["uid"] == "u"


def test_entry_is_a_socks_proxy() -> None:
    """As the suite uses it, with a server of this test behind it."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        await writer.drain()

    async def ask() -> tuple[str, str]:
        behind = await asyncio.start_server(answer, "127.0.0.1", 0)
        proxy = await asyncio.start_server(entry.serve, "127.0.0.1", 0)
        port, own = (s.sockets[0].getsockname()[1] for s in (behind, proxy))
        async with httpx.AsyncClient(proxy=f"socks5://127.0.0.1:{own}", trust_env=False) as client:
            text = (await client.get(f"http://127.0.0.1:{port}/")).text
            behind.close()
            try:
                await client.get("http://127.0.0.1:1/")
            except httpx.TransportError as error:
                return text, type(error).__name__
        return text, "no error"

    assert asyncio.run(ask()) == ("ok", "ProxyError")
    assert entry.PORT == 1080


def test_reports_name_what_packages_made() -> None:
    """Of every image of the table; a stand-in is never taken for upstream's."""
    found = running({one.image: "" for one in table().images}, _programs(packages=True), [])
    kinds = {one.image: one.kind for one in found}
    wanted = {one.image: "stand-in" if one.stand_in else "packages" for one in table().images}
    assert kinds == wanted
