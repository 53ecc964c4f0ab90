"""A folder or a pattern of many files: one table, one digest, and what does not fit together."""

import gzip
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from unit.training.pod import Ending, Pod, numbers
from unit.training.test_files import given_memory

from modelwright_training.reading import folders

ROWS = numbers(60)
MONTHS = [ROWS[:20], ROWS[20:40], ROWS[40:]]


def export(pod: Pod, suffix: str = "csv", months: list[pd.DataFrame] = MONTHS) -> Path:
    folder = pod.paths.source / "export"
    folder.mkdir()
    for place, month in enumerate(months):
        path = folder / f"2026-{place}.{suffix}"
        month.to_parquet(path, index=False) if suffix == "parquet" else month.to_csv(path, index=False)
    return folder


def fetch(pod: Pod, path: str = "export", **data: object) -> Ending:
    return pod.given(data={"uri": f"pvc://lake/{path}", **data}).run("fetch")


def read(pod: Pod) -> list[float]:
    both = pd.concat([pd.read_parquet(pod.paths.train_rows), pd.read_parquet(pod.paths.holdout_rows)])
    return sorted(both["x0"])


@pytest.mark.parametrize("path", ["export", "export/*", "export/2026-[0-2].*", "./export/2026-?.csv"])
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_the_files_of_a_folder_are_one_table(pod: Pod, path: str, suffix: str) -> None:
    folder = export(pod, suffix)
    (folder / "_SUCCESS").touch()
    (folder / ".2026-0.crc").write_bytes(b"\0")
    ending = fetch(pod, path.replace("csv", suffix))
    assert ending.result["rows"] == {"train": 48, "holdout": 12}
    assert read(pod) == sorted(ROWS["x0"])
    assert ending.result["size"] == sum(path.stat().st_size for path in folder.glob("2026*"))


def test_a_pattern_leaves_other_files_out(pod: Pod) -> None:
    export(pod)
    assert fetch(pod, "export/2026-[12].csv").code == 0
    assert read(pod) == sorted(ROWS["x0"][20:])


def test_the_digest_of_a_folder_is_that_of_its_list_of_digests(pod: Pod) -> None:
    folder = export(pod)
    lines = [
        f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in folder.iterdir()
    ]
    digest = f"sha256:{hashlib.sha256(''.join(sorted(lines)).encode()).hexdigest()}"
    assert fetch(pod).result["digest"] == digest
    assert fetch(pod, digest=digest).code == 0
    (folder / "2026-0.csv").rename(folder / "2026-9.csv")
    assert fetch(pod, digest=digest).reason == "DigestMismatch"


def test_a_file_with_a_name_like_a_pattern_is_one_file(pod: Pod) -> None:
    ROWS.to_csv(pod.paths.source / "rows[1]*.csv", index=False)
    digest = f"sha256:{hashlib.sha256((pod.paths.source / 'rows[1]*.csv').read_bytes()).hexdigest()}"
    assert fetch(pod, "rows[1]*.csv").result["digest"] == digest


def test_files_may_be_compressed_and_have_their_columns_in_another_order(pod: Pod) -> None:
    folder = export(pod)
    (folder / "2026-1.csv").unlink()
    content = MONTHS[1][reversed(MONTHS[1].columns)].to_csv(index=False).encode()
    (folder / "2026-1.csv.gz").write_bytes(gzip.compress(content))
    assert fetch(pod).code == 0
    assert read(pod) == sorted(ROWS["x0"])


def test_numbers_are_widened_where_that_is_exact(pod: Pod) -> None:
    months = [MONTHS[0].assign(x0=range(20)), MONTHS[1].assign(x0=[np.nan, 0.5] * 10)]
    export(pod, "parquet", [months[0].astype({"x0": "int64"}), months[1], MONTHS[2].assign(x0=None)])
    assert fetch(pod).code == 0
    assert sorted(value for value in read(pod) if not np.isnan(value))[:3] == [0.0, 0.5, 0.5]


def test_numbers_that_have_no_exact_common_type_are_refused(pod: Pod) -> None:
    export(pod, "parquet", [MONTHS[0].assign(x0=2**53 + 1), MONTHS[1].assign(x0=0.5)])
    ending = fetch(pod)
    assert (ending.reason, ending.code) == ("FilesDiffer", 65)
    assert "'x0'" in ending.message


def rename(folder: Path) -> None:
    MONTHS[1].rename(columns={"x1": "x one"}).to_csv(folder / "2026-1.csv", index=False)


def drop(folder: Path) -> None:
    MONTHS[1].drop(columns=["x1", "x2"]).to_csv(folder / "2026-1.csv", index=False)


def mix(folder: Path) -> None:
    MONTHS[1].to_parquet(folder / "2026-1.csv", index=False)


def separate(folder: Path) -> None:
    MONTHS[1].to_csv(folder / "2026-1.csv", index=False, sep=";")


def retype(folder: Path) -> None:
    for place, month in enumerate([MONTHS[0], MONTHS[1].assign(x1="text"), MONTHS[2]]):
        month.to_parquet(folder / f"2026-{place}.csv", index=False)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (rename, "'2026-1.csv' lacks 'x1' and has 'x one'"),
        (drop, "'2026-1.csv' lacks 'x1', 'x2'"),
        (mix, "'2026-0.csv' is csv, but '2026-1.csv' is parquet"),
        (separate, "end with ',', those of '2026-1.csv' with ';'"),
        (retype, "column 'x1' is double in '2026-0.csv' and"),
    ],
)
def test_a_file_that_differs_is_named_with_the_difference(
    pod: Pod, spoil: Callable[[Path], None], says: str
) -> None:
    spoil(export(pod))
    ending = fetch(pod)
    assert (ending.reason, ending.code) == ("FilesDiffer", 65)
    assert says in ending.message


def test_empty_files_and_copies_are_noted(pod: Pod) -> None:
    folder = export(pod)
    (folder / "part-0.csv").touch()
    (folder / "part-1.csv").write_bytes((folder / "2026-0.csv").read_bytes())
    notes = fetch(pod).result["notes"]
    assert "1 empty files were left out" in notes
    assert "files '2026-0.csv' and 'part-1.csv' hold the same bytes" in notes


def test_a_second_name_of_a_file_does_not_double_its_rows(pod: Pod) -> None:
    folder = export(pod)
    (folder / "latest.csv").symlink_to("2026-2.csv")
    assert "'2026-2.csv' and 'latest.csv'" in fetch(pod).message
    (folder / "latest.csv").unlink()
    os.link(folder / "2026-2.csv", folder / "latest.csv")
    assert fetch(pod).reason == "DataUnreadable"


@pytest.mark.parametrize(
    ("path", "reason", "says"),
    [
        ("export/*.parquet", "DataNotFound", "The folder holds: '2026-0.csv'"),
        ("exports/*.csv", "DataNotFound", "The folder holds: export."),
        ("exp*/2026-0.csv", "UriUnsupported", "pattern in a folder's name"),
        ("export/../../*", "UriUnsupported", "leads out"),
    ],
)
def test_a_pattern_that_finds_nothing_says_so(pod: Pod, path: str, reason: str, says: str) -> None:
    export(pod)
    ending = fetch(pod, path)
    assert (ending.reason, ending.code) == (reason, 65)
    assert says in ending.message


@pytest.mark.parametrize(("name", "says"), [("date=2026-01", "holds folders"), ("_delta_log", "Delta Lake")])
def test_folders_in_a_folder_are_refused(pod: Pod, name: str, says: str) -> None:
    (export(pod) / name).mkdir()
    assert says in fetch(pod).message


def test_a_link_out_of_the_volume_is_refused_in_a_folder_too(pod: Pod) -> None:
    (export(pod) / "2026-7.csv").symlink_to("/etc/passwd")
    assert fetch(pod).reason == "UriUnsupported"


def test_an_empty_folder_is_not_found(pod: Pod) -> None:
    export(pod, months=[])
    assert fetch(pod).reason == "DataNotFound"


def test_the_count_of_files_is_bounded(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "MAX_FILES", 2)
    export(pod)
    ending = fetch(pod)
    assert ending.reason == "DataTooLarge"
    assert "3 files; the limit is 2" in ending.message


def test_memory_is_bounded_over_all_files(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = pod.paths.source / "export"
    folder.mkdir()
    for place in range(4):
        table = pa.table({"x": range(100_000), "y": [0, 1] * 50_000, "z": [place] * 100_000})
        pyarrow.parquet.write_table(table, folder / f"{place}.parquet")
    given_memory(monkeypatch, 7)
    assert fetch(pod).reason == "DataTooLarge"
    assert fetch(pod, sample={"rows": 1000}).result["rows"] == {"train": 800, "holdout": 200}
