"""What goes into each image, and the tag that follows from it: another content, another tag."""

import hashlib
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cluster.paths import REPOSITORY

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Recipe:
    """One image: a Python project of this repository on top of its dependencies."""

    name: str
    project: Path
    package: Path
    # A project of this repository that it needs, which is installed beside it.
    library: "Recipe | None" = None

    @property
    def repository(self) -> str:
        """The image's name without a tag."""
        return f"localhost/modelwright-{self.name}"

    @property
    def dockerfile(self) -> Path:
        """How the parts come together."""
        return HERE / f"{self.name}.Dockerfile"

    def dependencies(self) -> list[str]:
        """Return the requirements that the project and its library declare, but for the library itself."""
        if self.library is None:
            return list(self._project()["dependencies"])
        own = [name for name in self._project()["dependencies"] if name != self.library._project()["name"]]
        return [*own, *self.library.dependencies()]

    def projects(self) -> list[Path]:
        """Return the folders of the project and of its library."""
        return [self.project, *([self.library.project] if self.library else [])]

    def tag(self, base: str, installed: Iterable[str]) -> str:
        """Return the version and a hash of the base, the installed packages and our own files."""
        files = [self.dockerfile, *self._files(), *(self.library._files() if self.library else ())]
        digest = hashlib.sha256("\n".join([base, *installed]).encode())
        for path in files:
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(f"\n{path.relative_to(REPOSITORY)}\n".encode())
                digest.update(path.read_bytes())
        return f"{self._project()['version']}-{digest.hexdigest()[:12]}"

    def _files(self) -> list[Path]:
        return [self.project / "pyproject.toml", *sorted(self.package.rglob("*"))]

    def _project(self) -> dict[str, str]:
        document = tomllib.loads((self.project / "pyproject.toml").read_text())
        return dict(document["project"])


STORES = Recipe("stores", REPOSITORY / "stores", REPOSITORY / "stores" / "modelwright_stores")
RECIPES = (
    Recipe("operator", REPOSITORY, REPOSITORY / "operator" / "modelwright"),
    Recipe("serving", REPOSITORY / "serving", REPOSITORY / "serving" / "modelwright_serving", STORES),
    Recipe("training", REPOSITORY / "training", REPOSITORY / "training" / "modelwright_training", STORES),
)
