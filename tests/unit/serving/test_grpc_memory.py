"""Small calls stay small: what they unpack to, how many fields they have, and what they hold is bounded and counted."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper
from tritonclient.grpc import service_pb2 as pb
from unit.serving import models
from unit.serving.grpc_caller import Code, caller, raw, typed
from unit.serving.harness import NAME, serving
from unit.serving.http2_peer import connected
from unit.serving.test_grpc_calls import framed, headers

from modelwright_serving.http2 import frames
from modelwright_serving.limits import AT_ONCE, FIELDS_AT_ONCE, LARGE, MAX_FIELDS
from modelwright_serving.oip.errors import CostlyError, OipError, Problem
from modelwright_serving.oip.signature import Signature, TensorSpec
from modelwright_serving.oip.tensors import footprint
from modelwright_serving.protobuf import Field
from modelwright_serving.rpc import contents, framing, messages
from modelwright_serving.rpc.decoding import RequestDecoder, Target
from modelwright_serving.rpc.status import RpcError

MIB = 1024**2


def compressed(size: int) -> bytes:
    return framed(gzip.compress(bytes(size)), compressed=True)


def test_a_message_may_unpack_to_a_hundred_times_its_size() -> None:
    assert len(framing.message(compressed(MIB), b"gzip", 16 * MIB)) == MIB
    with pytest.raises(RpcError, match="more than 100 times its size; send it uncompressed") as refused:
        framing.message(compressed(8 * MIB), b"gzip", 16 * MIB)
    assert refused.value.code.name == "RESOURCE_EXHAUSTED"
    noise = np.random.default_rng(1).bytes(80_000) + bytes(8 * MIB)
    assert len(framing.message(framed(gzip.compress(noise), compressed=True), b"gzip", 16 * MIB)) == len(
        noise
    )


def test_what_takes_long_to_unpack_is_not_unpacked_at_once() -> None:
    assert len(framing.message(compressed(AT_ONCE), b"gzip", 16 * MIB, at_once=True)) == AT_ONCE
    for large in (compressed(AT_ONCE + 1), framed(bytes(LARGE + 1))):
        with pytest.raises(CostlyError):
            framing.message(large, b"gzip", 16 * MIB, at_once=True)


TEXT = [helper.make_tensor_value_info(name, TensorProto.STRING, ["rows"]) for name in ("text", "same")]
SAME_TEXT = models.model([helper.make_node("Identity", ["text"], ["same"])], TEXT[:1], TEXT[1:])

GROUP = b"\x63" + b"\x08\x01" * 100_000 + b"\x64"
MANY = {
    "inputs": b"\x2a\x00" * 9_000 + b"\x18\x01" * MAX_FIELDS,
    "unknown fields": b"\x78\x01" * (MAX_FIELDS + 1),
    "fields of a group": GROUP,
    "elements": b"\x2a\xc2\x9a\x0c\x2a\xbe\x9a\x0c" + b"\x08\x01" * 100_000 + b"\x08\x01" * 1000,
    "fields of an output": b"\x32\xc0\x9a\x0c" + b"\x18\x01" * 100_000 + b"\x18\x01" * 1000,
}


@pytest.mark.parametrize("what", list(MANY))
def test_a_request_has_a_bounded_number_of_fields(what: str) -> None:
    with pytest.raises(OipError, match=f"at most {MAX_FIELDS} fields") as refused:
        messages.infer_request(MANY[what])
    assert refused.value.problem is Problem.TOO_LARGE
    with pytest.raises(CostlyError):
        messages.infer_request(MANY[what], at_once=True)


def test_a_request_with_many_more_tensors_than_the_model_has_is_read_no_further() -> None:
    """What follows is no message, which only reading on shows."""
    signature = Signature((TensorSpec("x", "FP32", (-1,)),), (TensorSpec("y", "FP32", (-1,)),))
    with pytest.raises(OipError, match="at most 103 tensors"):
        RequestDecoder(signature, Target("m", "1")).decode(b"\x2a\x00" * 104 + b"\xff", at_once=True)


def test_many_fields_are_read_where_there_is_time() -> None:
    sound = b"\x78\x01" * (FIELDS_AT_ONCE + 1)
    assert messages.infer_request(sound).inputs == []
    assert messages.infer_request(sound[2:], at_once=True).inputs == []
    with pytest.raises(CostlyError):
        messages.infer_request(sound, at_once=True)


@pytest.mark.parametrize(("datatype", "number"), [("BOOL", 1), ("INT64", 3), ("FP32", 6)])
def test_elements_are_counted_before_they_are_unpacked(datatype: str, number: int) -> None:
    """The second hundred bytes are no numbers, which only unpacking shows."""
    data = bytes(100) + b"\x80" * 99 + b"\0"
    with pytest.raises(OipError, match=r"elements, but shape \[3\] needs 3"):
        contents.tensor(data, datatype, [3], [Field(number, 2, 0, 0, 200)])


def test_integers_are_unpacked_across_portions() -> None:
    numbers = np.arange(-100_000, 100_000, dtype=np.int64)
    tensor = typed("x", "INT64", [len(numbers)], int64_contents=numbers.tolist())
    data = bytes(pb.ModelInferRequest(inputs=[tensor]).SerializeToString())
    found = messages.infer_request(data).inputs[0].contents
    assert np.array_equal(contents.tensor(data, "INT64", [len(numbers)], found), numbers)


async def test_what_waiting_calls_unpack_to_is_the_share_of_their_caller(tmp_path: Path) -> None:
    """Each of 30 small calls holds 64 kB until it is answered; another address is not refused for that."""
    path = tmp_path / "model.onnx"
    path.write_bytes(models.slow(2))
    message = raw(np.zeros((8000, 2), np.float32), "x").SerializeToString()
    call = (headers(grpc_encoding="gzip"), framed(gzip.compress(message), compressed=True))
    with serving(path, "--max-body-bytes", "250000", "--memory-bytes", "1000000") as server:
        server.wait_ready()
        async with (
            connected(server.grpc_port, initial_window_size=2**30) as peer,
            connected(server.grpc_port, "127.0.0.2", initial_window_size=2**30) as other,
        ):
            peer.send(frames.window_update(0, 2**30))
            peer.send(*(peer.request(stream, *call) for stream in range(1, 60, 2)))
            peer.send(frames.ping(b"all read", ack=False))
            await peer.until(frames.PING)
            other.send(other.request(1, *call))
            answers = [await peer.answer(stream) for stream in range(1, 60, 2)]
            refused = [found.headers for found in answers if found.headers.get("grpc-status") == "14"]
            assert 0 < len(refused) < 30
            assert "holds too much for this address" in refused[0]["grpc-message"]
            assert (await other.answer(1)).trailers == {"grpc-status": "0"}
        assert server.metric("modelwright_memory_bytes") == 0


def test_strings_count_for_what_python_makes_of_them() -> None:
    tensor = typed("text", "BYTES", [2000], bytes_contents=[b""] * 2000)
    data = bytes(pb.ModelInferRequest(model_name="m", inputs=[tensor]).SerializeToString())
    signature = Signature((TensorSpec("text", "BYTES", (-1,)),), (TensorSpec("y", "FP32", (-1,)),))
    [part] = RequestDecoder(signature, Target("m", "1")).decode(data).inputs
    assert footprint(part) > 20 * len(data)


def test_typed_strings_that_are_many_are_served_by_the_worker(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(SAME_TEXT)
    texts = [b"%d" % number for number in range(8000)]
    with serving(path) as server, caller(server.wait_ready().grpc_port) as calls:
        tensor = typed("text", "BYTES", [len(texts)], bytes_contents=texts)
        reply = calls.infer(pb.ModelInferRequest(model_name=NAME, inputs=[tensor]))
        assert reply.code is Code.OK
        assert reply.output("same").tolist() == [text.decode() for text in texts]
