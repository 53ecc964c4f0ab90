"""Models are made once; the server that most tests talk to is started once."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from unit.serving import models
from unit.serving.harness import Served, serving

ModelFile = Callable[[bytes], Path]


@pytest.fixture(scope="session")
def cancer() -> models.Cancer:
    return models.cancer()


@pytest.fixture
def model_file(tmp_path: Path) -> ModelFile:
    """Writes a model where it is served from."""

    def write(content: bytes) -> Path:
        path = tmp_path / "model.onnx"
        path.write_bytes(content)
        return path

    return write


@pytest.fixture(scope="session")
def server(cancer: models.Cancer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The breast cancer classifier, served."""
    path = tmp_path_factory.mktemp("cancer") / "model.onnx"
    path.write_bytes(cancer.content)
    with serving(path, "--model-version", "7") as served:
        yield served.wait_ready()
