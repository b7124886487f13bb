"""A pytest plugin (`-p tests.secrets_seen`) that writes down every secret of a run, for a test that
looks for them in what the run wrote: all that the suite held, all Secrets of the cluster, and its
private keys. `SECRETS_SEEN` is the folder for it.

So that there is something to find, it breaks two tests: one says its token and the providers' keys,
as they are and encoded, the other dies of an error that has them.
"""

from __future__ import annotations

import base64
import json
import os
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from fixtures.clusters.existing.shared import kube_of
from fixtures.plugin import access_key
from fixtures.secrets import Secret

FOLDER = Path(os.environ["SECRETS_SEEN"])
SAYS, DIES = "test_provider_key_is_injected", "test_egress_gateway_strips_the_provider"
ENDS = "SECRETS_SEEN_ENDS"
_seen: set[str] = set()
_remember = Secret.__post_init__


def _remembered(secret: Secret) -> None:
    _seen.add(secret.reveal())
    _remember(secret)


Secret.__post_init__ = _remembered  # type: ignore[method-assign]


def _told() -> str:
    """All that is known so far, in the ways in which it might be told."""
    found = sorted(one for one in _seen if len(one) > 7)
    return "\n".join(
        text
        for one in found
        for text in (one, f"Bearer {one}", quote(one), base64.b64encode(one.encode()).decode(),
                     base64.b64encode(f"key={one}".encode()).decode())
    )  # fmt: skip


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    result = yield
    print(_told())
    if SAYS in item.name:
        raise AssertionError(f"told: {_told()}")
    if DIES in item.name:
        raise RuntimeError({"headers": _told()})
    return result


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Where it is asked for, the run itself dies, with all it knows."""
    if os.environ.get(ENDS) and report.when == "call":
        raise RuntimeError(_told())


def pytest_sessionfinish(session: pytest.Session) -> None:
    """What this process has seen, and in the controlling one what the cluster has."""
    found = set(_seen)
    config = session.config
    if not hasattr(config, "workerinput") and access_key in config.stash:
        access = config.stash[access_key]
        for one in kube_of(access).all("v1", "Secret"):
            found |= {_decoded(value) for value in (one.get("data") or {}).values()}
        for path in access.kubeconfig.parent.rglob("*.key"):
            found |= set(_key_lines(path.read_text()))
    name = FOLDER / f"{uuid.uuid4().hex}.json"
    name.write_text(json.dumps(sorted(one for one in found if len(one) > 7)))


def _decoded(value: Any) -> str:
    return base64.b64decode(value).decode(errors="replace")


def _key_lines(text: str) -> list[str]:
    """The lines of a private key that are its own."""
    return [line for line in text.splitlines() if re.fullmatch(r"[\w+/=]{40,}", line)]
