"""The inputs that fuzzing has kept, once more, and the proof that fuzzing sees what is wrong with a server."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from fuzz import corpus
from fuzz.engine import Campaign, Finding, attempt, fuzz
from fuzz.layers import LAYERS

from modelwright_serving.http import responses
from modelwright_serving.http.connection import Connection
from modelwright_serving.http.reader import RequestReader
from modelwright_serving.http2.outflow import Outflow
from modelwright_serving.http2.stream import Stream
from modelwright_serving.http2.streams import Streams
from modelwright_serving.oip import answer, documents, request
from modelwright_serving.oip.errors import OipError
from modelwright_serving.oip.tensors import Tensor
from modelwright_serving.rpc import contents


@pytest.mark.parametrize("name", sorted(LAYERS))
def test_every_kept_input_is_answered_as_it_should_be(name: str) -> None:
    """One for each thing that the server is known to do or once did wrong."""
    layer, inputs, wrong = LAYERS[name](), corpus.read(name), {}
    for data in inputs:
        try:
            attempt(layer, data)
        except Finding as finding:
            wrong[data] = str(finding)
    assert len(inputs) > 50
    assert wrong == {}


@pytest.mark.parametrize("name", sorted(LAYERS))
def test_the_same_seed_makes_the_same_inputs(name: str) -> None:
    layer = LAYERS[name]()
    seeds = list(layer.seeds())
    first, second = (
        [layer.mutate(random.Random(seed), seeds[seed], seeds[-1]) for seed in range(20)] for _ in "ab"
    )
    assert first == second
    assert len(set(first)) > 10


@dataclass
class Fault:
    """A part of the server, what stands in its place, and what has to be said about that."""

    layer: str
    owner: Any
    name: str
    instead: Callable[[Any], Any]
    said: str


def _keeps_bodies(_: Any) -> Any:
    return lambda connection, exchange: None


def _is_in_a_hurry(right: Any) -> Any:
    """Whatever comes with the end of a request is answered, however much came before."""
    return lambda reader, data: right(reader, data if data.endswith(b"}") else data[:400])


def _says_why(right: Any) -> Any:
    return lambda message: right(message)[:-1] + b',"code":7}'


def _mixes_up(right: Any) -> Any:
    return lambda run, position, start, stop: right(run, position, *_other(run, position, start, stop))


def _other(run: Any, position: int, start: int, stop: int) -> tuple[int, int]:
    last = len(run.arrays[position]) - (stop - start)
    return (last - start, last - start + stop - start) if run.by_row else (start, stop)


def _is_surprised(right: Any) -> Any:
    def decode(*arguments: Any, **options: Any) -> Any:
        try:
            return right(*arguments, **options)
        except OipError:
            raise KeyError("inputs") from None

    return decode


def _forgets(_: Any) -> Any:
    return lambda owner, *arguments: None


def _is_early(right: Any) -> Any:
    """Finds numbers one place before they are."""

    def plain(datatype: str, fields: Any) -> Any:
        place = right(datatype, fields)
        return None if place is None else (place[0] - 1, place[1] - 1)

    return plain


def _stutters(right: Any) -> Any:
    def answer(stream: Stream, *arguments: Any) -> None:
        right(stream, *arguments)
        stream._owner.start(stream, arguments[0])

    return answer


def _rounds(right: Any) -> Any:
    def unpack(dtype: Any, part: Any) -> Tensor:
        tensor: Tensor = right(dtype, part)
        return tensor.round() if tensor.dtype.kind == "f" else tensor

    return unpack


FAULTS = {
    "bodies stay counted": Fault("http", Connection, "_release", _keeps_bodies, "stay counted"),
    "a long request is cut": Fault("http", RequestReader, "feed", _is_in_a_hurry, "requests, but"),
    "an error says more": Fault("http", documents, "error", _says_why, "no error document"),
    "a defect in the routes": Fault(
        "http", responses, "method_not_allowed", lambda _: lambda allowed: {}[allowed], "KeyError"
    ),
    "windows are ignored": Fault("grpc", Outflow, "set_initial_window", _forgets, "but its window is"),
    "streams stay counted": Fault("grpc", Streams, "_release", _forgets, "stay counted"),
    "a message is read wrongly": Fault("grpc", contents, "plain", _is_early, "the model gives"),
    "a stream is answered twice": Fault("grpc", Stream, "answer", _stutters, "on a stream with"),
    "a caller gets another's rows": Fault("oip", answer.RunOutputs, "array", _mixes_up, "the model gives"),
    "a defect in the decoder": Fault("oip", request, "decode", _is_surprised, "KeyError"),
    "numbers are rounded": Fault("oip", request, "unpack", _rounds, "is read as"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_server_with_a_fault_is_found_out(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fault = FAULTS[name]
    layer = LAYERS[fault.layer]()
    monkeypatch.setattr(fault.owner, fault.name, fault.instead(getattr(fault.owner, fault.name)))

    campaign = fuzz(layer, corpus.read(fault.layer), 100, 1, print)

    assert any(fault.said in what for _, what in campaign.findings.values()), campaign.findings


class Fragile:
    """A layer that must never be told a Z, and does not come to an end with a Y."""

    def __init__(self) -> None:
        self.renewed = 0

    def renew(self) -> None:
        self.renewed += 1

    def seeds(self) -> list[bytes]:
        return [b"a"]

    def mutate(self, chance: random.Random, data: bytes, other: bytes) -> bytes:
        return data[:3] + bytes([chance.randrange(65, 91)]) + other[:0]

    def run(self, data: bytes) -> list[str]:
        if b"Z" in data:
            raise LookupError(f"told {data!r}")
        while b"Y" in data:
            pass
        return [str(len(data))]


def test_what_must_not_happen_is_found_and_its_smallest_input_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("fuzz.engine.HANG_SECONDS", 0.05)
    layer = Fragile()

    campaign: Campaign = fuzz(layer, [b"abc"], 1000, 1, print)

    found = dict(campaign.findings.values())
    assert found.keys() == {b"aZ", b"aY"}
    assert found[b"aZ"].startswith("LookupError at test_fuzz_corpus.py")
    assert found[b"aY"].startswith("it does not come to an end")
    assert campaign.words == {"1", "2", "3", "4"}
    assert layer.renewed >= len(found)
