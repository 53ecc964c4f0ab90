"""Builds images with buildah, over a Debian base of our own, and keeps them as folders in the cache."""

import hashlib
import shutil
import tempfile
from pathlib import Path

from cluster import node
from cluster.packages import IMAGES, install_missing
from cluster.paths import CACHE
from cluster.shell import run
from cluster.steps import step

from images import layout
from images.recipe import HERE, Recipe

SUITE = "bookworm"
PACKAGES = "python3,ca-certificates"
LEFT_OUT = (
    "./dev/*",
    "./usr/share/bash-completion/*",
    "./usr/share/doc/*",
    "./usr/share/info/*",
    "./usr/share/lintian/*",
    "./usr/share/locale/*",
    "./usr/share/man/*",
    "./var/cache/apt/*",
    "./var/lib/apt/lists/*",
    "./var/log/*",
)
BUILT = CACHE / "images"

running = node.running
loaded = node.has_image


def base() -> str:
    """Return the base image, made of Debian's packages the first time."""
    recipe = "\n".join([SUITE, PACKAGES, *LEFT_OUT])
    name = f"localhost/modelwright-base:{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    made = CACHE / "base" / name.rsplit(":", 1)[-1]
    if not made.exists():
        install_missing(IMAGES)
        with step("make the base image (only the first time)"):
            _debootstrap(made.parent)
            _buildah("build", "--quiet", "--file", HERE / "base.Dockerfile", "--tag", name, made.parent)
            shutil.rmtree(made.parent)
            made.parent.mkdir()
            made.touch()
    return name


def built(name: str) -> bool:
    """Whether the image lies in the cache."""
    return place(name).exists()


def build(recipe: Recipe, folder: Path, name: str, base_image: str) -> None:
    """Build it and replace the recipe's earlier one."""
    arguments = ["--layers", "--build-arg", f"BASE={base_image}", "--file", str(recipe.dockerfile)]
    log = CACHE / "logs" / f"{recipe.name}-image.log"
    _buildah("build", *arguments, "--tag", name, folder, log=log)
    _forget_earlier(recipe, name)
    BUILT.mkdir(exist_ok=True)
    partial = BUILT / "partial"
    _buildah("push", "--quiet", "--disable-compression", "--format", "oci", name, f"dir:{partial}")
    partial.rename(place(name))


def load(name: str) -> None:
    """Hand the node what it has not got of it."""
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        archive = Path(scratch) / "image.tar"
        layout.pack(place(name), name, node.blobs(), archive)
        node.load(archive)


def size(name: str) -> int:
    """Return the bytes of all its layers."""
    return layout.size(place(name))


def _debootstrap(folder: Path) -> None:
    """Make a root file system and pack what an image needs of it."""
    shutil.rmtree(folder, ignore_errors=True)
    root = folder / "root"
    root.mkdir(parents=True)
    log = CACHE / "logs" / "debootstrap.log"
    run(["debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, root], log=log)
    left_out = [f"--exclude={pattern}" for pattern in LEFT_OUT]
    run(["tar", "-C", root, *left_out, "-cf", folder / "root.tar", "."])
    shutil.rmtree(root)


def _forget_earlier(recipe: Recipe, name: str) -> None:
    for folder in BUILT.glob(f"{recipe.name}-*"):
        shutil.rmtree(folder)
    known = _buildah("images", "--format", "{{.Name}}:{{.Tag}}", "--filter", f"reference={recipe.repository}")
    for earlier in set(known.split()) - {name}:
        _buildah("rmi", earlier)


def place(name: str) -> Path:
    """Return where an image lies in the cache."""
    return BUILT / name.rsplit("modelwright-", 1)[-1].replace(":", "-")


def _buildah(action: str, *arguments: str | Path, log: Path | None = None) -> str:
    """Run it over storage of our own; chroot is the isolation that needs no rights but root's."""
    places = ["--root", str(CACHE / "buildah"), "--runroot", "/run/modelwright-buildah"]
    isolation = ["--isolation", "chroot"] if action == "build" else []
    return run(["buildah", "--storage-driver", "overlay", *places, action, *isolation, *arguments], log=log)
