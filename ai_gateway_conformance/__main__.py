"""`ai-gateway-conformance WORD…` is pytest with the suite, from any folder.

Where the first word is that of a tool, it is the tool: `ai-gateway-conformance compare A B` is
`python -m reports.compare A B` in a checkout.

A wheel has everything in this package's folder; in a checkout it lies beside it. Either way that
folder comes first among Python's, so that all of it is imported by the names that it has here.
"""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

import pytest

_HERE = Path(__file__).parent
ROOT = _HERE if (_HERE / "suites").is_dir() else _HERE.parent
EVERYWHERE = "ai_gateway_conformance.everywhere"
TOOLS = {
    "check": "reports.check",
    "compare": "reports.compare",
    "embedded": "embedded",
    "merge": "reports.merge",
    "parcel": "reports.parcel",
    "signoff": "reports.signoff",
}


def main() -> None:
    """Ends with the tool's exit code, or pytest's."""
    sys.path.insert(0, str(ROOT))
    # For processes that are started by a module's name.
    others = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = f"{ROOT}{os.pathsep}{others}" if others else str(ROOT)
    words = sys.argv[1:]
    if words and (module := TOOLS.get(words[0])):
        sys.argv[1:] = words[1:]
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        return
    sys.exit(suite(words))


def suite(words: list[str]) -> int:
    """pytest's exit code."""
    from fixtures.invocation import HOME  # whose folder is Python's since `main`

    plugins = runpy.run_path(str(ROOT / "conftest.py"))["pytest_plugins"]
    ours = [
        f"--rootdir={ROOT}",
        f"--config-file={ROOT / 'pyproject.toml'}",
        # `-p` in the place of conftest.py, which pytest reads only where it begins.
        f"--confcutdir={ROOT / 'suites'}",
        f"--override-ini=cache_dir={HOME / 'reports' / 'out' / '.cache'}",
        *(word for name in (*plugins, EVERYWHERE) for word in ("-p", name)),
    ]
    return int(pytest.main([*ours, *words]))


if __name__ == "__main__":
    main()
