"""A route that was not there a moment ago."""

from fixtures.evidence.requirements import requirement
from fixtures.evidence.verdicts import CLOSED, PRESENT, Decision
from fixtures.kube import Kube
from fixtures.stack import Stack
from suites.hardening.new_routes import COMING, statuses

NEW_ROUTES = 3  # of each kind


@requirement("HD-82")
def test_new_routes(kube: Kube, stack: Stack, decide: Decision) -> None:
    """One that serves somebody without a token is enough; before it comes it is 404."""
    seen: set[int] = set()
    for coming in COMING * NEW_ROUTES:
        seen |= statuses(kube, stack, coming)
        if 200 in seen:
            break
    closed = CLOSED if seen == {401, 404} else f"statuses {sorted(seen)}"
    decide(PRESENT if 200 in seen else closed)
