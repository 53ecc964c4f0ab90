"""Pushes a release to a registry, and prints what lies there by digest: `python3 -m release.push dist/VERSION ...`."""

from __future__ import annotations

import argparse
import json
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from cluster import programs
from cluster.settings import CRANE
from cluster.shell import StepError, run
from cluster.stores import REGISTRY

IMAGE = ".oci.tar"


def main() -> int:
    """Push it, or say what keeps it from being pushed."""
    parser = argparse.ArgumentParser("release.push", description=__doc__)
    parser.add_argument("folder", type=Path, help="what `make release` made: dist/VERSION")
    parser.add_argument("--registry", required=True, help="HOST/PATH, as `make release` got it")
    parser.add_argument("--plain-http", action="store_true", help="for a registry without TLS")
    given = parser.parse_args()
    try:
        for reference in push(given.folder, given.registry, plain_http=given.plain_http):
            sys.stdout.write(f"{reference}\n")
            sys.stdout.flush()
    except StepError as failed:
        sys.stderr.write(f"{failed}\n")
        return 1
    return 0


def push(folder: Path, registry: str, *, plain_http: bool = False) -> Iterator[str]:
    """Push the images, then the chart that names them; yield each as REPOSITORY@DIGEST."""
    crane: list[str | Path] = [programs.installed(REGISTRY, CRANE) / "crane"]
    crane += ["--insecure"] if plain_http else []
    version = folder.name
    images = sorted(folder.glob(f"*{IMAGE}"))
    charts = sorted(folder.glob("*.tgz"))
    if not images or len(charts) != 1:
        raise StepError(f"{folder} holds no release: run `make release REGISTRY={registry}` first")
    for image in images:
        repository = f"{registry}/{image.name.removesuffix(f'-{version}{IMAGE}')}"
        yield f"{repository}@{_pushed(crane, image, repository, version)}"
    helm = programs.helm() / "helm"
    run([helm, "push", charts[0], f"oci://{registry}/charts", *(["--plain-http"] if plain_http else [])])
    repository = f"{registry}/charts/modelwright"
    yield f"{repository}@{_digest(crane, f'{repository}:{version}')}"


def _pushed(crane: Sequence[str | Path], image: Path, repository: str, version: str) -> str:
    """Push one image and return its digest, which has to be that of the archive."""
    with tempfile.TemporaryDirectory(dir=image.parent) as scratch:
        with tarfile.open(image) as archive:
            archive.extractall(scratch, filter="data")
        index = json.loads(Path(scratch, "index.json").read_text())
        run([*crane, "push", scratch, f"{repository}:{version}"])
    (packed,) = (manifest["digest"] for manifest in index["manifests"])
    found = _digest(crane, f"{repository}:{version}")
    if found != packed:
        raise StepError(f"{repository}:{version} is {found} in the registry, and {packed} in {image.name}")
    return found


def _digest(crane: Sequence[str | Path], reference: str) -> str:
    return run([*crane, "digest", reference]).strip()


if __name__ == "__main__":
    sys.exit(main())
