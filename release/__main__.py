"""Makes a release from a clean tree: `python3 -m release`, which `make release` runs."""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import re
import shutil
import sys
import tempfile
import tomllib
from datetime import UTC, datetime
from pathlib import Path

from cluster import programs
from cluster.packages import IMAGES, install_missing
from cluster.paths import CACHE, LOCK, REPOSITORY
from cluster.shell import StepError, run
from cluster.steps import say, step
from images import buildah
from images.__main__ import VALUES, provide
from images.recipe import RECIPES

from release import archive, bom, chart
from release.notes import MOST_CHANGES, files, notes, previous

CHART = REPOSITORY / "charts" / "modelwright"
OPENSHIFT = REPOSITORY / "charts" / "openshift.yaml"
_REGISTRY = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?(:[0-9]{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*)?")


def main() -> int:
    """Make it, or say in one line what keeps it from being made."""
    given = _arguments()
    try:
        _release(given.registry, given.source, given.output, given.allow_changes)
    except StepError as failed:
        say(f"\n{failed}")
        return 1
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("release", description=__doc__)
    parser.add_argument(
        "--registry", default="", help="where the images will be: HOST/PATH (default: not said)"
    )
    parser.add_argument("--source", default="", help="address of the source repository (default: not said)")
    parser.add_argument("--output", type=Path, default=REPOSITORY / "dist", help="folder of the releases")
    parser.add_argument("--allow-changes", action="store_true", help="take a tree that is not committed")
    given = parser.parse_args()
    if not _REGISTRY.fullmatch(given.registry):
        parser.error("--registry has to be HOST[:PORT][/PATH] in lower case, without a scheme")
    return given


def _release(registry: str, source: str, output: Path, allow_changes: bool) -> None:
    changed = _git("status", "--porcelain")
    if changed and not allow_changes:
        raise StepError(
            f"the tree has changes that are not committed; commit or remove them first:\n{changed}"
        )
    version = str(tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"])
    tag = _git("tag", "--points-at", "HEAD", "v*")
    if tag and f"v{version}" not in tag.split():
        raise StepError(
            f"the commit has the tag {tag}, and pyproject.toml has version {version}: make them agree"
        )
    moment = int(_git("log", "-1", "--format=%ct"))
    before = previous(_git("tag", "--merged", "HEAD", "--sort=-version:refname", "v*").split(), version)
    subjects = _git("log", "--format=%s", *([f"{before}..HEAD"] if before else ["HEAD"])).splitlines()
    origin = chart.Origin(version, moment, registry, source, tuple(subjects[:MOST_CHANGES]))
    folder = output / version
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    _write(folder, origin)
    described = notes(version, before, subjects, files(version))
    (folder / "RELEASE-NOTES.md").write_text(described)
    sums = [f"{_sha256(path)}  {path.name}\n" for path in sorted(folder.iterdir())]
    (folder / "SHA256SUMS").write_text("".join(sums))
    say(f"{folder}: {len(sums) + 1} files")


def _write(folder: Path, origin: chart.Origin) -> None:
    """Write everything but the notes and the sums."""
    helm = programs.helm() / "helm"
    version = origin.version
    pinned, packed = folder / "images.yaml", folder / f"modelwright-{version}.tgz"
    digests = _images(folder, origin)
    pinned.write_text("".join(_pinned(name, version, digest) for name, digest in digests.items()))
    with step("chart and manifests"), tempfile.TemporaryDirectory() as scratch:
        prepared = Path(scratch) / "modelwright"
        chart.prepare(CHART, origin, prepared)
        chart.package(helm, prepared, origin.moment, Path(scratch), packed)
        (folder / "install.yaml").write_text(chart.manifest(helm, packed, pinned))
        crds = sorted((REPOSITORY / "crds").glob("*.yaml"))
        (folder / "crds.yaml").write_text("".join(f"---\n{path.read_text().strip()}\n" for path in crds))
        shutil.copyfile(OPENSHIFT, folder / "openshift.yaml")


def _images(folder: Path, origin: chart.Origin) -> dict[str, str]:
    """Build the images where that has not been done, and pack them; return their digests by program."""
    revision = _git("rev-parse", "HEAD")
    moment = datetime.fromtimestamp(origin.moment, UTC).isoformat()
    digests: dict[str, str] = {}
    install_missing(IMAGES)
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    with LOCK.open("w") as lock, tempfile.TemporaryDirectory(dir=CACHE) as layers:
        fcntl.flock(lock, fcntl.LOCK_EX)
        base = buildah.base()
        for recipe in RECIPES:
            built = buildah.place(provide(recipe, buildah, base, False))
            repository = f"modelwright-{recipe.name}"
            name = f"{origin.registry}/{repository}" if origin.registry else repository
            annotations = {
                "org.opencontainers.image.title": repository,
                "org.opencontainers.image.version": origin.version,
                "org.opencontainers.image.revision": revision,
                "org.opencontainers.image.licenses": "Apache-2.0",
                **({"org.opencontainers.image.source": origin.source} if origin.source else {}),
            }
            target = folder / f"{repository}-{origin.version}.oci.tar"
            with step(f"{recipe.name}: pack the image and list its packages"):
                tagged = f"{name}:{origin.version}"
                digests[recipe.name] = archive.pack(built, tagged, annotations, Path(layers), target)
                bill = bom.document(tagged, digests[recipe.name], bom.packages(built), moment)
                text = json.dumps(bill, indent=2) + "\n"
                (folder / f"{repository}-{origin.version}.cdx.json").write_text(text)
    return digests


def _pinned(program: str, version: str, digest: str) -> str:
    return f"{VALUES[program]}:\n  tag: {version}\n  digest: {digest}\n"


def _sha256(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _git(*arguments: str) -> str:
    return run(["git", "-C", REPOSITORY, *arguments]).strip()


if __name__ == "__main__":
    sys.exit(main())
