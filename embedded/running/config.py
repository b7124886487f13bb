"""What a cluster is told at its start."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    """Cluster name, `NAME=COMMAND` images, a folder to deploy or "", lifeline on stdin, and what
    the cluster is made of (`origin.made_of`)."""

    name: str
    images: list[str]
    kustomization: str
    lifeline: bool
    made_of: dict[str, str]
