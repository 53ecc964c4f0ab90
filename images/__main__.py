"""`python3 -m images`: builds what has changed, loads it into the cluster, writes Helm values with the tags."""

import fcntl
import sys
from pathlib import Path
from typing import Protocol

from cluster import kind
from cluster.paths import IMAGE_VALUES, LOCK
from cluster.shell import StepError
from cluster.steps import say, step

from images import buildah, docker, modes, python
from images.recipe import RECIPES, Recipe

VALUES = {"operator": "image", "serving": "servingImage", "training": "trainingImage"}


class Engine(Protocol):
    """What builds images and hands them to the cluster; the modules `buildah` and `docker` are such."""

    def running(self) -> bool: ...
    def loaded(self, name: str, /) -> bool: ...
    def base(self) -> str: ...
    def built(self, name: str) -> bool: ...
    def build(self, recipe: Recipe, folder: Path, name: str, base_image: str) -> None: ...
    def load(self, name: str, /) -> None: ...
    def size(self, name: str) -> int: ...


def main() -> int:
    """Do it for every image; report a failure in one place."""
    engine: Engine = docker if kind.engine_answers() else buildah
    try:
        LOCK.parent.mkdir(parents=True, exist_ok=True)
        with LOCK.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            cluster_runs = engine.running()
            base = engine.base()
            names = {recipe.name: provide(recipe, engine, base, cluster_runs) for recipe in RECIPES}
    except StepError as failed:
        say(f"\n{failed}")
        return 1
    _write_values(names)
    if not cluster_runs:
        say("no cluster runs: `make cluster`, then `make images` loads them")
    return 0


def provide(recipe: Recipe, engine: Engine, base: str, cluster_runs: bool) -> str:
    """Build and load the image unless that is done already; return its name."""
    folder = python.dependencies(recipe)
    tag = recipe.tag(base, python.installed(folder))
    name = f"{recipe.repository}:{tag}"
    if not engine.built(name):
        with step(f"{recipe.name}: build the image"):
            python.application(recipe, folder)
            modes.for_any_user(folder)
            if recipe.tag(base, python.installed(folder)) != tag:
                raise StepError(f"{recipe.package} changed while it was being built: try again")
            engine.build(recipe, folder, name, base)
    if cluster_runs and not engine.loaded(name):
        with step(f"{recipe.name}: load it into the cluster"):
            engine.load(name)
    say(f"{name}  {engine.size(name) / 1e6:.0f} MB")
    return name


def _write_values(names: dict[str, str]) -> None:
    lines: list[str] = []
    for program, name in names.items():
        repository, tag = name.rsplit(":", 1)
        lines += [f"{VALUES[program]}:", f"  repository: {repository}", f"  tag: {tag}"]
    IMAGE_VALUES.parent.mkdir(exist_ok=True)
    IMAGE_VALUES.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main())
