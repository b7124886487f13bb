"""Whose cluster is meant: KUBECONFIG lists, contexts, Pods, and what is wrong with them."""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from fixtures.clusters import ClusterError
from fixtures.clusters.existing.kubeconfig import chosen


def config(*names: str, current: str = "", **cluster: Any) -> dict[str, Any]:
    """A kubeconfig with a cluster, a user and a context of each name."""
    return {
        "clusters": [{"name": n, "cluster": {"server": f"https://{n}", **cluster}} for n in names],
        "users": [{"name": n, "user": {"token": n}} for n in names],
        "contexts": [{"name": n, "context": {"cluster": n, "user": n}} for n in names],
        **({"current-context": current} if current else {}),
    }


def written(folder: Path, name: str, what: dict[str, Any]) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(what))
    return path


def server(found: dict[str, Any]) -> str:
    return str(found["clusters"][0]["cluster"]["server"])


def test_current_context_and_a_named_one(tmp_path: Path) -> None:
    env = {"KUBECONFIG": str(written(tmp_path, "one", config("a", "b", current="b")))}
    assert server(chosen(env=env)) == "https://b"
    found = chosen("a", env)
    assert (server(found), found["current-context"]) == ("https://a", "a")
    assert [one["name"] for one in found["users"]] == ["a"]


def test_of_several_files_the_first_counts(tmp_path: Path) -> None:
    """As kubectl has it, for entries and for the current context; what is missing is skipped."""
    first = written(tmp_path, "first", config("a"))
    second = written(tmp_path, "second", config("b", current="b"))
    other = config("a", "b", "c", current="c")
    other["clusters"][0]["cluster"]["server"] = "https://other"
    third = written(tmp_path, "third", other)
    env = {"KUBECONFIG": f"{tmp_path / 'none'}:{first}:{second}:{third}"}
    assert server(chosen(env=env)) == "https://b"
    assert server(chosen("a", env)) == "https://a"
    assert server(chosen("c", env)) == "https://c"


def test_home_is_the_default(tmp_path: Path) -> None:
    written(tmp_path, ".kube/config", config("a", current="a"))
    assert server(chosen(env={}, home=tmp_path)) == "https://a"


def test_files_are_meant_from_their_kubeconfig(tmp_path: Path) -> None:
    more = {"certificate-authority": "ca.crt"}
    path = written(tmp_path, "folder/one", config("a", current="a", **more))
    found = chosen(env={"KUBECONFIG": str(path)})
    assert found["clusters"][0]["cluster"]["certificate-authority"] == str(
        tmp_path / "folder" / "ca.crt"
    )


def test_exec_credentials_go_along(tmp_path: Path) -> None:
    made = config("a", current="a")
    login = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "oc"}}
    made["users"][0]["user"] = login
    found = chosen(env={"KUBECONFIG": str(written(tmp_path, "one", made))})
    assert found["users"][0]["user"] == login


@pytest.mark.parametrize(
    ("command", "found"), [("bin/login", "FOLDER/bin/login"), ("./login", "FOLDER/login"),
                           ("/opt/login", "/opt/login"), ("login", "login")],
)  # fmt: skip
def test_a_program_is_meant_from_its_kubeconfig(tmp_path: Path, command: str, found: str) -> None:
    """As kubectl has it: one with a folder in its name; another is on PATH."""
    made = config("a", current="a")
    made["users"][0]["user"] = {"exec": {"command": command}}
    path = written(tmp_path, "folder/one", made)
    chosen_one = chosen(env={"KUBECONFIG": str(path)})
    program = chosen_one["users"][0]["user"]["exec"]["command"]
    assert os.path.normpath(program) == found.replace("FOLDER", str(tmp_path / "folder"))


@pytest.mark.parametrize("host", ["10.96.0.1", "fd00::1"])
def test_a_pod_has_its_serviceaccount(tmp_path: Path, host: str) -> None:
    (tmp_path / "token").write_text("x")
    env = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": "6443"}
    found = chosen(env=env, home=tmp_path, account=tmp_path)
    shown = f"[{host}]" if ":" in host else host
    assert server(found) == f"https://{shown}:6443"
    assert found["users"][0]["user"] == {"tokenFile": str(tmp_path / "token")}


NOT_ONE: dict[str, tuple[str, str, str]] = {  # file, --context, what is said
    "no-current": (yaml.safe_dump(config("a", "b")), "", "name one with --context: .* has a, b"),
    "unknown": (yaml.safe_dump(config("a")), "z", "there is no context 'z': .* has a"),
    "no-user": (yaml.safe_dump({**config("a"), "users": []}), "a", "names a user 'a' that"),
    "no-server": (yaml.safe_dump(config("a", server="")), "a", "no server"),
    "broken": ("{", "", "is not YAML"),
    "list": ("[1]", "", "is no kubeconfig"),
    "words": ("clusters: [a]", "", "is no kubeconfig"),
    "empty": ("", "", "has none"),
}


@pytest.mark.parametrize(("text", "context", "said"), NOT_ONE.values(), ids=NOT_ONE)
def test_what_is_no_kubeconfig(tmp_path: Path, text: str, context: str, said: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(ClusterError, match=said) as raised:
        chosen(context, {"KUBECONFIG": str(path)})
    assert "\n" not in str(raised.value)


def test_no_kubeconfig_at_all(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match=r"there is no .*\.kube/config, and this is no Pod"):
        chosen(env={}, home=tmp_path, account=tmp_path)
    with pytest.raises(ClusterError, match="there is no /nowhere; log in"):
        chosen(env={"KUBECONFIG": "/nowhere"}, home=tmp_path)
