"""How defects are brought in: the suite's options."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from embedded.images import Catalogue
from manifests import FOLDER, load
from tests.mutants.faults import FAULTS
from tests.mutants.mutant import Mutant

MANIFESTS = Path(__file__).parent / "manifests"
# Stand-in → (image, flags) of the catalogue; of two images of one stand-in the first.
IMAGES = {
    image.module.rpartition(".")[2]: (name, image.flags)
    for name, image in reversed(Catalogue().images.items())
    if image.module
}


def options(mutants: Sequence[Mutant], folder: Path) -> list[str]:
    """What brings all of these into one cluster; `folder` is for what several kustomizations are
    together."""
    found = []
    for mutant in mutants:
        found += [f"--capability={claim}" for claim in mutant.claims]
        for image, module in mutant.images.items():
            found.append(f"--image={image}={sys.executable} -m embedded.images {module}")
    faults = [mutant.name for mutant in mutants if mutant.name in FAULTS]
    for module in sorted({FAULTS[name][0] for name in faults}):
        image, flags = IMAGES[module.rpartition(".")[2]]
        names = "+".join(name for name in faults if FAULTS[name][0] == module)
        words = [sys.executable, "-m", "tests.mutants.faults", names, *flags]
        found.append(f"--image={image}={' '.join(words)}")
    return [*found, f"--kustomization={_kustomization(mutants, folder)}"]


def altered(mutant: Mutant) -> frozenset[str]:
    """The objects that a kustomization alters, by kind and name; none for a fault."""
    folder = MANIFESTS / mutant.name
    if not folder.exists():
        return frozenset()
    spec = _spec(folder)
    patched = [(patch["target"]["kind"], patch["target"]["name"]) for patch in spec["patches"]]
    added = [
        (obj["kind"], obj["metadata"]["name"])
        for entry in spec["resources"]
        if (folder / entry).is_file()
        for obj in load(folder / entry)
    ]
    return frozenset("/".join(names) for names in (*patched, *added))


def built_on(mutant: Mutant) -> list[Path]:
    """The kustomizations that are deployed with a defect."""
    folder = MANIFESTS / mutant.name
    if not folder.exists():
        return [FOLDER / mutant.deployed]
    return [path for path in _resources(folder) if path.is_dir()]


def _kustomization(mutants: Sequence[Mutant], folder: Path) -> Path:
    """What is deployed: of several kustomizations all resources and patches."""
    parts = [path for one in mutants if (path := MANIFESTS / one.name).exists()]
    if len(parts) < 2:
        return parts[0] if parts else FOLDER / mutants[0].deployed
    resources = [str(path) for part in parts for path in _resources(part)]
    patches = [
        patch | ({"path": str(part / patch["path"])} if "path" in patch else {})
        for part in parts
        for patch in _spec(part)["patches"]
    ]
    folder.mkdir(parents=True)
    spec = {"resources": list(dict.fromkeys(resources)), "patches": patches}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(spec))
    return folder


def _resources(folder: Path) -> list[Path]:
    return [(folder / entry).resolve() for entry in _spec(folder)["resources"]]


def _spec(folder: Path) -> dict[str, Any]:
    """A kustomization; those of mutants have no more than resources and patches."""
    text = (folder / "kustomization.yaml").read_text()
    return {"patches": []} | yaml.load(text, Loader=yaml.CSafeLoader)
