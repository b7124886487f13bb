"""The OpenShift AI operator, of which one habit matters here: it puts its own image back.

Stands for quay.io/opendatahub/opendatahub-operator. Upstream: opendatahub-io/opendatahub-operator
`pkg/controller/actions/deploy` (what it deploys is brought back to its manifests, unless the
object is annotated `opendatahub.io/managed: "false"`). It looks after the Deployment maas-api.
Left out: everything else.
"""

from __future__ import annotations

import argparse
import os
from typing import Any

from embedded.shared import rpc
from embedded.shared.kube import Cache, Kube

DEPLOYMENTS = "apps/v1/deployments"
MANAGED = "opendatahub.io/managed"
NAME = "maas-api"
Object = dict[str, Any]


class Operator:
    """Keeps the image of maas-api."""

    def __init__(self, kube: Kube, namespace: str, image: str) -> None:
        self._kube, self._namespace, self._image = kube, namespace, image
        self._cache = Cache(kube, [DEPLOYMENTS], namespace)

    async def run(self) -> None:
        await self._cache.run(self._reconcile)

    async def _reconcile(self) -> None:
        found = self._cache.get(DEPLOYMENTS, self._namespace, NAME)
        if found is None or not _is_managed(found):
            return
        containers = found["spec"]["template"]["spec"]["containers"]
        if any(c["name"] == NAME and c["image"] != self._image for c in containers):
            container = {"name": NAME, "image": self._image}
            body = {
                "metadata": {"name": NAME, "namespace": self._namespace},
                "spec": {"template": {"spec": {"containers": [container]}}},
            }
            print(f"{NAME}: back to {self._image}", flush=True)
            await self._kube.apply(DEPLOYMENTS, body)


def _is_managed(deployment: Object) -> bool:
    annotations = deployment["metadata"].get("annotations") or {}
    return bool(annotations.get(MANAGED) != "false")


def main(argv: list[str]) -> None:
    """`--namespace opendatahub`; the image is in RELATED_IMAGE_ODH_MAAS_API_IMAGE."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--namespace", default="opendatahub")
    flags = parser.parse_args(argv)
    image = os.environ["RELATED_IMAGE_ODH_MAAS_API_IMAGE"]
    rpc.run(Operator(Kube("opendatahub-operator"), flags.namespace, image).run())
