"""A file that is read from a server that breaks, hangs and changes its mind: whole, or an error."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.stores.webserver import Answering, Certificates, Site, status

from modelwright_stores import resuming
from modelwright_stores.failures import StoreError
from modelwright_stores.resuming import Downloaded, File, Head, Patience, download, patiently, stream
from modelwright_stores.web.file import WebFile

LIMIT = 1 << 30
ONCE = Patience(silent=0)
MANY = Patience(silent=5, total=30)
BYTES = random.Random(7).randbytes(3 << 20)
HEAD = Head(len(BYTES), '"first"')


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses that a test can wait for."""
    monkeypatch.setattr(resuming, "SHORTEST", 0.005)


@pytest.fixture
def file(site: Site, issued: Certificates) -> WebFile:
    site.content = BYTES
    return WebFile(f"{site.url}/model.onnx", issued.access(), silence=5)


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def streamed(file: File, patience: Patience = MANY, limit: int = LIMIT) -> bytes:
    with stream(file, limit, patience) as body:
        return b"".join(iter(lambda: body.read(1 << 16) or b"", b""))


def sent(site: Site) -> int:
    return sum(asked.sent for asked in site.requests)


def test_a_broken_connection_is_gone_on_with_where_it_broke(site: Site, file: WebFile) -> None:
    site.cuts = [1000, 70_000, 0, 1_000_000]
    assert streamed(file) == BYTES
    starts = [asked.headers.get("Range") for asked in site.requests]
    assert starts == [None, "bytes=1000-", "bytes=71000-", "bytes=71000-", "bytes=1071000-"]
    assert {asked.headers.get("If-Range") for asked in site.requests[1:]} == {'"first"'}
    assert sent(site) <= len(BYTES) + 1


def test_a_download_appears_whole_with_its_digest(site: Site, file: WebFile, tmp_path: Path) -> None:
    site.cuts = [1000, 70_000]
    target = tmp_path / "model.onnx"
    assert download(file, target, LIMIT, MANY) == Downloaded(digest(BYTES), len(BYTES), len(BYTES), HEAD)
    assert target.read_bytes() == BYTES
    assert list(tmp_path.iterdir()) == [target]


def test_a_server_that_knows_no_ranges_is_read_again_from_the_start(
    site: Site, file: WebFile, tmp_path: Path
) -> None:
    site.ranges, site.cuts = False, [100_000, 2_000_000]
    assert streamed(file) == BYTES
    site.cuts = [100_000, 2_000_000]
    assert download(file, tmp_path / "x", LIMIT, MANY).digest == digest(BYTES)


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_without_an_etag_the_first_bytes_have_to_be_the_same(
    site: Site, file: WebFile, tmp_path: Path, etag: str | None
) -> None:
    site.etag, site.cuts = etag, [100_000, 2_000_000]
    assert streamed(file) == BYTES
    assert not any("If-Range" in asked.headers for asked in site.requests)
    site.cuts = [100_000, 2_000_000]
    assert download(file, tmp_path / "x", LIMIT, MANY).digest == digest(BYTES)


@pytest.mark.parametrize("etags", [('"first"', '"second"'), (None, None)])
def test_a_file_that_changes_between_two_tries_is_no_mixture(
    site: Site, file: WebFile, tmp_path: Path, etags: tuple[str | None, str | None]
) -> None:
    other = bytes(len(BYTES))
    site.etag = etags[0]
    seen: list[int] = []

    def change() -> None:
        seen.append(1)
        if len(seen) == changes:
            site.content, site.etag = other, etags[1]

    changes, site.before, site.cuts = 2, change, [2_000_000]
    with pytest.raises(StoreError) as refused:
        streamed(file)
    assert (refused.value.reason, refused.value.passing) == ("FileChanged", True)
    seen.clear()
    changes = 3
    site.content, site.etag, site.cuts = BYTES, etags[0], [2_000_000]
    assert download(file, tmp_path / "x", LIMIT, MANY).digest == digest(other)
    assert (tmp_path / "x").read_bytes() == other


def test_a_file_that_ends_early_each_time_is_an_error(site: Site, file: WebFile, tmp_path: Path) -> None:
    site.answers["/model.onnx"] = lambda answering: answering.raw(
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + BYTES[:60]
    )
    for bring in (
        lambda: streamed(file, Patience(silent=0.2)),
        lambda: download(file, tmp_path / "x", LIMIT, Patience(silent=0.2)),
    ):
        before = time.monotonic()
        with pytest.raises(StoreError) as refused:
            bring()
        assert (refused.value.reason, refused.value.passing) == ("StoreUnavailable", True)
        assert time.monotonic() - before < 3
    assert not (tmp_path / "x").exists()


def test_what_does_not_pass_is_not_tried_again(site: Site, file: WebFile) -> None:
    site.answers["/model.onnx"] = status(403)
    with pytest.raises(StoreError):
        streamed(file)
    assert len(site.requests) == 1


def test_a_server_that_is_busy_is_asked_again(site: Site, file: WebFile) -> None:
    busy: list[int] = []

    def answer(answering: Answering) -> None:
        busy.append(1)
        if len(busy) < 4:
            answering.plain(503)
        else:
            answering.serve(BYTES)

    site.answers["/model.onnx"] = answer
    assert streamed(file) == BYTES


def test_pauses_grow_and_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resuming, "SHORTEST", 0.02)
    asked: list[float] = []

    def ask() -> None:
        asked.append(time.monotonic())
        raise StoreError("StoreUnavailable", "busy", passing=True)

    with pytest.raises(StoreError):
        patiently(ask, "the lake", Patience(silent=0.5))
    gaps = [later - earlier for earlier, later in itertools.pairwise(asked)]
    assert 1 <= len(gaps) <= 5
    assert all(gap >= 0.02 * 2**place for place, gap in enumerate(gaps))


def test_what_a_reader_does_with_its_bytes_takes_none_of_the_patience(site: Site, file: WebFile) -> None:
    site.cuts = [1000]
    with stream(file, LIMIT, Patience(silent=0.3)) as body:
        first = body.read(1000)
        time.sleep(0.6)
        assert first + b"".join(iter(lambda: body.read(1 << 16) or b"", b"")) == BYTES


def test_a_server_that_hangs_in_mid_body_is_asked_for_the_rest(site: Site, issued: Certificates) -> None:
    site.content = BYTES
    hangs: list[int] = []

    def answer(answering: Answering) -> None:
        if "Range" not in answering.headers and not hangs:
            hangs.append(1)
            answering.raw(b'HTTP/1.1 200 OK\r\nETag: "first"\r\nContent-Length: %d\r\n\r\n' % len(BYTES))
            answering.raw(BYTES[:50_000])
            answering.server.ending.wait(5)
        else:
            answering.serve(BYTES)

    site.answers["/x"] = answer
    assert streamed(WebFile(f"{site.url}/x", issued.access(), silence=0.5)) == BYTES
    assert site.requests[-1].headers["Range"] == "bytes=50000-"


def test_a_link_that_works_once_is_read(site: Site, file: WebFile) -> None:
    site.answers["/model.onnx"] = lambda answering: (
        answering.serve(BYTES) if len(site.requests) == 1 else answering.plain(410)
    )
    assert streamed(file) == BYTES


def test_a_stream_that_is_left_closes_its_connection(file: WebFile) -> None:
    body = stream(file, LIMIT, ONCE)
    assert len(body.read(10) or b"") == 10
    body.close()
    stream(file, LIMIT, ONCE).close()
    with pytest.raises(StoreError):
        stream(file, 10, ONCE)
    buffered = stream(file, LIMIT, ONCE)
    assert buffered.read() == BYTES
    buffered.close()


def test_a_partial_file_is_used_if_it_is_of_the_same_file(site: Site, file: WebFile, tmp_path: Path) -> None:
    target, note = tmp_path / "m", tmp_path / "m.partial.head"
    site.cuts = [1_000_000]
    with pytest.raises(StoreError):
        download(file, target, LIMIT, ONCE)
    assert (tmp_path / "m.partial").read_bytes() == BYTES[:1_000_000]
    assert json.loads(note.read_bytes()) == {"size": len(BYTES), "etag": '"first"'}
    brought = download(file, target, LIMIT, ONCE)
    assert brought == Downloaded(digest(BYTES), len(BYTES), len(BYTES) - 1_000_000, HEAD)
    assert target.read_bytes() == BYTES


@pytest.mark.parametrize("how", ["etag", "no etag", "no note", "damaged note", "too long"])
def test_a_partial_file_of_another_file_is_not_used(
    site: Site, file: WebFile, tmp_path: Path, how: str
) -> None:
    partial, note = tmp_path / "m.partial", tmp_path / "m.partial.head"
    partial.write_bytes(bytes(1000))
    note.write_text(json.dumps({"size": len(BYTES), "etag": '"first"'}))
    if how == "etag":
        site.etag = '"second"'
    elif how == "no etag":
        site.etag = None
        note.write_text(json.dumps({"size": len(BYTES), "etag": None}))
    elif how == "no note":
        note.unlink()
    elif how == "damaged note":
        note.write_text("{")
    else:
        partial.write_bytes(bytes(len(BYTES) + 1))
    assert download(file, tmp_path / "m", LIMIT, ONCE).fetched == len(BYTES)
    assert (tmp_path / "m").read_bytes() == BYTES


def test_a_partial_file_that_is_whole_is_not_fetched_again(site: Site, file: WebFile, tmp_path: Path) -> None:
    (tmp_path / "m.partial").write_bytes(BYTES)
    (tmp_path / "m.partial.head").write_text(json.dumps({"size": len(BYTES), "etag": '"first"'}))
    assert download(file, tmp_path / "m", LIMIT, ONCE) == Downloaded(digest(BYTES), len(BYTES), 0, HEAD)
    assert len(site.requests) == 1


def test_a_download_is_bounded_in_size(site: Site, file: WebFile, tmp_path: Path) -> None:
    for site.says_size, site.ranges in ((True, True), (False, False)):
        with pytest.raises(StoreError) as refused:
            download(file, tmp_path / "m", len(BYTES) - 1, ONCE)
        assert refused.value.reason == "FileTooLarge"
    assert not (tmp_path / "m").exists()


PROGRAM = """
import sys
from ipaddress import ip_network
from pathlib import Path
from modelwright_stores.access import Access
from modelwright_stores.resuming import Patience, download
from modelwright_stores.web.file import WebFile
uri, ca, target = sys.argv[1:]
access = Access(Path("/nowhere"), networks=(ip_network("127.0.0.0/8"),), bundle=Path(ca))
print(download(WebFile(uri, access), Path(target), 1 << 30, Patience(silent=0)).fetched)
"""


def test_only_the_rest_is_fetched_after_kills_at_any_byte(
    site: Site, issued: Certificates, tmp_path: Path
) -> None:
    site.content = random.Random(3).randbytes(24 << 20)
    target, chance = tmp_path / "model.onnx", random.Random(11)
    command = [sys.executable, "-c", PROGRAM, f"{site.url}/m", str(issued.file), str(target)]
    kills = 0
    for _ in range(3):
        reached = partial(target)
        goal = reached + chance.randint(1, 6 << 20)
        site.pace = 0.002
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        while partial(target) < goal and process.poll() is None:
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        kills += process.returncode == -signal.SIGKILL
        assert not target.exists()
    before, site.pace = partial(target), 0
    assert kills == 3
    assert before > 0
    site.requests.clear()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert int(done.stdout) == len(site.content) - before
    assert sent(site) <= len(site.content) - before + 1
    assert target.read_bytes() == site.content


def partial(target: Path) -> int:
    path = target.with_name(f"{target.name}.partial")
    return path.stat().st_size if path.exists() else 0


def test_memory_is_bounded(site: Site, file: WebFile, tmp_path: Path) -> None:
    site.content = bytes(64 << 20)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        download(file, tmp_path / "m", LIMIT, MANY)
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert peak < 16 << 20


@dataclass
class Broken:
    """A file in memory, whose reading breaks off and changes as a list says."""

    content: bytes
    etag: str | None
    size: bool
    steps: list[tuple[str, int]] = field(default_factory=list)
    name = "x"
    shown = "memory://x"
    version = 0

    def head(self) -> Head:
        return Head(len(self.current) if self.size else None, self.etag and f"{self.etag}{self.version}")

    @property
    def current(self) -> bytes:
        return bytes((byte + self.version) % 256 for byte in self.content)

    def read(self, start: int, head: Head) -> Iterator[bytes]:
        how, place = self.steps.pop(0) if self.steps else ("whole", 0)
        if how == "change":
            self.version += 1
        if head.etag != self.head().etag or (self.size and head.size != len(self.current)):
            raise StoreError("FileChanged", "changed", passing=True)
        rest = self.current[start:]
        end = min(place, len(rest)) if how in ("cut", "lose") else len(rest)
        for at in range(0, end, 7):
            yield rest[at : min(at + 7, end)]
        if how == "cut" and end < len(rest):
            raise StoreError("StoreUnavailable", "cut", passing=True)


class Named(Broken):
    """A file whose etag is a digest."""

    def head(self) -> Head:
        return Head(len(self.content), self.etag)


STEPS = st.lists(
    st.tuples(st.sampled_from(["cut", "change", "whole", "lose"]), st.integers(0, 60)), max_size=5
)


@given(content=st.binary(max_size=60), etag=st.sampled_from([None, "e"]), size=st.booleans(), steps=STEPS)
def test_whatever_is_cut_the_bytes_are_whole_or_an_error(
    content: bytes, etag: str | None, steps: list[tuple[str, int]], *, size: bool
) -> None:
    # A server that neither says a size nor that it broke off cannot be seen through: that is for TLS to see.
    steps = [step for step in steps if size or step[0] != "lose"]
    resuming.SHORTEST = 0.0001
    whole = {bytes((byte + version) % 256 for byte in content) for version in range(6)}
    with tempfile.TemporaryDirectory() as folder:
        for bring in (streamed, lambda file, patience: downloaded(file, Path(folder) / "x", patience)):
            with contextlib.suppress(StoreError):
                assert (
                    bring(Broken(content, etag, size, list(steps)), Patience(silent=0.05, total=2)) in whole
                )


def downloaded(file: File, target: Path, patience: Patience) -> bytes:
    brought = download(file, target, LIMIT, patience)
    content = target.read_bytes()
    assert (brought.digest, brought.size) == (digest(content), len(content))
    return content


@given(
    cuts=st.lists(st.integers(0, 9000), max_size=4),
    etag=st.sampled_from(['"e"', None]),
    ranges=st.booleans(),
    says=st.booleans(),
)
@settings(max_examples=30)
def test_whatever_a_server_cuts_the_bytes_are_whole(
    serving: tuple[Site, WebFile], cuts: list[int], etag: str | None, *, ranges: bool, says: bool
) -> None:
    site, file = serving
    site.etag, site.ranges, site.says_size, site.cuts = etag, ranges, says, list(cuts)
    assert streamed(file) == site.content


@pytest.fixture(scope="module")
def serving(issued: Certificates) -> Iterator[tuple[Site, WebFile]]:
    with issued.site() as site:
        site.content = BYTES[:9000]
        yield site, WebFile(f"{site.url}/x", issued.access())


def test_a_digest_as_etag_is_compared_with_the_bytes(tmp_path: Path) -> None:
    right, wrong = Named(b"abc", digest(b"abc"), size=True), Named(b"abc", digest(b"abd"), size=True)
    assert streamed(right) == b"abc"
    assert download(right, tmp_path / "x", LIMIT, ONCE).digest == digest(b"abc")
    for bring in (lambda: streamed(wrong), lambda: download(wrong, tmp_path / "y", LIMIT, ONCE)):
        with pytest.raises(StoreError) as refused:
            bring()
        assert (refused.value.reason, refused.value.passing) == ("DigestMismatch", False)
    assert not (tmp_path / "y").exists()
    assert partial(tmp_path / "y") == 0
