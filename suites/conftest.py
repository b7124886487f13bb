"""What the tests of more than one document make for themselves."""

import uuid
from collections.abc import Iterator

import pytest

from fixtures.kube import Kube


@pytest.fixture
def namespace(kube: Kube) -> Iterator[str]:
    """A new one, which no grant names, and which is gone afterwards with all that is in it."""
    name = f"conformance-{uuid.uuid4().hex[:8]}"
    kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    kube.delete("v1", "Namespace", "", name)
