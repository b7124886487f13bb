"""The cluster's own process: API server, controllers, node, DNS.

`python -m embedded.running.daemon CONFIG` with a JSON object of `name`, `images`, `kustomization`,
`lifeline`, `made_of`.
With `lifeline`, the cluster ends when its standard input closes: a test run that is
killed leaves nothing behind.
"""

from __future__ import annotations

import faulthandler
import json
import sys

from embedded.apiserver.status import ApiError
from embedded.errors import EmbeddedError
from embedded.running.config import Config
from embedded.running.zygote import Zygote
from embedded.shared import net
from manifests import ManifestError


def main(text: str) -> None:
    faulthandler.enable()  # what dies of a signal says where, in its log; Pods say it in theirs
    config = Config(**json.loads(text))
    try:
        network = net.claim()
    except EmbeddedError as error:
        sys.exit(str(error))
    # Before anything starts a thread; it holds the network until the last container has ended.
    zygote = Zygote.fork(without=[network.api_socket, network.dns_socket])
    from embedded.running.cluster import run

    try:
        run(config, zygote, network)
    except (EmbeddedError, ManifestError, ApiError) as error:
        sys.exit(str(error))
    finally:
        zygote.close()


if __name__ == "__main__":
    main(sys.argv[1])
