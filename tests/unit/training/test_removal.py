"""An artifact is deleted only when no run needs it, whenever a run publishes it or the deletion is killed."""

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from unit.training.killed import lines_survived
from unit.training.pod import Json, Pod, numbers, schema

from modelwright_training import files
from modelwright_training.errors import InputError, OutsideError
from modelwright_training.files import digest_of
from modelwright_training.storing import removal, volume
from modelwright_training.storing.layout import is_over, mark_of
from modelwright_training.storing.removal import remove
from modelwright_training.storing.volume import put

FILES = {"model.onnx": b"the model", "report.json": b"{}", "model.sig": b"{}"}
DIGEST = digest_of(FILES["model.onnx"])
FOLDER = DIGEST.replace(":", "-")
OLD, NEW = mark_of("team", "churn", 1), mark_of("team", "churn", 2)
OWN = {str(module.__file__) for module in (files, removal, volume)}


def is_old(mark: str) -> bool:
    return mark == OLD


def deletes(prefix: Path) -> list[str]:
    return remove(prefix / FOLDER, DIGEST, is_old)


def publishes(prefix: Path) -> bool:
    return put(prefix, DIGEST, FILES, NEW)


def holds_the_model(prefix: Path, mark: str) -> bool:
    folder = prefix / FOLDER
    return (folder / "model.onnx").read_bytes() == FILES["model.onnx"] and (folder / mark).is_file()


def test_what_no_run_needs_is_deleted_without_a_trace(tmp_path: Path) -> None:
    put(tmp_path, DIGEST, FILES, OLD)

    assert deletes(tmp_path) == []
    assert list(tmp_path.iterdir()) == []
    assert deletes(tmp_path) == [], "a second time is fine"


def test_what_another_run_has_published_is_kept_until_that_is_over_as_well(tmp_path: Path) -> None:
    put(tmp_path, DIGEST, FILES, OLD)
    put(tmp_path, DIGEST, FILES, NEW)

    assert deletes(tmp_path) == [NEW]
    assert holds_the_model(tmp_path, NEW)
    assert not (tmp_path / FOLDER / OLD).exists(), "the next deletion need not know of this one"
    assert remove(tmp_path / FOLDER, DIGEST, lambda mark: mark == NEW) == []
    assert list(tmp_path.iterdir()) == []


def test_what_an_earlier_release_has_published_has_no_mark(tmp_path: Path) -> None:
    put(tmp_path, DIGEST, FILES, OLD)
    (tmp_path / FOLDER / OLD).unlink()

    assert deletes(tmp_path) == []


def test_a_file_of_somebody_else_keeps_the_folder(tmp_path: Path) -> None:
    put(tmp_path, DIGEST, FILES, OLD)
    (tmp_path / FOLDER / "notes.txt").write_text("mine")

    assert deletes(tmp_path) == ["notes.txt"]
    assert (tmp_path / FOLDER / "model.onnx").is_file()


@pytest.mark.parametrize("content", [b"tampered", None])
def test_a_folder_that_does_not_hold_what_it_is_named_after_is_left_alone(
    tmp_path: Path, content: bytes | None
) -> None:
    (tmp_path / FOLDER).mkdir()
    if content:
        (tmp_path / FOLDER / "model.onnx").write_bytes(content)

    with pytest.raises(InputError) as refused:
        deletes(tmp_path)

    assert refused.value.reason == "StoreCorrupt"
    assert (tmp_path / FOLDER).is_dir()


def at_line(number: int, act: Callable[[], object], work: Callable[[], object]) -> bool:
    """Does some work, and something else right before its line of this number. False if it has fewer lines."""
    seen, acted = 0, False

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal seen, acted
        if frame.f_code.co_filename not in OWN:
            return None
        seen += event == "line"
        if seen == number and not acted:
            acted = True
            other = threading.Thread(target=act)  # it is not traced
            other.start()
            other.join()
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return acted


def test_a_run_that_publishes_at_any_line_of_a_deletion_keeps_its_model(tmp_path: Path) -> None:
    line = 1
    while True:
        prefix = tmp_path / str(line)
        put(prefix, DIGEST, FILES, OLD)
        if not at_line(line, lambda prefix=prefix: publishes(prefix), lambda prefix=prefix: deletes(prefix)):  # type: ignore[misc]
            break
        assert holds_the_model(prefix, NEW), line
        assert [entry.name for entry in prefix.iterdir()] == [FOLDER], line
        line += 1
    assert line > 30


def test_a_deletion_at_any_line_of_a_publication_takes_nothing_from_it(tmp_path: Path) -> None:
    line = 1
    while True:
        prefix = tmp_path / str(line)
        put(prefix, DIGEST, FILES, OLD)
        if not at_line(line, lambda prefix=prefix: deletes(prefix), lambda prefix=prefix: publishes(prefix)):  # type: ignore[misc]
            break
        assert holds_the_model(prefix, NEW), line
        line += 1
    assert line > 10


def test_of_two_deletions_at_the_same_time_one_is_done(tmp_path: Path) -> None:
    line = 1
    while True:
        prefix = tmp_path / str(line)
        put(prefix, DIGEST, FILES, OLD)
        put(prefix, DIGEST, FILES, NEW)
        ended: list[list[str]] = []

        def of_the_new_one(prefix: Path = prefix, ended: list[list[str]] = ended) -> None:
            ended.append(remove(prefix / FOLDER, DIGEST, lambda mark: mark == NEW))

        try:
            interrupted = at_line(line, of_the_new_one, lambda prefix=prefix: deletes(prefix))  # type: ignore[misc]
        except OutsideError:  # the Job tries again
            interrupted = True
        if not interrupted:
            break
        deletes(prefix)
        assert list(prefix.iterdir()) == [], line
        line += 1


KILLED_AT_EACH_LINE = """
from pathlib import Path
from modelwright_training import files
from modelwright_training.storing import layout, removal, volume

OWN = {volume.__file__, files.__file__, removal.__file__}
CONTENT = {"model.onnx": b"the model", "report.json": b"{}"}
DIGEST = files.digest_of(CONTENT["model.onnx"])
OLD, NEW = layout.mark_of("team", "churn", 1), layout.mark_of("team", "churn", 2)

line = 0
while True:
    line += 1
    for published in (False, True):
        prefix = Path(sys.argv[1]) / f"{line}-{published}"
        folder = prefix / DIGEST.replace(":", "-")
        volume.put(prefix, DIGEST, CONTENT, OLD)
        child = os.fork()
        if child == 0:
            sys.settrace(dying_at(line))
            removal.remove(folder, DIGEST, lambda mark: mark == OLD)
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if folder.is_dir():
            assert {n: (folder / n).read_bytes() for n in CONTENT} == CONTENT, line
        if published:
            volume.put(prefix, DIGEST, CONTENT, NEW)
        left = removal.remove(folder, DIGEST, lambda mark: mark == OLD)
        assert left == ([NEW] if published else []), (line, left)
        assert [entry.name for entry in prefix.iterdir()] == ([folder.name] if published else []), line
        if published:
            assert files.digest_of_file(folder / "model.onnx") == DIGEST
    if code == 0:
        break
print(line)
"""


def test_a_deletion_that_is_killed_at_any_line_is_ended_by_the_next_one(tmp_path: Path) -> None:
    assert lines_survived(KILLED_AT_EACH_LINE, tmp_path) > 30


def document(artifact: Json, run: int = 1, **parts: Any) -> Json:
    made = {"namespace": "default", "trainingJob": "churn", "run": run, "artifact": artifact, **parts}
    schema("delete").validate(made)
    return made


def published(pod: Pod) -> Json:
    pod.given_rows(numbers(60))
    artifact: Json = pod.through("fetch", "train", "publish").result["artifact"]
    return artifact


def test_the_step_deletes_what_a_run_has_published(pod: Pod) -> None:
    artifact = published(pod)

    result = pod.delete(document(artifact)).result

    assert result == {
        "artifact": {"uri": artifact["uri"], "digest": artifact["digest"]},
        "deleted": True,
        "keptBy": [],
    }
    assert list((pod.paths.artifacts / "churn").iterdir()) == []
    assert pod.run("publish").result["artifact"] == artifact, "a later run publishes it again"


@pytest.mark.parametrize(
    "later",
    [{"run": 2}, {"trainingJob": "churn-1"}, {"namespace": "other"}, {"uid": "0a1b2c3d-cluster-b"}],
    ids=lambda later: next(iter(later)),
)
def test_the_step_keeps_what_a_run_has_published_that_it_was_not_told_of(pod: Pod, later: Json) -> None:
    artifact = published(pod)
    pod.document = {**pod.document, **later}
    assert pod.run("publish").code == 0

    result = pod.delete(document(artifact)).result

    names = {"namespace": "default", "trainingJob": "churn", "run": 1, **later}
    assert (result["deleted"], result["keptBy"]) == (
        False,
        [mark_of(names["namespace"], names["trainingJob"], names["run"], names.get("uid"))],
    )


def test_the_step_deletes_what_the_very_training_job_and_earlier_releases_have_published(pod: Pod) -> None:
    artifact, uid = published(pod), "0a1b2c3d-0000-4000-8000-000000000000"
    pod.document = {**pod.document, "uid": uid, "run": 2}
    assert pod.run("publish").code == 0
    folder = pod.paths.artifacts / "churn" / artifact["digest"].replace(":", "-")
    marks = {".run.default.churn.1", ".run.default.churn.0a1b2c3d.2"}
    assert marks <= {path.name for path in folder.iterdir()}

    assert pod.delete(document(artifact, 2, uid="another")).result["keptBy"] == [
        ".run.default.churn.0a1b2c3d.2"
    ]
    assert pod.delete(document(artifact, 2, uid=uid)).result["deleted"] is True


@pytest.mark.parametrize(
    ("mark", "over"),
    [
        (".run.team.churn.7", True),
        (".run.team.churn.8", False),
        (".run.team.churn.aaaa1111.7", True),
        (".run.team.churn.aaaa1111.8", False),
        (".run.team.churn.bbbb2222.1", False),
        (".run.team.churn.aaaa1111", False),
        (".run.team.churn.aaaa1111.x", False),
        (".run.team.churn.", False),
        (".run.team.churn-2.1", False),
        ("report.json", False),
    ],
)
def test_a_mark_is_over_if_it_is_of_an_ended_run_of_this_very_training_job(mark: str, over: bool) -> None:
    assert is_over(mark, "team", "churn", 7, "aaaa1111-2222") is over


@pytest.mark.parametrize("uri", ["pvc://models/churn/model.onnx", "pvc://models/churn/sha256-0/model.onnx"])
def test_the_step_refuses_what_no_run_has_stored(pod: Pod, uri: str) -> None:
    ending = pod.delete(document({"uri": uri, "digest": DIGEST}))

    assert (ending.reason, ending.code) == ("UriUnsupported", 65)


def test_a_store_that_cannot_be_written_is_worth_another_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, DIGEST, FILES, OLD)

    def read_only(*_: object) -> None:
        raise OSError(30, os.strerror(30))

    monkeypatch.setattr(Path, "rename", read_only)
    with pytest.raises(OutsideError) as failed:
        deletes(tmp_path)

    assert "Read-only file system" in failed.value.message
    assert (tmp_path / FOLDER / "model.onnx").is_file()
