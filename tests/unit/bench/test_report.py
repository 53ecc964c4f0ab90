"""The report shows what was found, and the document takes it between its marks."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench.document import BEGIN, DOCUMENT, END, main, placed
from bench.report import report, table
from bench.results import Results
from unit.bench.given import footprint, load, results, sample


@pytest.fixture
def found() -> Results:
    loads = [load("one-16", [sample(24_000, cpu_us=8)], [sample(1000, cpu_us=80)])]
    return results(loads=loads, footprints=[footprint()])


def test_a_server_stands_beside_ours_with_both_ratios(found: Results) -> None:
    line = next(line for line in report(found).splitlines() if line.startswith("| FastAPI"))

    assert "| 24.0x |" in line
    assert "| 10.0x |" in line


def test_an_earlier_revision_stands_beside_every_other_server() -> None:
    ours, before, fastapi = [sample(24_000, cpu_us=8)], [sample(12_000, cpu_us=16)], [sample(1000, cpu_us=80)]
    beside = load("one-16", ours, fastapi, modelwright_before=before)

    shown = report(results(loads=[beside], before="0ld"))

    assert "Beside the revision `0ld`" in shown
    assert "| one row | FastAPI | 12.00x (12.00-12.00) | 5.00x | 24.00x (24.00-24.00) | 10.00x |" in shown
    assert "| one row | modelwright before |  |  | 2.00x (2.00-2.00) | 2.00x |" in shown
    assert "Beside the revision" not in report(results(loads=[beside]))


def test_a_missed_target_stands_out() -> None:
    missed = results(footprints=[footprint(resident=99)])

    assert "| resident memory after the loads | <= 70 MiB | 99 MiB | **missed** |" in report(missed)


def test_a_quick_look_says_that_it_is_none(found: Results) -> None:
    quick = found.model_copy(update={"quick": True})

    assert "too short to quote" in report(quick)
    assert "too short to quote" not in report(found)


@pytest.mark.parametrize(("others_busy", "said"), [(0.31, True), (0.3, False)])
def test_a_machine_that_was_not_ours_alone_is_told(others_busy: float, said: bool) -> None:
    disturbed = sample(1).model_copy(update={"others_busy": others_busy})
    found = results(loads=[load("one-16", [disturbed] * 3, [disturbed] * 3)])

    assert ("not to be quoted" in report(found)) is said


def test_what_could_not_be_measured_is_said(found: Results) -> None:
    assert "- gRPC: nobody listens" in report(found.model_copy(update={"missing": ["gRPC: nobody listens"]}))


def test_a_table_has_a_line_below_its_head() -> None:
    assert table(("a", "b"), [("1", "2")]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


def test_results_survive_their_file(found: Results) -> None:
    assert Results.model_validate_json(found.model_dump_json()) == found


def test_only_what_is_between_the_marks_is_replaced() -> None:
    assert placed(f"before\n{BEGIN}\nold\n{END}\nafter", "new\n") == f"before\n{BEGIN}\nnew\n{END}\nafter"


@pytest.mark.parametrize("document", ["nothing", BEGIN, f"{END} {BEGIN}"])
def test_a_document_without_marks_is_not_touched(document: str) -> None:
    with pytest.raises(ValueError, match="followed by"):
        placed(document, "new")


def test_the_document_is_written_from_the_last_results(found: Results, tmp_path: Path) -> None:
    results_file, document = tmp_path / "results.json", tmp_path / "document.md"
    results_file.write_text(found.model_dump_json())
    document.write_text(f"{BEGIN}{END}")

    assert main(results_file, document) == 0
    assert document.read_text() == f"{BEGIN}\n{report(found)}{END}"


def test_a_quick_look_does_not_get_into_the_document(found: Results, tmp_path: Path) -> None:
    results_file, document = tmp_path / "results.json", tmp_path / "document.md"
    results_file.write_text(found.model_copy(update={"quick": True}).model_dump_json())
    document.write_text(f"{BEGIN}{END}")

    assert main(results_file, document) == 1
    assert document.read_text() == f"{BEGIN}{END}"


def test_the_real_document_has_its_marks() -> None:
    assert placed(DOCUMENT.read_text(), "new\n").count("new\n") == 1
