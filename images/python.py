"""Installs the Python side of an image into a folder on this host: dependencies once, our own code each time.

The folder holds two parts, `dependencies` and `application`, which become two layers of the image.
"""

import hashlib
import platform
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

from cluster.packages import install
from cluster.paths import CACHE
from cluster.shell import StepError, run
from cluster.steps import step

from images import slim
from images.recipe import Recipe

VERSION = "3.11"
TARGET = "/opt/modelwright"
BUILD_TOOLS = ("pip>=25.1", "hatchling>=1.27,<2")
# Not "what this host can run" but "what the image can": Debian 12 has glibc 2.36.
MACHINE = {"arm64": "aarch64"}.get(platform.machine(), platform.machine())
PLATFORMS = [f"manylinux_2_{minor}_{MACHINE}" for minor in range(36, 16, -1)] + [f"manylinux2014_{MACHINE}"]


def dependencies(recipe: Recipe) -> Path:
    """Return the folder of the image, with its dependencies installed."""
    folder = CACHE / "python" / f"{recipe.name}-{_key(recipe)}"
    if not folder.exists():
        builder = _builder()
        with step(f"{recipe.name}: install the dependencies"):
            for earlier in folder.parent.glob(f"{recipe.name}-*"):
                shutil.rmtree(earlier)
            partial = folder.with_suffix(".partial")
            _install(recipe, builder / "bin" / "pip", partial)
            partial.rename(folder)
    return folder


def _install(recipe: Recipe, pip: Path, folder: Path) -> None:
    wheels, target = folder / "wheels", folder / "dependencies"
    platforms = [word for name in PLATFORMS for word in ("--platform", name)]
    wanted = ["--only-binary=:all:", "--implementation=cp", f"--python-version={VERSION}", *platforms]
    log = CACHE / "logs" / f"{recipe.name}-dependencies.log"
    run([pip, "download", *wanted, "-d", wheels, *recipe.dependencies()], log=log)
    offline = ["--no-index", "--no-deps", "--no-compile"]
    run([pip, "install", *offline, *wanted, "-t", target, *sorted(wheels.glob("*.whl"))], log=log)
    shutil.rmtree(wheels)
    shutil.rmtree(target / "bin", ignore_errors=True)
    slim.strip(target)
    _compile(target)


def installed(folder: Path) -> list[str]:
    """Name what is installed: the rules it was installed by, the packages and their versions."""
    return [folder.name, *sorted(path.name for path in (folder / "dependencies").glob("*.dist-info"))]


def application(recipe: Recipe, folder: Path) -> None:
    """Install our own code and its console scripts beside the dependencies."""
    target = folder / "application"
    shutil.rmtree(target, ignore_errors=True)
    pip = _builder() / "bin" / "pip"
    options = ["--no-index", "--no-deps", "--no-build-isolation", "--no-compile"]
    run([pip, "install", *options, "-t", target, *recipe.projects()])
    for script in (target / "bin").iterdir():
        lines = script.read_text().splitlines(keepends=True)
        script.write_text("".join(["#!/usr/bin/env python3\n", *lines[1:]]))
    _compile(target)


def _builder() -> Path:
    """Return a virtual environment that has only what builds and installs packages."""
    if sys.version_info[:2] != tuple(int(part) for part in VERSION.split(".")):
        raise StepError(f"the images hold Python {VERSION}: say `make PYTHON=python{VERSION} images`")
    folder = CACHE / f"builder-{VERSION}"
    if not (folder / "ready").exists():
        if not find_spec("ensurepip"):
            install(["python3-venv"])
        with step("prepare pip"):
            run([sys.executable, "-m", "venv", "--clear", folder])
            run([folder / "bin" / "pip", "install", "--upgrade", *BUILD_TOOLS])
            (folder / "ready").touch()
    return folder


def _compile(target: Path) -> None:
    """Compile ahead; never checked against the source, which no one changes inside an image."""
    options = ["-q", "-j", "0", "--invalidation-mode", "unchecked-hash"]
    run([sys.executable, "-m", "compileall", *options, "-s", target, "-p", TARGET, target])


def _key(recipe: Recipe) -> str:
    rules = [Path(__file__).read_text(), Path(slim.__file__).read_text()]
    return hashlib.sha256("\n".join([*recipe.dependencies(), *rules]).encode()).hexdigest()[:12]
