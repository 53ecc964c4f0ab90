"""The artifact store holds a model whole or not at all, whenever a writer dies."""

import os
import time
from pathlib import Path

import pytest
from unit.training.killed import lines_survived
from unit.training.pod import Pod, numbers

from modelwright_training.errors import InputError
from modelwright_training.files import digest_of
from modelwright_training.storing.layout import mark_of
from modelwright_training.storing.volume import put

FILES = {"model.onnx": b"the model", "report.json": b"{}"}
DIGEST = digest_of(FILES["model.onnx"])
FOLDER = DIGEST.replace(":", "-")
MARK = mark_of("team", "churn", 1)
OTHER = mark_of("team", "churn", 2)

KILLED_AT_EACH_LINE = """
from pathlib import Path
from modelwright_training import files
from modelwright_training.storing import layout, volume

OWN = {volume.__file__, files.__file__}
CONTENT = {"model.onnx": b"the model", "report.json": b"{}"}
DIGEST = files.digest_of(CONTENT["model.onnx"])
MARK = layout.mark_of("team", "churn", 1)

line = 0
while True:
    line += 1
    prefix = Path(sys.argv[1]) / str(line)
    child = os.fork()
    if child == 0:
        sys.settrace(dying_at(line))
        volume.put(prefix, DIGEST, CONTENT, MARK)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    visible = [entry for entry in prefix.iterdir() if not entry.name.startswith(".")] if prefix.exists() else []
    for folder in visible:
        assert {entry.name: entry.read_bytes() for entry in folder.iterdir()} == {**CONTENT, MARK: b""}, (line, folder)
    volume.put(prefix, DIGEST, CONTENT, MARK)
    assert files.digest_of_file(prefix / DIGEST.replace(":", "-") / "model.onnx") == DIGEST
    if code == 0:
        break
print(line)
"""


def test_a_writer_that_is_killed_at_any_line_leaves_nothing_half_done(tmp_path: Path) -> None:
    assert lines_survived(KILLED_AT_EACH_LINE, tmp_path) > 30


def test_the_second_writer_of_the_same_bytes_changes_nothing(tmp_path: Path) -> None:
    assert put(tmp_path, DIGEST, FILES, MARK) is True
    before = (tmp_path / FOLDER / "report.json").stat()
    assert put(tmp_path, DIGEST, {**FILES, "report.json": b"other"}, OTHER) is False
    after = (tmp_path / FOLDER / "report.json").stat()
    assert (before.st_mtime_ns, before.st_ino) == (after.st_mtime_ns, after.st_ino)
    assert [entry.name for entry in tmp_path.iterdir()] == [FOLDER]
    assert {entry.name for entry in (tmp_path / FOLDER).iterdir()} == {*FILES, MARK, OTHER}


@pytest.mark.parametrize("content", [b"tampered", None])
def test_a_folder_that_does_not_hold_what_it_is_named_after_is_left_alone(
    tmp_path: Path, content: bytes | None
) -> None:
    (tmp_path / FOLDER).mkdir()
    if content:
        (tmp_path / FOLDER / "model.onnx").write_bytes(content)
    with pytest.raises(InputError) as refused:
        put(tmp_path, DIGEST, FILES, MARK)
    assert refused.value.reason == "StoreCorrupt"
    found = {entry.name: entry.read_bytes() for entry in (tmp_path / FOLDER).iterdir()}
    assert found == {MARK: b"", **({"model.onnx": content} if content else {})}


def test_what_killed_writers_left_is_cleared_after_a_day_and_not_before(tmp_path: Path) -> None:
    for name, age in ((".sha256-old.x", 2 * 86400), (".sha256-new.x", 60), ("mine", 2 * 86400)):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    put(tmp_path, DIGEST, FILES, MARK)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [".sha256-new.x", "mine", FOLDER]


def test_the_server_s_user_can_read_what_is_stored(tmp_path: Path) -> None:
    put(tmp_path, DIGEST, FILES, MARK)
    assert (tmp_path / FOLDER).stat().st_mode & 0o055 == 0o055


def test_publishing_twice_gives_the_same_result(pod: Pod) -> None:
    pod.given_rows(numbers(60))
    first = pod.through("fetch", "train", "publish").result
    assert pod.run("publish").result == first


def test_a_corrupt_store_ends_the_run(pod: Pod) -> None:
    pod.given_rows(numbers(60))
    assert pod.through("fetch", "train", "publish").code == 0
    (path,) = pod.paths.artifacts.rglob("model.onnx")
    path.write_bytes(b"tampered")
    ending = pod.run("publish")
    assert (ending.reason, ending.code) == ("StoreCorrupt", 65)


def test_a_volume_in_the_way_is_worth_another_try(pod: Pod) -> None:
    pod.given_rows(numbers(60))
    (pod.paths.artifacts / "churn").write_text("a file")
    ending = pod.through("fetch", "train", "publish")
    assert (ending.reason, ending.code) == ("StorageFailed", 75)
