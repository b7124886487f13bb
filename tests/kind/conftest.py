"""Tests that hold the embedded cluster against a real one: `pytest tests/kind --cluster=kind`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedded.running import lifecycle, ready
from embedded.running.state import State
from fixtures.kube import Kube


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Without a Kind cluster there is nothing to compare: they belong to `make kind`."""
    return None if config.getoption("--cluster") == "kind" else True


@pytest.fixture(scope="session")
def embedded_kube() -> Iterator[Kube]:
    """An embedded cluster's API, with the platform's CRDs, beside Kind's (`kube`); it ends with
    this process, however that ends."""
    state = State(f"beside-kind-{os.getpid()}")
    lifecycle.up(state, [], None, lifeline=True)
    try:
        ready.wait(state, lifecycle.START_SECONDS)
        yield Kube(state.kubeconfig)
    finally:
        lifecycle.down(state)
