"""Data that a container of the user's own has made: what it leaves in its folder is read as a folder of a claim is."""

import hashlib
import os

import pytest
from unit.training.pod import Ending, Pod, numbers

ROWS = numbers(60)
IMAGE = "ghcr.io/acme/feast@sha256:" + "a" * 64


def fetch(pod: Pod, **data: object) -> Ending:
    return pod.given(data={"uri": f"source://{IMAGE}", **data}).run("fetch")


@pytest.mark.parametrize("name", ["data.parquet", "rows.csv", "000000_0"])
def test_the_file_that_a_container_wrote_is_the_data(pod: Pod, name: str) -> None:
    pod.given_rows(ROWS, name)
    content = (pod.paths.source / name).read_bytes()

    ending = fetch(pod)

    line = f"sha256:{hashlib.sha256(content).hexdigest()}  {name}\n"
    assert ending.result["digest"] == f"sha256:{hashlib.sha256(line.encode()).hexdigest()}"
    assert ending.result["rows"] == {"train": 48, "holdout": 12}
    assert pod.source_facts["source"] == f"source://{IMAGE}"


def test_files_of_one_schema_are_one_table_and_marks_are_left_out(pod: Pod) -> None:
    for place in range(3):
        pod.given_rows(ROWS[place * 20 :][:20], f"part-{place}.parquet")
    (pod.paths.source / "_SUCCESS").touch()
    (pod.paths.source / ".tmp").write_text("x")
    assert fetch(pod).result["rows"] == {"train": 48, "holdout": 12}


def test_a_container_that_wrote_nothing_is_named_with_what_to_do(pod: Pod) -> None:
    (pod.paths.source / ".cache").mkdir()
    ending = fetch(pod)
    assert (ending.reason, ending.code) == ("SourceWroteNothing", 65)
    assert IMAGE in ending.message
    assert "/out" in ending.message


def test_a_file_without_rows_is_empty_data(pod: Pod) -> None:
    (pod.paths.source / "data.csv").touch()
    assert fetch(pod).reason == "DataEmpty"


def test_files_that_differ_are_refused_with_the_difference(pod: Pod) -> None:
    pod.given_rows(ROWS, "a.csv").given_rows(ROWS.drop(columns="x1"), "b.csv")
    ending = fetch(pod)
    assert (ending.reason, ending.code) == ("FilesDiffer", 65)
    assert "'b.csv' lacks 'x1'" in ending.message


def test_what_breaks_the_schema_ends_the_run_as_with_any_source(pod: Pod) -> None:
    pod.given_rows(ROWS, "data.parquet")
    ending = fetch(pod, schema={"x0": {"max": -100}})
    assert (ending.reason, ending.code) == ("SchemaViolation", 65)


@pytest.mark.parametrize("leads_to", ["/etc/passwd", "../etc/modelwright/run/run.json"])
def test_a_link_that_leads_out_of_the_folder_is_refused(pod: Pod, leads_to: str) -> None:
    (pod.paths.source / "data.csv").symlink_to(leads_to)
    assert fetch(pod).reason == "UriUnsupported"


def test_a_link_in_the_folder_does_not_double_its_rows(pod: Pod) -> None:
    pod.given_rows(ROWS, "data.csv")
    (pod.paths.source / "latest.csv").symlink_to("data.csv")
    assert "the same file" in fetch(pod).message


def test_a_pipe_is_no_data_and_no_wait(pod: Pod) -> None:
    os.mkfifo(pod.paths.source / "data.csv")
    assert fetch(pod).reason == "DataUnreadable"


def test_a_folder_in_the_folder_is_refused(pod: Pod) -> None:
    (pod.paths.source / "year=2026").mkdir()
    assert "holds folders" in fetch(pod).message
