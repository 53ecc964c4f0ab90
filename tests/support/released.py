"""The release before this one: its resource definitions, its chart, its code and its examples, kept as data.

A clone may be shallow, so nothing here asks git. `source.tar.xz` was made at the commit of the release by
`git archive COMMIT operator/modelwright stores/modelwright_stores serving/modelwright_serving
training/modelwright_training charts/modelwright examples | xz -9e`. The definitions are those of `crds`. `objects.yaml`
is what `support.scene` has left of the three kinds under the operator of the release.
"""

from __future__ import annotations

import tarfile
from pathlib import Path

import yaml

from support.kubectl import ROOT, Object

FOLDER = ROOT / "tests/data/released/v1alpha1-0.1.0"
PLURALS = ("inferenceservices", "modelversions", "trainingjobs")


def unpacked(folder: Path) -> Path:
    """Its source tree, unpacked below a folder."""
    with tarfile.open(FOLDER / "source.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder


def definition(plural: str) -> Object:
    """The CustomResourceDefinition of a kind."""
    found: Object = yaml.safe_load((FOLDER / f"{plural}.yaml").read_text())
    return found
