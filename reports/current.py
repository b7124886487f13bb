"""`python -m reports.current FOLDER TO`: take what `make conformance` left for a run of now.

Exit code 0, and the reports' `conformance.yaml` is copied, when it is a whole and green run of this
very commit, nothing changed since, on the embedded cluster with its own manifests and images; else
1, with why not.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import Any

from fixtures.clusters.programs import PACKAGES, STAND_IN
from fixtures.evidence.verdicts import NONCONFORMANT, NOT_RUN, UNDECIDED
from reports import judged
from reports.compare import CompareError, load, seen

FILE = "conformance.yaml"


def unfit(report: dict[str, Any], suite: dict[str, Any]) -> str:
    """Why a report does not say what `suite` would decide on the embedded cluster; "" if it
    does."""
    if "commit" not in suite or suite["dirty"]:
        return "this is no clean checkout of a commit"
    if report["suite"] != suite:
        return f"it is of {judged.said(report['suite'])}"
    if report["cluster"]["name"] != "embedded":
        return f"it is of the cluster {report['cluster']['name']}"
    if report["manifests"]["kustomization"] != "default":
        return f"it is of the manifests {report['manifests']['kustomization']}"
    for one in report["cluster"].get("images", ()):
        if one["kind"] not in (PACKAGES, STAND_IN):
            return f"{one['image']} was {one['what']}"
    for name, one in seen(report).items():
        if one.verdict in (NONCONFORMANT, NOT_RUN, UNDECIDED):
            return f"{name} is {one.verdict}"
    return ""


def main(argv: list[str]) -> int:
    """See the module."""
    parser = argparse.ArgumentParser(prog="python -m reports.current")
    parser.add_argument("folder", type=Path, help="reports of an earlier run")
    parser.add_argument("to", type=Path, help="where a new run's would be")
    flags = parser.parse_args(argv)
    file = flags.folder / FILE
    try:
        why = unfit(load(file), judged.suite())
    except CompareError as error:
        why = str(error)
    except (AttributeError, KeyError, TypeError) as error:
        why = f"not as this suite writes one: {error}"
    if why:
        print(f"the embedded cluster is asked anew: {file}: {why}")
        return 1
    flags.to.mkdir(parents=True, exist_ok=True)
    shutil.copy(file, flags.to / FILE)
    print(f"the embedded cluster's run is that of {file}, of this very commit")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
