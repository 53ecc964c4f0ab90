"""A share of the requests goes to another revision, exactly; whatever that one does, every caller is answered well."""

from __future__ import annotations

import json
import socket
import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from threading import Event
from typing import Any

import grpc
import numpy as np
import pytest
from onnx import TensorProto, helper
from tritonclient.grpc import service_pb2 as pb
from unit.serving import grpc_caller, models
from unit.serving.grpc_caller import Code
from unit.serving.harness import INFER, NAME, PATIENCE, Reply, Served, matrix, post, serving
from unit.serving.traffic import rollout
from unit.serving.traffic.rollout import AMPLE, REVISION, SECRET, Behaviour, Stable

from modelwright_serving.rpc.delegated import stays

CONNECT = "/inference.GRPCInferenceService/ModelInfer"


@pytest.fixture(scope="module")
def model(cancer: models.Cancer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rollout") / "model.onnx"
    path.write_bytes(cancer.content)
    return path


@pytest.fixture(scope="module")
def stable(model: Path) -> Iterator[Stable]:
    with rollout.stable(model) as served:
        yield served


@pytest.fixture(scope="module")
def canary(model: Path) -> Iterator[Served]:
    """The same model as version 2, so that an answer shows its revision."""
    with serving(model, "--model-version", "2") as served:
        yield served.wait_ready()


@pytest.fixture
def body(cancer: models.Cancer) -> dict[str, Any]:
    return matrix(cancer.rows[:1])


def ask(stable: Stable, body: Any, count: int = 100, **headers: str) -> Counter[tuple[int, str, str]]:
    """Status, version and track of so many answers over one connection."""
    connection = HTTPConnection("127.0.0.1", stable.served.http_port, timeout=PATIENCE)
    found: Counter[tuple[int, str, str]] = Counter()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    for _ in range(count):
        connection.request("POST", INFER, json.dumps(body), names)
        answer = connection.getresponse()
        document = json.loads(answer.read())
        found[
            answer.status, document.get("model_version", ""), answer.headers.get("modelwright-track", "")
        ] += 1
    connection.close()
    return found


BY_STABLE, BY_CANARY = (200, "1", "stable"), (200, "2", "canary")


@pytest.mark.parametrize("weight", [0, 1, 25, 100])
def test_of_a_hundred_requests_the_weight_goes_to_the_canary(
    stable: Stable, canary: Served, body: dict[str, Any], weight: int
) -> None:
    stable.follow(port=canary.http_port, weight=weight)
    assert ask(stable, body) == +Counter({BY_STABLE: 100 - weight, BY_CANARY: weight})


def test_a_connection_for_each_request_makes_no_difference(
    stable: Stable, canary: Served, body: dict[str, Any]
) -> None:
    stable.follow(port=canary.http_port, weight=30)
    versions = Counter(stable.served.infer(body).document["model_version"] for _ in range(100))
    assert versions == {"1": 70, "2": 30}


def test_over_grpc_the_share_is_the_same(stable: Stable, canary: Served, cancer: models.Cancer) -> None:
    stable.follow(port=canary.http_port, weight=30)
    with grpc_caller.caller(stable.served.grpc_port) as caller:
        outcomes = [caller.infer(grpc_caller.raw(cancer.rows[:1])) for _ in range(100)]
    answered = Counter(
        (found.response.model_version, found.headers["modelwright-track"]) for found in outcomes
    )
    assert answered == {("1", "stable"): 70, ("2", "canary"): 30}
    here, there = ({o.response.model_version: o for o in outcomes}[version] for version in "12")
    np.testing.assert_array_equal(here.output("probabilities"), there.output("probabilities"))
    assert here.headers["modelwright-model-digest"] == there.headers["modelwright-model-digest"]


def test_a_header_leads_to_the_canary(stable: Stable, canary: Served, body: dict[str, Any]) -> None:
    stable.follow(port=canary.http_port, headers=[{"name": "X-Version", "value": "next"}])
    assert ask(stable, body, 5, x_version="next") == {BY_CANARY: 5}
    assert ask(stable, body, 5, x_version="other") == {BY_STABLE: 5}
    assert ask(stable, body, 5) == {BY_STABLE: 5}


def test_over_grpc_a_header_leads_there_too(stable: Stable, canary: Served, cancer: models.Cancer) -> None:
    stable.follow(port=canary.http_port, headers=[{"name": "X-Version", "value": "next"}])
    with grpc_caller.caller(stable.served.grpc_port) as caller:
        request = grpc_caller.raw(cancer.rows[:1])
        assert caller.infer(request, metadata=[("x-version", "next")]).response.model_version == "2"
        assert caller.infer(request).response.model_version == "1"


def test_a_user_meets_one_version_only(stable: Stable, canary: Served, body: dict[str, Any]) -> None:
    stable.follow(port=canary.http_port, weight=50, sticky="x-user")
    met = {user: set(ask(stable, body, 4, x_user=f"user-{user}")) for user in range(40)}
    assert all(len(versions) == 1 for versions in met.values())
    assert set().union(*met.values()) == {BY_STABLE, BY_CANARY}


def test_who_names_a_version_gets_no_other(stable: Stable, canary: Served, cancer: models.Cancer) -> None:
    stable.follow(port=canary.http_port, weight=100)
    path = f"/v2/models/{NAME}/versions/1/infer"
    answer = stable.served.call("POST", path, matrix(cancer.rows[:1]))
    assert answer.document["model_version"] == "1"
    with grpc_caller.caller(stable.served.grpc_port) as caller:
        named = caller.infer(grpc_caller.raw(cancer.rows[:1], model_version="1"))
    assert named.response.model_version == "1"


def test_binary_tensors_pass_through_as_they_are(
    stable: Stable, canary: Served, cancer: models.Cancer
) -> None:
    stable.follow(port=canary.http_port, weight=100)
    raw = cancer.rows[:2].tobytes()
    tensor = {
        "name": "X",
        "datatype": "FP32",
        "shape": [2, cancer.features],
        "parameters": {"binary_data_size": len(raw)},
    }
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    answer, direct = (server.infer(head + raw, **headers) for server in (stable.served, canary))
    assert answer.headers["modelwright-track"] == "canary"
    assert answer.body == direct.body
    for name in ("inference-header-content-length", "content-type", "modelwright-model-digest"):
        assert answer.headers[name] == direct.headers[name]


@pytest.mark.parametrize("secret", [{}, {"secret": SECRET}], ids=["no secret", "secret"])
def test_what_is_passed_on_is_not_passed_on_again(
    model: Path, body: dict[str, Any], secret: dict[str, str]
) -> None:
    """Two servers whose rules point at each other."""
    with rollout.stable(model) as one:
        other_model = model.parent / "other" / "model.onnx"
        other_model.parent.mkdir(exist_ok=True)
        other_model.write_bytes(model.read_bytes())
        with rollout.stable(other_model, port=one.served.http_port, weight=100, **secret) as other:
            one.follow(port=other.served.http_port, weight=100, **secret)
            assert ask(one, body, 3) == {(200, "1", "canary"): 3}
            assert one.outcomes() == {"Answered": 3}
            assert other.outcomes() == {}


GOOD = b'{"outputs":[]}'
REFUSES = rollout.answers("400 Bad Request")
FAULTS = {
    "fails": (rollout.answers("500 Internal Server Error"), "Failed"),
    "has no room": (rollout.answers("503 Service Unavailable"), "Overloaded"),
    "refuses everything": (REFUSES, "Rejected"),
    "does not know the model": (rollout.answers("404 Not Found"), "Rejected"),
    "breaks off": (rollout.breaks_off, "Broken"),
    "speaks another protocol": (rollout.talks_nonsense, "Broken"),
    "has a status of its own": (rollout.answers("299 Fine", GOOD), "Broken"),
    "accepts": (rollout.answers("202 Accepted", GOOD), "Broken"),
    "sends elsewhere": (rollout.answers("307 Temporary Redirect", GOOD), "Broken"),
    "has a status beyond all": (rollout.answers("999 Odd", GOOD), "Broken"),
    "answers in HTML": (rollout.answers("200 OK", GOOD, "text/html"), "Broken"),
    "answers something": (rollout.answers("200 OK", b'{"canary":1}'), "Broken"),
    "answers an error": (rollout.answers("200 OK", b'{"error":"no"}'), "Broken"),
    "answers a list": (rollout.answers("200 OK", b"[]"), "Broken"),
    "answers no JSON": (rollout.answers("200 OK", b'{"outputs":['), "Broken"),
    "answers much that is nothing": (rollout.answers("200 OK", b"{" + b" " * 10**6 + b"}"), "Broken"),
    "names no model": (rollout.answers("200 OK", GOOD, digest=""), "Broken"),
    "names a model at length": (rollout.answers("200 OK", GOOD, digest="a" * 8000), "Broken"),
    "names a model at great length": (rollout.answers("200 OK", GOOD, digest="a" * 40_000), "Broken"),
    "has binary data of no length": (
        rollout.answers("200 OK", GOOD, "application/octet-stream"), "Broken",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("behaviour", "outcome"), FAULTS.values(), ids=FAULTS.keys())
def test_when_the_canary_fails_every_caller_is_answered_by_the_stable_revision(
    model: Path,
    cancer: models.Cancer,
    body: dict[str, Any],
    behaviour: Behaviour,
    outcome: str,
) -> None:
    with rollout.canary(behaviour) as port, rollout.stable(model, port=port, weight=50) as stable:
        assert ask(stable, body, 20) == {BY_STABLE: 20}
        with grpc_caller.caller(stable.served.grpc_port) as caller:
            calls = [caller.infer(grpc_caller.raw(cancer.rows[:1])) for _ in range(20)]
        assert [call.response.model_version for call in calls] == ["1"] * 20
        assert stable.outcomes() == {outcome: 20}


@pytest.mark.parametrize("seconds", [None, 2])
def test_when_the_canary_hangs_its_callers_are_answered_after_its_time(
    model: Path, cancer: models.Cancer, body: dict[str, Any], seconds: int | None
) -> None:
    with (
        rollout.canary(rollout.hangs) as port,
        rollout.stable(model, port=port, weight=100, timeoutSeconds=seconds) as stable,
        grpc_caller.caller(stable.served.grpc_port) as caller,
    ):
        message = grpc_caller.raw(cancer.rows[:1])
        assert stable.served.infer(body).document["model_version"] == "1"
        assert caller.infer(message).response.model_version == "1"
        assert connect(stable, message).headers["modelwright-track"] == "stable"
        assert stable.outcomes() == {"Timeout": 3}


def test_an_answer_of_the_protocol_is_passed_on_with_nothing_but_its_content(
    stable: Stable, body: dict[str, Any]
) -> None:
    extra = f"{rollout.DIGEST}\r\nset-cookie: a=b\r\nconnection: keep-alive\r\nx-more: yes"
    with rollout.canary(rollout.answers("200 OK", GOOD, digest=extra)) as port:
        stable.follow(port=port, weight=100)
        answer = stable.served.infer(body)
    assert (answer.status, answer.body) == (200, GOOD)
    assert answer.headers.keys() == {
        "content-type", "content-length", "date", "modelwright-model-digest", "modelwright-track",
    }  # fmt: skip
    stable.forget()


PROTO_FAULTS = {
    "JSON in a message": b'{"canary":1}',
    "nothing": b"",
    "a name only": b"\x0a\x01m",
    "half a message": pb.ModelInferResponse(model_name="m" * 50).SerializeToString()[:20],
}


@pytest.mark.parametrize("content", PROTO_FAULTS.values(), ids=PROTO_FAULTS)
def test_a_message_that_is_no_answer_is_not_passed_on(
    stable: Stable, cancer: models.Cancer, content: bytes
) -> None:
    with rollout.canary(rollout.answers("200 OK", content, "application/proto")) as port:
        stable.follow(port=port, weight=100)
        before = stable.outcomes().get("Broken", 0)
        message = grpc_caller.raw(cancer.rows[:1])
        with grpc_caller.caller(stable.served.grpc_port) as caller:
            assert caller.infer(message).response.model_version == "1"
        assert connect(stable, message).headers["modelwright-track"] == "stable"
        assert stable.outcomes()["Broken"] == before + 2
    stable.forget()


def connect(stable: Stable, message: Any, **headers: str) -> Reply:
    """A unary call of the Connect protocol."""
    content = message.SerializeToString()
    connection = HTTPConnection("127.0.0.1", stable.served.http_port, timeout=PATIENCE)
    connection.request("POST", CONNECT, content, {"content-type": "application/proto", **headers})
    answer = connection.getresponse()
    found = Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    connection.close()
    return found


def test_connect_calls_take_part(stable: Stable, canary: Served, cancer: models.Cancer) -> None:
    stable.follow(port=canary.http_port, weight=30, secret=SECRET)
    message = grpc_caller.raw(cancer.rows[:1])
    found: Counter[tuple[str, str]] = Counter()
    for _ in range(100):
        answer = connect(stable, message)
        version = pb.ModelInferResponse.FromString(answer.body).model_version
        found[version, answer.headers["modelwright-track"]] += 1
    assert found == {("1", "stable"): 70, ("2", "canary"): 30}
    pinned = connect(stable, grpc_caller.raw(cancer.rows[:1], model_version="1"))
    assert pinned.headers["modelwright-track"] == "stable"
    before = stable.outcomes().get("Invalid", 0)
    stable.follow(port=canary.http_port, weight=100, secret=SECRET)
    refused = connect(stable, pb.ModelInferRequest(model_name=NAME))
    assert (refused.status, refused.headers["modelwright-track"]) == (400, "stable")
    assert stable.outcomes()["Invalid"] == before + 1


def test_connect_calls_are_copied(stable: Stable, canary: Served, cancer: models.Cancer) -> None:
    stable.follow(port=canary.http_port, mirror=100)
    before = stable.copied().get("Compared", 0)
    assert connect(stable, grpc_caller.raw(cancer.rows[:1])).status == 200
    while stable.copied().get("Compared", 0) != before + 1:
        pass


@pytest.mark.parametrize(("size", "version"), [(1000, "2"), (2**20 + 1, "1")])
def test_compressed_messages_are_delegated_unless_they_are_large(
    stable: Stable, canary: Served, cancer: models.Cancer, size: int, version: str
) -> None:
    stable.follow(port=canary.http_port, weight=100)
    message = grpc_caller.raw(cancer.rows[:1], id="a" * size)
    with grpc_caller.caller(stable.served.grpc_port) as caller:
        call = caller.infer(message, compression=grpc.Compression.Gzip)
    assert call.response.model_version == version


def test_records_are_delegated(stable: Stable, canary: Served) -> None:
    stable.follow(port=canary.http_port, weight=100)
    answer = stable.served.infer({"records": [{}]})
    assert (answer.document["model_version"], len(answer.document["records"])) == ("2", 1)


LENGTH_THEN_VERSION = b"\x2a\x00" * 3 + b"\x12\x01" + b"1"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b"", False),
        (b"\x12\x00", False),
        (pb.ModelInferRequest(model_name="m", id="1").SerializeToString(), False),
        (pb.ModelInferRequest(model_name="m", model_version="1").SerializeToString(), True),
        (LENGTH_THEN_VERSION, True),
        (b"\x10\x00" * 20_011, True),
        (b"\x0a\x05m", True),
    ],
)
def test_a_message_that_names_a_version_or_is_none_stays_here(message: bytes, expected: bool) -> None:
    assert stays(message) is expected


def test_errors_name_the_revision_too(stable: Stable, canary: Served) -> None:
    stable.follow(port=canary.http_port)
    assert stable.served.infer({"inputs": []}).headers["modelwright-track"] == "stable"
    with grpc_caller.caller(stable.served.grpc_port) as caller:
        call = caller.infer(pb.ModelInferRequest(model_name=NAME))
    assert (call.code, call.headers["modelwright-track"]) == (Code.INVALID_ARGUMENT, "stable")


TRACED = {"traceparent": "00-1-2-01", "tracestate": "a=1", "x-request-id": "42", "x-tenant": "ours"}
KEPT = {"authorization": "Bearer secret", "cookie": "session=1", "baggage": "user=1", "x-other": "a"}


def test_trace_headers_and_listed_ones_are_passed_on_and_no_others(
    stable: Stable, cancer: models.Cancer, body: dict[str, Any]
) -> None:
    seen: list[dict[str, str]] = []
    with rollout.canary(rollout.answers("500 No", seen=seen)) as port:
        stable.follow(port=port, weight=100, passHeaders=["X-Tenant", "traceparent"])
        sent = {**TRACED, **KEPT}
        stable.served.infer(body, **sent)
        connect(stable, grpc_caller.raw(cancer.rows[:1]), **sent)
        with grpc_caller.caller(stable.served.grpc_port) as caller:
            caller.infer(grpc_caller.raw(cancer.rows[:1]), metadata=list(sent.items()))
    own = {"host", "content-type", "content-length", "modelwright-delegated"}
    assert len(seen) == 3
    for headers in seen:
        assert {name: value for name, value in headers.items() if name not in own} == TRACED
    stable.forget()


def test_headers_that_are_too_large_are_left_out(stable: Stable, body: dict[str, Any]) -> None:
    seen: list[dict[str, str]] = []
    names = ["x-large", *(f"x-{number}" for number in range(5))]
    with rollout.canary(rollout.answers("500 No", seen=seen)) as port:
        stable.follow(port=port, weight=100, passHeaders=names)
        sizes = {"x-large": 4097, **{f"x-{number}": 3000 for number in range(5)}}
        stable.served.infer(body, **{name: "a" * size for name, size in sizes.items()})
    assert {name for name in seen[0] if name.startswith("x-")} == {"x-0", "x-1"}
    stable.forget()


def test_a_caller_cannot_leave_or_choose_the_canary_by_the_servers_own_header(
    stable: Stable, canary: Served, body: dict[str, Any], cancer: models.Cancer
) -> None:
    stable.follow(port=canary.http_port, weight=100, secret=SECRET)
    for value in ("1", SECRET, "", "0" * 32):
        assert ask(stable, body, 2, modelwright_delegated=value) == {BY_CANARY: 2}
    with grpc_caller.caller(stable.served.grpc_port) as caller:
        call = caller.infer(grpc_caller.raw(cancer.rows[:1]), metadata=[("modelwright-delegated", "1")])
    assert call.response.model_version == "2"
    stable.follow(port=canary.http_port, weight=0, mirror=100, secret=SECRET)
    before = stable.copied().get("Compared", 0)
    assert ask(stable, body, 2, modelwright_delegated="1") == {BY_STABLE: 2}
    while stable.copied().get("Compared", 0) != before + 2:
        pass


def test_what_the_mark_discloses_is_not_the_secret(stable: Stable, body: dict[str, Any]) -> None:
    seen: list[dict[str, str]] = []
    with rollout.canary(rollout.answers("500 No", seen=seen)) as port:
        stable.follow(port=port, weight=100, secret=SECRET)
        stable.served.infer(body)
        mark = seen[0]["modelwright-delegated"]
        assert len(mark) == 32
        assert mark not in SECRET
        assert ask(stable, body, 1, modelwright_delegated=mark) == {BY_STABLE: 1}
    assert len(seen) == 1
    stable.forget()


def test_a_canary_that_is_not_there_is_made_up_for(model: Path, body: dict[str, Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with rollout.stable(model, port=port, weight=50) as stable:
        assert ask(stable, body, 20) == {BY_STABLE: 20}
        assert stable.outcomes() == {"Unreachable": 10}


def test_a_request_that_both_refuse_is_the_callers_fault(stable: Stable, canary: Served) -> None:
    stable.follow(port=canary.http_port, weight=100)
    before = stable.outcomes()
    unseen = rollout.unseen(canary).get(("http", "400"), 0)
    answer = stable.served.infer({"inputs": []})
    assert rollout.unseen(canary)["http", "400"] == unseen + 1
    assert answer.status == 400
    assert "the model also needs 'X'" in answer.error
    assert stable.outcomes().get("Invalid", 0) == before.get("Invalid", 0) + 1
    assert stable.outcomes().get("Rejected") == before.get("Rejected")


def numbers(n: int) -> tuple[dict[str, Any], Any]:
    """A request for the model that counts to n, as JSON and as a message."""
    tensor = {"name": "n", "datatype": "INT64", "shape": [1], "data": [n]}
    message = pb.ModelInferRequest(
        model_name=NAME, inputs=[grpc_caller.typed("n", "INT64", [1], int64_contents=[n])]
    )
    return {"inputs": [tensor]}, message


def test_a_request_that_both_fail_on_is_no_evidence_against_the_canary(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(models.loops())
    with (
        rollout.canary(rollout.answers("500 Internal Server Error")) as port,
        rollout.stable(path, "--run-seconds", "0.1", port=port, weight=100) as stable,
        grpc_caller.caller(stable.served.grpc_port) as caller,
    ):
        body, message = numbers(2**60)
        assert stable.served.infer(body).status == 504
        assert caller.infer(message).code is Code.DEADLINE_EXCEEDED
        assert connect(stable, message).status == 504
        assert stable.outcomes() == {"FailedAlike": 3}
        assert stable.served.infer(numbers(1)[0]).status == 200
        assert stable.outcomes() == {"FailedAlike": 3, "Failed": 1}


def test_a_failure_that_the_stable_revision_makes_up_for_is_an_answer_that_no_caller_got(
    tmp_path: Path,
) -> None:
    paths = [tmp_path / name / "model.onnx" for name in ("stable", "canary")]
    shapes = [helper.make_tensor_value_info(name, TensorProto.INT64, ["rows"]) for name in ("n", "m")]
    same = models.model([helper.make_node("Identity", ["n"], ["m"])], shapes[:1], shapes[1:])
    for path, content in zip(paths, (same, models.loops()), strict=True):
        path.parent.mkdir()
        path.write_bytes(content)
    with (
        serving(paths[1], "--run-seconds", "0.1") as canary,
        rollout.stable(paths[0], port=canary.wait_ready().http_port, weight=100) as stable,
        grpc_caller.caller(stable.served.grpc_port) as caller,
    ):
        body, message = numbers(2**60)
        assert stable.served.infer(body).status == 200
        assert caller.infer(message).code is Code.OK
        failures = {("http", "504"): 1, ("grpc", "DEADLINE_EXCEEDED"): 1}
        assert rollout.unseen(canary) == failures
        assert rollout.unseen(stable.served) == {}
        assert canary.infer(body).status == 504
        assert rollout.unseen(canary) == failures


@contextmanager
def hanging(model: Path, seconds: float = 3600) -> Iterator[Stable]:
    """A stable server, and a canary that says nothing, which has so many seconds."""
    with (
        rollout.canary(rollout.hangs) as port,
        rollout.stable(model, port=port, weight=100, timeoutSeconds=seconds, patience=0.01) as served,
    ):
        yield served


def ask_in_a_hurry(stable: Stable, cancer: models.Cancer, count: int = 1) -> None:
    """Calls that can wait 0.6 s for the canary."""
    with grpc_caller.caller(stable.served.grpc_port) as caller:
        message = grpc_caller.raw(cancer.rows[:1])
        calls = [caller.start("ModelInfer", message, timeout=AMPLE) for _ in range(count)]
        assert {grpc_caller.outcome(call).code for call in calls} == {Code.OK}


def test_a_callers_deadline_leaves_time_for_the_stable_revision(model: Path, cancer: models.Cancer) -> None:
    with hanging(model) as stable:
        ask_in_a_hurry(stable, cancer)
        assert stable.outcomes() == {}


def test_a_canary_that_hangs_is_noticed_by_callers_in_a_hurry(model: Path, cancer: models.Cancer) -> None:
    with hanging(model, seconds=1.5) as stable:
        ask_in_a_hurry(stable, cancer)
        stable.wait_for_outcomes({"Timeout": 1})


def test_a_caller_in_a_hurry_does_not_count_against_a_canary_that_answers_in_its_time(
    model: Path, cancer: models.Cancer
) -> None:
    answering = Event()
    message = pb.ModelInferResponse(outputs=[pb.ModelInferResponse.InferOutputTensor(name="a")])
    behaviour = rollout.answers("200 OK", message.SerializeToString(), "application/proto")
    with (
        rollout.canary(rollout.waits(answering, behaviour)) as port,
        rollout.stable(model, port=port, weight=100, patience=0.01) as stable,
    ):
        ask_in_a_hurry(stable, cancer)
        assert stable.outcomes() == {}
        answering.set()
        stable.wait_for_outcomes({"Hurried": 1})


def test_of_many_callers_in_a_hurry_a_few_are_followed_up(model: Path, cancer: models.Cancer) -> None:
    with hanging(model) as stable:
        ask_in_a_hurry(stable, cancer, 40)
        assert stable.outcomes() == {"Hurried": 8}


def test_a_caller_who_leaves_is_forgotten(model: Path, body: dict[str, Any]) -> None:
    with hanging(model) as stable:
        in_flight = f'modelwright_requests_in_flight{{model="{NAME}",protocol="http"'
        content = json.dumps(body).encode()
        with stable.served.raw() as wire:
            wire.send(post(content))
            while stable.served.metric(in_flight) != 1:
                pass
            # A caller that only stops sending may still want an answer; a reset leaves no doubt.
            wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        while stable.served.metric(in_flight) != 0:
            pass
        assert stable.outcomes() == {}


def test_a_pod_that_starts_during_a_rollout_follows_the_rule_from_its_first_request(
    model: Path, canary: Served, body: dict[str, Any]
) -> None:
    with rollout.stable(model, port=canary.http_port, weight=100) as stable:
        assert ask(stable, body, 1) == {BY_CANARY: 1}


def test_without_a_rule_nothing_is_delegated_and_no_answer_names_a_revision(
    stable: Stable, canary: Served, body: dict[str, Any]
) -> None:
    stable.follow(port=canary.http_port, weight=100)
    stable.forget()
    assert ask(stable, body, 5) == {(200, "1", ""): 5}


def test_a_rule_that_cannot_be_read_changes_nothing_and_is_logged(
    stable: Stable, canary: Served, body: dict[str, Any]
) -> None:
    stable.follow(port=canary.http_port, weight=100)
    errors = f'modelwright_traffic_rule_errors_total{{model="{NAME}"'
    before = stable.served.metric(errors)
    stable.write(b'{"weight": 1000}')
    event = stable.served.wait_for("traffic rule ignored")
    assert "revision is missing" in event["problem"]
    assert stable.served.metric(errors) == before + 1
    assert ask(stable, body, 5) == {BY_CANARY: 5}


def test_the_first_rule_file_that_exists_is_followed(
    stable: Stable, canary: Served, body: dict[str, Any]
) -> None:
    newer = stable.rule.with_name("rule.json")
    stable.follow(port=canary.http_port, weight=0)
    newer.write_bytes(rollout.written({"port": canary.http_port, "weight": 100}))
    stable.served.wait_for("traffic rule")
    assert ask(stable, body, 2) == {BY_CANARY: 2}
    newer.unlink()
    stable.served.wait_for("traffic rule")
    assert ask(stable, body, 2) == {BY_STABLE: 2}


def test_who_answers_counts_the_request(model: Path, canary: Served, body: dict[str, Any]) -> None:
    counted = f'modelwright_requests_total{{code="200",model="{NAME}",protocol="http"'
    with rollout.stable(model, port=canary.http_port, weight=40) as stable:
        before = canary.metric(counted)
        ask(stable, body)
        assert stable.served.metric(counted) == 60
        assert canary.metric(counted) - before == 40
        weight = f'modelwright_traffic_weight{{model="{NAME}",revision="{REVISION}"'
        assert stable.served.metric(weight) == 40
