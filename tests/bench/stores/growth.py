"""What the serving image has for the stores alone: in the folder that its packages are installed into."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib.metadata import Distribution, distributions
from pathlib import Path

from bench.stores.results import Image
from cluster.paths import REPOSITORY
from images.python import dependencies
from images.recipe import RECIPES

LIBRARY = "modelwright-stores"


def image() -> Image:
    """Installs the packages if they are not in the cache."""
    recipe = next(recipe for recipe in RECIPES if recipe.name == "serving")
    folder = dependencies(recipe) / "dependencies"
    found = {_plain(one.name): one for one in distributions(path=[str(folder)])}
    needed = _closure(found, replace(recipe, library=None).dependencies())
    added = {name: _bytes(folder, one) for name, one in found.items() if name not in needed}
    library = _size(REPOSITORY / "stores" / "modelwright_stores")
    return Image(total=_size(folder) + library, added={**added, LIBRARY: library})


def _closure(found: dict[str, Distribution], names: list[str]) -> set[str]:
    """The packages that these need, and those that they need."""
    known: set[str] = set()
    left = [_name(name) for name in names]
    while left:
        name = left.pop()
        if name in known or name not in found:
            continue
        known.add(name)
        left += [_name(text) for text in found[name].requires or () if "extra ==" not in text]
    return known


def _bytes(folder: Path, package: Distribution) -> int:
    """All that lies in the folders and files that a package has brought, compiled modules too."""
    tops = {Path(str(file)).parts[0] for file in package.files or ()}
    return sum(_size(folder / top) for top in tops)


def _size(path: Path) -> int:
    files = [path] if path.is_file() else path.rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file())


def _name(requirement: str) -> str:
    return _plain(re.split(r"[\s<>=!~;\[(]", requirement, maxsplit=1)[0])


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
