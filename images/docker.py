"""Builds images with Docker and loads them into a kind cluster."""

from pathlib import Path

from cluster import kind
from cluster.paths import CACHE
from cluster.shell import run, succeeds

from images.recipe import Recipe

running = kind.running
loaded = kind.has_image
load = kind.load


def base() -> str:
    """Return the image that ours are built on."""
    return "python:3.11-slim"


def built(name: str) -> bool:
    """Whether the engine has the image."""
    return succeeds(["docker", "image", "inspect", name])


def build(recipe: Recipe, folder: Path, name: str, base_image: str) -> None:
    """Build it."""
    arguments = ["--build-arg", f"BASE={base_image}", "--file", str(recipe.dockerfile), "--tag", name]
    run(["docker", "build", *arguments, folder], log=CACHE / "logs" / f"{recipe.name}-image.log")


def size(name: str) -> int:
    """Return the bytes of all its layers."""
    return int(run(["docker", "image", "inspect", "--format", "{{.Size}}", name]))
