"""`python -m tests.snapshot FILE` writes what somebody deployed on the kubeconfig's cluster,
`… BEFORE AFTER` compares, with exit code 1 when they differ (`fixtures.snapshot`)."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from fixtures.clusters.existing.kubeconfig import chosen
from fixtures.kube import Kube
from fixtures.snapshot import differences, taken


def main() -> None:
    before, *after = map(Path, sys.argv[1:])
    if not after:
        context = chosen()
        path = before.with_suffix(".kubeconfig")
        path.touch(mode=0o600)
        path.write_text(json.dumps(context))
        try:
            before.write_text(json.dumps(taken(Kube(path)), indent=1, sort_keys=True))
        finally:
            path.unlink()
        return
    found = differences(*(json.loads(path.read_text()) for path in (before, after[0])))
    print("\n".join(found) or "equal")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
