"""Data in an image of a registry: all tables of its layers, read from a real registry."""

import hashlib
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.stores.registries import Registry, registry
from unit.training.pod import Ending, Pod, numbers

from modelwright_stores.registry import packed
from modelwright_training.reading import folders

ROWS = numbers(60)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Registry]:
    with registry(tmp_path / "registry") as running:
        yield running


def push(server: Registry, folder: Path, files: dict[str, bytes]) -> None:
    """An image `team/rows:v1` with one layer."""
    folder.mkdir()
    with tarfile.open(folder.with_suffix(".tar"), "w") as archive:
        for name, content in files.items():
            path = folder / name.rpartition("/")[2]
            path.write_bytes(content)
            archive.add(path, name)
    server.append("team/rows:v1", folder.with_suffix(".tar"))


def fetch(pod: Pod, server: Registry) -> Ending:
    entry = {"field": "data.store", "endpoint": server.endpoint, "trusted": True}
    pod.given(data={"uri": f"oci://{server.host}/team/rows:v1"})
    return pod.run("fetch", MODELWRIGHT_STORES=json.dumps({"stores": {"data": entry}}))


def test_the_tables_of_an_image_are_one_and_other_files_are_left_out(
    pod: Pod, server: Registry, tmp_path: Path
) -> None:
    months = {f"2026-{place}.csv": ROWS[place * 20 :][:20].to_csv(index=False).encode() for place in range(3)}
    files = {f"data/{name}": content for name, content in months.items()}
    push(server, tmp_path / "layer", {**files, "README.md": b"# rows"})

    ending = fetch(pod, server)

    lines = [f"sha256:{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in months.items()]
    assert ending.result["digest"] == f"sha256:{hashlib.sha256(''.join(sorted(lines)).encode()).hexdigest()}"
    assert ending.result["rows"] == {"train": 48, "holdout": 12}


def test_an_image_without_a_table_says_what_it_holds(pod: Pod, server: Registry, tmp_path: Path) -> None:
    push(server, tmp_path / "layer", {"model.onnx": b"x"})
    ending = fetch(pod, server)
    assert (ending.reason, ending.code) == ("DataNotFound", 65)
    assert "model.onnx" in ending.message


def test_an_image_of_too_many_files_is_refused(
    pod: Pod, server: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "MAX_FILES", 2)
    push(server, tmp_path / "layer", {f"{place}.csv": b"x,y\n1,2\n" for place in range(3)})
    ending = fetch(pod, server)
    assert (ending.reason, ending.code) == ("DataTooLarge", 65)


def test_a_large_layer_is_not_read_again_for_each_of_many_files(
    pod: Pod, server: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed, "MOST_READ", 1_000)
    push(server, tmp_path / "layer", {f"{place}.csv": b"x,y\n1,2\n" for place in range(21)})
    ending = fetch(pod, server)
    assert (ending.reason, ending.code) == ("UriUnsupported", 65)
    assert "21 files are packed in one layer" in ending.message
    assert "oras push" in ending.message


def test_an_image_that_is_not_there_is_not_found(pod: Pod, server: Registry) -> None:
    ending = fetch(pod, server)
    assert ending.code == 65
    assert ending.reason in ("DataNotFound", "BucketNotFound")
