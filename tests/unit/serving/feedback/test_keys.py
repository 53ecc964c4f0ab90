"""Keys come from a folder, and change while the server runs."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from modelwright_serving.feedback.keys import Keys, KeysWatch, read


def test_the_file_key_signs_and_every_file_verifies(tmp_path: Path) -> None:
    (tmp_path / "earlier").write_bytes(b"a" * 16)
    (tmp_path / "key").write_bytes(b"b" * 16)
    (tmp_path / "..data").mkdir()
    keys, problems = read(tmp_path, "churn")
    assert problems == []
    assert keys.signing is keys.verifying[0]
    assert len(keys.verifying) == 2


def test_without_the_file_key_nothing_is_signed(tmp_path: Path) -> None:
    assert read(tmp_path / "missing", "churn") == (Keys(), [])
    (tmp_path / "earlier").write_bytes(b"a" * 16)
    keys, _ = read(tmp_path, "churn")
    assert keys.signing is None
    assert len(keys.verifying) == 1


def test_a_key_that_is_too_short_or_too_long_is_refused_with_its_size(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"short")
    (tmp_path / "large").write_bytes(bytes(4097))
    keys, problems = read(tmp_path, "churn")
    assert keys == Keys()
    assert problems == [
        "key has 5 bytes, and a key needs at least 16",
        "large has more than 4096 bytes",
    ]


def test_of_many_keys_only_some_are_used_the_signing_one_among_them(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"a{number}").write_bytes(bytes(16))
    (tmp_path / "key").write_bytes(bytes(16))
    keys, problems = read(tmp_path, "churn")
    assert keys.signing is not None
    assert len(keys.verifying) == 8
    assert problems == ["there are more than 8 keys, and no others are used"]


def test_keys_that_change_are_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelwright_serving.feedback.keys._SECONDS", 0.01)
    followed: list[Keys] = []

    async def scenario() -> None:
        watch = KeysWatch(asyncio.get_running_loop(), tmp_path / "keys", "churn", followed.append)
        watch.start()
        await _until(lambda: len(followed) == 1)
        (tmp_path / "keys").mkdir()
        (tmp_path / "keys" / "key").write_bytes(b"a" * 16)
        await _until(lambda: followed[-1].signing is not None)
        (tmp_path / "keys" / "key").replace(tmp_path / "keys" / "earlier")
        (tmp_path / "keys" / "key").write_bytes(b"b" * 16)
        await _until(lambda: len(followed[-1].verifying) == 2)
        (tmp_path / "keys" / "key").unlink()
        (tmp_path / "keys" / "earlier").unlink()
        await _until(lambda: followed[-1] == Keys())
        watch.stop()

    asyncio.run(asyncio.wait_for(scenario(), 10))
    assert followed[0] == Keys()


async def _until(done: Callable[[], bool]) -> None:
    while not done():  # noqa: ASYNC110 - a file is written, and nothing says when that is seen
        await asyncio.sleep(0.01)
