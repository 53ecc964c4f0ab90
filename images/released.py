"""Images of an earlier release for tests of upgrades: its code in place of ours, over the dependencies of today.

Its dependencies are not kept: a test of an upgrade asks whether the code of each release reads what the other wrote.
"""

import fcntl
import hashlib
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cluster import kind
from cluster.paths import LOCK, REPOSITORY

from images import buildah, docker
from images.__main__ import Engine
from images.recipe import HERE, RECIPES, Recipe


@dataclass(frozen=True)
class Released(Recipe):
    """One image of an earlier release."""

    @property
    def dockerfile(self) -> Path:
        """One for all: they differ in their code alone."""
        return HERE / "released.Dockerfile"


def provide(source: Path, present: dict[str, str]) -> dict[str, str]:
    """Build and load what is missing; return the images' names by program, as `present` has those of this checkout.

    `source` is a tree with the packages of the release, in the folders that they have in the repository.
    """
    engine = docker if kind.engine_answers() else buildah
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return {recipe.name: _provide(recipe, engine, source, present[recipe.name]) for recipe in RECIPES}


def _provide(recipe: Recipe, engine: Engine, source: Path, base: str) -> str:
    released = Released(f"released-{recipe.name}", recipe.project, recipe.package)
    packages = [recipe.package, *([recipe.library.package] if recipe.library else [])]
    folders = [source / package.relative_to(REPOSITORY) for package in packages]
    name = f"{released.repository}:{_tag(released, folders, base)}"
    if not engine.built(name):
        with tempfile.TemporaryDirectory() as scratch:
            for folder in folders:
                shutil.copytree(folder, Path(scratch, "application", folder.name))
            engine.build(released, Path(scratch), name, base)
    if not engine.loaded(name):
        engine.load(name)
    return name


def _tag(recipe: Recipe, folders: list[Path], base: str) -> str:
    digest = hashlib.sha256(base.encode() + recipe.dockerfile.read_bytes())
    for path in sorted(path for folder in folders for path in folder.rglob("*") if path.is_file()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
