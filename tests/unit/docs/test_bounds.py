"""The bounds in docs/serving.md are those of the server: every one stands there, with its value."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from modelwright_serving import limits
from modelwright_serving.limits import ADMIN, Limits

SERVING = Path(__file__).parents[3] / "docs" / "serving.md"


def bytes_of(size: int) -> str:
    """As people write it."""
    return f"{size // 1024**2} MiB" if size >= 1024**2 else f"{size // 1024} KiB"


def bounds() -> dict[str, tuple[str, ...]]:
    """What has to stand in the section, for each bound."""
    own = Limits()
    return {
        "LARGE": (f"more than {bytes_of(limits.LARGE)} is decoded",),
        "FIELDS_AT_ONCE": (f"more than {limits.FIELDS_AT_ONCE:,} fields",),
        "AT_ONCE": (f"JSON document of more than {bytes_of(limits.AT_ONCE)}",),
        "RECORDS_AT_ONCE": (f"records of more than {bytes_of(limits.RECORDS_AT_ONCE)}",),
        "MAX_FIELDS": (f"a message may have {limits.MAX_FIELDS:,} fields",),
        "MAX_DOCUMENT": (f"{bytes_of(limits.MAX_DOCUMENT)} of memory",),
        "MAX_ANSWER": (f"may take {bytes_of(limits.MAX_ANSWER)}, estimated",),
        "MAX_ROWS": (f"| {limits.MAX_ROWS:,} rows of a request",),
        "MAX_BATCH_SIZE": (f"{limits.MAX_BATCH_SIZE:,} as Triton's `max_batch_size`",),
        "MAX_VALUES": (f"{limits.MAX_VALUES:,} values",),
        "MAX_EMPTY": (f"may make {limits.MAX_EMPTY:,} without the zeros",),
        "SURPLUS_TENSORS": (f"{limits.SURPLUS_TENSORS} tensors beyond the model's",),
        "MAX_DIMENSIONS": (f"of {limits.MAX_DIMENSIONS} dimensions",),
        "MAX_UNPACKED": (f"with {limits.MAX_UNPACKED:,} elements that are not packed",),
        "QUEUE_REQUESTS": (f"| {limits.QUEUE_REQUESTS} requests that wait",),
        "QUEUE_SECONDS": (f"| {limits.QUEUE_SECONDS:g} s in the queue",),
        "RUN_SECONDS": (f"| {limits.RUN_SECONDS:g} s for a run",),
        "body": (f"`--max-body-bytes` | {bytes_of(own.body)}",),
        "memory": (f"`--memory-bytes` | {bytes_of(own.memory)}",),
        "head": (f"{own.header_fields} fields, {bytes_of(own.head)} | 431",),
        "target": (f"| {bytes_of(own.target)} | 414",),
        "connections": (f"| {own.connections} for each port", f"{ADMIN.connections} for the admin port"),
        "refused_connections": (f"{own.refused_connections} refused connections",),
        "spare_descriptors": (f"{own.spare_descriptors} file descriptors",),
        "scrape_seconds": (f"one in {own.scrape_seconds:g} s",),
        "crowd": ("more than an eighth of all" if own.crowd == 8 else "",),
        "unused_seconds": (f"nothing for {own.unused_seconds:g} s",),
        "reuse_seconds": (f"nothing more for {own.reuse_seconds:g} s",),
        "pipelined": (f"; {own.pipelined} wait |",),
        "portion": (),  # how work is divided
        "chunks": (f"{own.chunks:,} and one for every {own.chunk} bytes",),
        "chunk": (),  # stands with `chunks`
        "framing": (f"{bytes_of(own.framing)} of their heads",),
        "unpacked_freely": (
            f"| {bytes_of(own.unpacked_freely)} and {own.unpacked_ratio} times its size | 413",
        ),
        "unpacked_ratio": (
            f"unpack to {bytes_of(own.unpacked_freely)} and {own.unpacked_ratio} times its size",
        ),
        "write_buffer": (f"{bytes_of(own.write_buffer)} of a connection before its next request",),
        "idle_seconds": (f"| {own.idle_seconds:g} s without a request",),
        "head_seconds": (f"| {own.head_seconds:g} s for a request's headers",),
        "body_seconds": ("six times that for its body" if own.body_seconds == 6 * own.head_seconds else "",),
        "write_seconds": (
            f"{own.unread_rate * own.write_seconds / 1024:g} KiB in every {own.write_seconds:g} s",
        ),
        "linger_seconds": (f"after the last answer | {own.linger_seconds:g} s",),
        "request_id": (f"| {own.request_id} characters",),
        "logged_failures": (f"{own.logged_failures:g} at once for each status",),
        "logged_error": (f"{own.logged_error} characters of the error",),
        "streams": (f"| streams | {own.streams} at a time",),
        "frames": (f"{own.frames} frames of a connection at a time",),
        "reading_seconds": (f"reads for {own.reading_seconds * 1000:g} ms",),
        "watches": (f"health | {own.watches} at a time",),
        "header_fields": (f"| {own.header_fields} for each call",),
        "idle_frames": (f"{own.idle_frames:,.0f} at once for each address",),
        "idle_frames_per_second": (f"then {own.idle_frames_per_second:g} a second",),
        "idle_frames_per_result": (f"{own.idle_frames_per_result:g} for each call that gets a result",),
        "counted": (f"larger than {own.counted:,} bytes",),
        "unread": (f"| {bytes_of(own.unread)} in all, or one that is larger",),
        "unread_rate": (f"| {own.unread_rate / 1024:g} KiB/s after the first {own.write_seconds:g} s",),
    }


def test_every_bound_is_looked_for() -> None:
    constants = {
        name for name, value in vars(limits).items() if name.isupper() and isinstance(value, int | float)
    }
    assert constants | {field.name for field in fields(Limits)} == set(bounds())


@pytest.mark.parametrize(("name", "words"), bounds().items())
def test_a_bound_is_documented_with_its_value(name: str, words: tuple[str, ...]) -> None:
    section = re.search(r"^## Bounds\n(.*?)^## ", SERVING.read_text(), re.MULTILINE | re.DOTALL)
    assert section
    text = " ".join(section[1].split())
    for each in words:
        assert each, f"{name} has changed: say so"
        assert each in text, f"docs/serving.md does not say {each!r} of {name}"
