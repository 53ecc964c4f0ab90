"""Which bytes are read: those that the digest is of, of regular files inside the volume, bounded when unpacked."""

import bz2
import gzip
import hashlib
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from unit.training.pod import Ending, Pod, numbers

from modelwright_training import memory
from modelwright_training.errors import InputError
from modelwright_training.reading import gathering, stored

ROWS = numbers(40)
CSV = ROWS.to_csv(index=False).encode()


def zstd(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return bytes(sink.getvalue().to_pybytes())


CODECS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "bz2": bz2.compress, "zstd": zstd}


def fetch(pod: Pod, content: bytes, name: str = "rows.csv", **data: object) -> Ending:
    (pod.paths.source / name).write_bytes(content)
    return pod.given(data={"uri": f"pvc://lake/{name}", **data}).run("fetch")


def sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def test_bytes_that_are_exchanged_while_they_are_read_are_not_parsed(
    pod: Pod, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer of the claim exchanges the rows after they were hashed, in place, and puts the times back."""
    path = pod.paths.source / "rows.csv"
    other = CSV.replace(b"-", b"1").ljust(len(CSV))[: len(CSV)]
    keep = stored.keep

    def keep_then_write(*args: object) -> stored.Kept:
        kept = keep(*args)  # type: ignore[arg-type]
        times = path.stat()
        path.write_bytes(other)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        return kept

    monkeypatch.setattr(stored, "keep", keep_then_write)
    assert fetch(pod, CSV, digest=sha256(CSV)).code == 0
    read = pd.concat([pd.read_parquet(pod.paths.train_rows), pd.read_parquet(pod.paths.holdout_rows)])
    assert set(read["x0"]) == set(ROWS["x0"])
    assert path.read_bytes() == other


@pytest.mark.parametrize("codec", CODECS)
def test_a_compressed_file_is_read_and_has_the_digest_of_the_file(pod: Pod, codec: str) -> None:
    content = CODECS[codec](CSV)
    result = fetch(pod, content).result
    assert (result["digest"], result["size"]) == (sha256(content), len(content))
    assert result["rows"] == {"train": 32, "holdout": 8}


@pytest.mark.parametrize("codec", CODECS)
def test_a_compressed_parquet_file_of_two_streams_is_read(pod: Pod, codec: str) -> None:
    sink = pa.BufferOutputStream()
    pyarrow.parquet.write_table(pa.Table.from_pandas(ROWS), sink)
    content, compress = sink.getvalue().to_pybytes(), CODECS[codec]
    assert fetch(pod, compress(content[:99]) + compress(content[99:])).result["format"] == "parquet"


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("spoil", [lambda content: content[:-9], lambda content: content + b"more"])
def test_a_compressed_file_that_is_not_whole_is_refused(
    pod: Pod, codec: str, spoil: Callable[[bytes], bytes]
) -> None:
    ending = fetch(pod, spoil(CODECS[codec](CSV)))
    assert (ending.reason, ending.code) == ("DataUnreadable", 65)
    assert codec in ending.message


@pytest.mark.parametrize("codec", CODECS)
def test_a_file_that_unpacks_to_too_much_is_refused_while_it_is_unpacked(tmp_path: Path, codec: str) -> None:
    (tmp_path / "bomb").write_bytes(CODECS[codec](b"1,2,3\n" * 1_000_000))
    with (tmp_path / "bomb").open("rb", buffering=0) as file, pytest.raises(InputError) as refused:
        stored.keep(file, tmp_path / "kept", "bomb", stored.Bound(2_000_000, "Why."))
    assert refused.value.reason == "DataTooLarge"
    assert "more than 2000000 bytes. Why." in refused.value.message
    assert (tmp_path / "kept").stat().st_size <= 2_000_000


def test_a_bomb_is_refused_at_what_memory_holds(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    given_memory(monkeypatch, 1)
    ending = fetch(pod, gzip.compress(b"x,y\n" + b"1,0\n" * 1_000_000))
    assert ending.reason == "DataTooLarge"
    assert "unpack to more than 1310720 bytes" in ending.message


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
def test_text_with_a_byte_order_mark_is_read_whatever_its_encoding(pod: Pod, encoding: str) -> None:
    text = "größe,y\n" + "".join(f"{i % 3},{i % 2}\n" for i in range(20))
    mark = "\ufeff" if encoding.endswith("e") else ""
    content = (mark + text).encode(encoding)
    result = fetch(pod, content).result
    assert result["digest"] == sha256(content)
    assert [feature["name"] for feature in pod.dataset["features"]] == ["größe"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"PK\x03\x04" + bytes(60), "ZIP archive"),
        (b"\xd0\xcf\x11\xe0" + bytes(60), "Excel"),
        (b"\xfd7zXZ\x00" + bytes(60), "xz"),
        (gzip.compress(gzip.compress(CSV)), "compressed twice"),
        (b"ARROW1\0\0", "Feather"),
        (b"\n <!DOCTYPE html><html>", "HTML"),
        (b'{"error": "no"}', "JSON"),
        (b"version https://git-lfs.github.com/spec/v1\noid x\n", "git lfs pull"),
        ("x,y\n1,0\n".encode("utf-16-le"), "byte of zero"),
        (b"\xff\xfex\0,\0y\0\n\0\x00\xd8", "broken utf-16"),
        (b"x,y\n1,0\n\0\n", "byte of zero"),
    ],
)
def test_what_is_no_table_is_named(pod: Pod, content: bytes, says: str) -> None:
    ending = fetch(pod, content)
    assert ending.reason == "DataUnreadable"
    assert says in ending.message


def test_text_that_is_named_parquet_is_not_taken_for_csv(pod: Pod) -> None:
    ending = fetch(pod, CSV, "rows.parquet")
    assert ending.reason == "DataUnreadable"
    assert "PAR1" in ending.message


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as unix:
        os.chdir(path.parent)  # a socket's path is short
        unix.bind(path.name)


@pytest.mark.parametrize("make", [a_pipe, a_socket, Path.mkdir])
def test_only_regular_files_are_read(
    pod: Pod, make: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pod.root)
    make(pod.paths.source / "rows.csv")
    ending = pod.run("fetch")
    assert (ending.reason, ending.code) == ("DataUnreadable", 65)
    assert "'rows.csv'" in ending.message


def test_a_link_to_a_device_is_refused(pod: Pod) -> None:
    (pod.paths.source / "rows.csv").symlink_to("/dev/zero")
    assert pod.run("fetch").reason == "UriUnsupported"


def test_links_in_a_circle_are_refused(pod: Pod) -> None:
    (pod.paths.source / "rows.csv").symlink_to("rows.csv")
    assert pod.run("fetch").code == 65


def test_a_folder_that_becomes_a_link_after_it_was_looked_at_is_not_followed(
    pod: Pod, tmp_path: Path
) -> None:
    from modelwright_training.reading.volume import Volume  # noqa: PLC0415

    (pod.paths.source / "month").mkdir()
    (pod.paths.source / "month" / "rows.csv").write_bytes(CSV)
    volume = Volume(pod.paths.source, "pvc://lake/month/rows.csv")
    (entry,), _ = volume.find("month/rows.csv", many=True)
    (pod.paths.source / "month").rename(tmp_path / "outside")
    (pod.paths.source / "month").symlink_to(tmp_path / "outside")
    with pytest.raises(InputError) as refused, volume.open(entry):
        pass
    assert refused.value.reason == "DataUnreadable"


@pytest.mark.parametrize("name", ["nul\0.csv", "x" * 300, "rows.csv/more"])
def test_a_name_that_no_file_can_have_is_refused(pod: Pod, name: str) -> None:
    ending = fetch(pod, CSV)
    ending = pod.given(data={"uri": f"pvc://lake/{name}"}).run("fetch")
    assert ending.code == 65


def parquet(pod: Pod, table: pa.Table, **options: object) -> None:
    pyarrow.parquet.write_table(table, pod.paths.source / "rows.parquet", **options)


def given_memory(monkeypatch: pytest.MonkeyPatch, mebibytes: int) -> None:
    """As if the memory of the step held a table of this size."""
    monkeypatch.setattr(memory, "limit", lambda: (mebibytes * gathering.TIMES) << 20)
    monkeypatch.setattr(memory, "used", lambda: 0)


def test_a_small_file_of_many_rows_is_refused_before_it_is_read(
    pod: Pod, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = 10_000_000
    column = pa.nulls(rows, pa.int64())
    parquet(pod, pa.table({"x": column, "y": column}), compression="zstd")
    assert (pod.paths.source / "rows.parquet").stat().st_size < 100_000
    given_memory(monkeypatch, 100)
    monkeypatch.setattr("pyarrow.parquet.ParquetFile.iter_batches", None)
    ending = pod.given(data={"uri": "pvc://lake/rows.parquet"}).run("fetch")
    assert (ending.reason, ending.code) == ("DataTooLarge", 65)
    for words in ("10000000 rows", "153 MiB", "table of 100 MiB", "data.sample.rows", "limits.memory"):
        assert words in ending.message


def test_text_that_its_file_holds_once_counts_as_often_as_it_is_there(
    pod: Pod, monkeypatch: pytest.MonkeyPatch
) -> None:
    parquet(pod, pa.table({"x": pa.array(["t" * 1000] * 100_000), "y": [0, 1] * 50_000}))
    assert (pod.paths.source / "rows.parquet").stat().st_size < 100_000
    given_memory(monkeypatch, 30)
    ending = pod.given(data={"uri": "pvc://lake/rows.parquet"}).run("fetch")
    assert ending.reason == "DataTooLarge"


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_a_csv_that_memory_does_not_hold_is_refused_early(
    pod: Pod, monkeypatch: pytest.MonkeyPatch, compress: Callable[[bytes], bytes]
) -> None:
    given_memory(monkeypatch, 3)
    monkeypatch.setattr("pyarrow.csv.open_csv", None)
    ending = fetch(pod, compress(CSV[:10] + b",y\n" + b"1.2345678,1\n" * 400_000))
    assert (ending.reason, ending.code) == ("DataTooLarge", 65)
    assert "table of 3 MiB" in ending.message
    assert "data.sample.rows" in ending.message


def test_columns_that_are_not_used_take_no_memory(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    wide = ROWS.assign(**{f"long{place}": "t" * 10_000 for place in range(10)})
    given_memory(monkeypatch, 1)
    for name in ("rows.csv", "rows.parquet"):
        pod.given_rows(wide, name)
        assert pod.given(data={"uri": f"pvc://lake/{name}"}).run("fetch").reason == "DataTooLarge"
        narrow = {"uri": f"pvc://lake/{name}", "features": ["x1"]}
        assert pod.given(data=narrow).run("fetch").code == 0
    missing = {"uri": "pvc://lake/rows.csv", "features": ["x1", "x9"]}
    monkeypatch.undo()
    assert "'x9'" in pod.given(data=missing).run("fetch").message
