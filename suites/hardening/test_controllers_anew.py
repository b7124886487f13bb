"""What controllers take away while they start anew: nothing. In a cluster of its own."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from fixtures.evidence import MAAS, expect
from fixtures.evidence.requirements import requirement
from fixtures.stack import Stack
from fixtures.waiting import ENFORCED_SECONDS, IN_A_ROW, until
from suites.external_models.backends import Backends
from suites.hardening.own import AUTH, PORT, open_to_all, own_route
from suites.hardening.parts import OPERATOR, replaced

GATEWAYS = ("openshift-ingress", "istiod-openshift-gateway")
EGRESS = ("ai-gateway-system", "ai-gateway-controller")
PAUSE_SECONDS = 0.02


class Regulars:
    """Ask again and again, each in a thread of his own, until they are left: who asked → how often
    each status came."""

    def __init__(self, **asking: Callable[[], int]) -> None:
        self._asking, self._over = asking, threading.Event()
        self._pool = ThreadPoolExecutor(len(asking))
        self.seen: dict[str, Counter[int]] = {name: Counter() for name in asking}

    def __enter__(self) -> Regulars:
        self._running = [self._pool.submit(self._ask, name) for name in self._asking]
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for one in self._running:
            one.result()  # or what ended it
        self._pool.shutdown()

    def _ask(self, name: str) -> None:
        while not self._over.wait(PAUSE_SECONDS):
            self.seen[name][self._asking[name]()] += 1

    def expect_served(self, while_what: str) -> None:
        """Each of them asked, and was served each time."""
        wrong = {name: dict(found) for name, found in self.seen.items() if set(found) != {200}}
        expect(not wrong, MAAS, f"200 while {while_what}", f"{wrong}")


@requirement("HD-92")
@pytest.mark.disposable
@pytest.mark.capability("disposable_clusters")
def test_controllers_start_anew(demo: Stack) -> None:
    """Of both gateways and of the policies, one after the other; each has done what was asked of it
    since before it is the next one's turn."""
    backends = Backends(demo.kube)
    with own_route(demo.kube, demo) as own:
        own.recorder("one")
        own.policy(AUTH, open_to_all())
        rules = [own.rule("one")]
        own.route(*rules)
        own.until_answered(200)
        name = backends.destination(f"one.{own.namespace}.svc.cluster.local")

        def new_at_egress() -> Callable[[], int]:
            """A route of the egress gateway, seen to serve."""
            path = backends.egress_route(name, port=PORT)

            def ask() -> int:
                return demo.at_egress("GET", f"{path}/v1/models", kept=False).status

            until("a new route of the egress gateway", ask, (200).__eq__, ENFORCED_SECONDS,
                  IN_A_ROW)  # fmt: skip
            return ask

        def new_at_maas() -> None:
            rules.append(own.rule("one", f"/rule-{len(rules)}"))
            own.route(*rules)
            own.until_answered(200, f"/rule-{len(rules) - 1}")

        asking = {"maas": lambda: own.models().status, "egress": new_at_egress()}
        for controller in (GATEWAYS, EGRESS, OPERATOR):
            with Regulars(**asking) as regulars:
                replaced(demo.kube, controller)
                new_at_maas()
                new_at_egress()
            regulars.expect_served(f"{controller[1]} starts anew")
