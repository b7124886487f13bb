"""How defects are brought in: the suite's options."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from embedded.images import Catalogue
from manifests import FOLDER
from tests.mutants.faults import FAULTS
from tests.mutants.mutant import Mutant

MANIFESTS = Path(__file__).parent / "manifests"
# Stand-in → (image, flags) of the catalogue; of two images of one stand-in the first.
IMAGES = {
    image.module.rpartition(".")[2]: (name, image.flags)
    for name, image in reversed(Catalogue().images.items())
    if image.module
}


def options(mutants: Sequence[Mutant]) -> list[str]:
    """What brings all of these into one cluster; of kustomizations they have one at most."""
    found = []
    for mutant in mutants:
        found += [f"--capability={claim}" for claim in mutant.claims]
        for image, module in mutant.images.items():
            found.append(f"--image={image}={sys.executable} -m embedded.images {module}")
        if mutant.name in FAULTS:
            image, flags = IMAGES[place(mutant)]
            words = [sys.executable, "-m", "tests.mutants.faults", mutant.name, *flags]
            found.append(f"--image={image}={' '.join(words)}")
    folders = [folder for one in mutants if (folder := MANIFESTS / one.name).exists()]
    (folder,) = folders or [FOLDER / mutants[0].deployed]
    return [*found, f"--kustomization={folder}"]


def place(mutant: Mutant) -> str:
    """What is altered: a stand-in, or the manifests."""
    return FAULTS[mutant.name][0].rpartition(".")[2] if mutant.name in FAULTS else "manifests"


def built_on(mutant: Mutant) -> list[Path]:
    """The kustomizations that are deployed with a defect."""
    folder = MANIFESTS / mutant.name
    if not folder.exists():
        return [FOLDER / mutant.deployed]
    entries = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
    return [path for entry in entries if (path := (folder / entry).resolve()).is_dir()]
