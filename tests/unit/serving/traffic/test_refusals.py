"""What a new revision refuses is asked of the one before it, which the callers were used to."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper
from tritonclient.grpc import service_pb2 as pb
from unit.serving import grpc_caller, models
from unit.serving.grpc_caller import Code
from unit.serving.harness import NAME, Reply, Served, matrix, serving
from unit.serving.traffic import rollout
from unit.serving.traffic.rollout import SECRET, Stable

CONNECT = "/inference.GRPCInferenceService/ModelInfer"
ROWS = np.array([[1, 2]], np.float32)
OLD, NEW = matrix(ROWS, "before"), matrix(ROWS, "now")
NEITHER = matrix(ROWS, "never")
TRACK = "modelwright-track"
REVISIONS = count()


def doubling(name: str) -> bytes:
    """Doubles the rows of an input of this name, and takes no other."""
    add = helper.make_node("Add", [name, name], ["y"])
    return models.model([add], [models.matrix(name)], [models.matrix("y")])


@pytest.fixture(scope="module")
def baking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stable]:
    """The new revision, which has renamed its input."""
    path = tmp_path_factory.mktemp("baking") / "model.onnx"
    path.write_bytes(doubling("now"))
    with rollout.stable(path) as served:
        yield served


@pytest.fixture(scope="module")
def retired(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    path = tmp_path_factory.mktemp("retired") / "model.onnx"
    path.write_bytes(doubling("before"))
    with serving(path, "--model-version", "0") as served:
        yield served.wait_ready()


@pytest.fixture
def follow(baking: Stable) -> Iterator[Callable[..., str]]:
    """Puts a rule for refusals in force, for a revision that no other test counts."""

    def write(port: int, **more: Any) -> str:
        revision = f"retired-{next(REVISIONS)}"
        baking.follow(revision=revision, port=port, refusals=True, secret=SECRET, **more)
        return revision

    yield write
    baking.forget()


def message(name: str, **more: Any) -> Any:
    return grpc_caller.raw(ROWS, name, **more)


def connect(served: Served, content: Any) -> Reply:
    """A unary call of the Connect protocol."""
    return served.call("POST", CONNECT, content.SerializeToString(), content_type="application/proto")


def test_what_is_refused_is_answered_by_the_revision_before(
    baking: Stable, retired: Served, follow: Callable[..., str]
) -> None:
    revision = follow(retired.http_port)
    served = baking.served
    before = [served.metric(name) for name in REQUESTS]
    answer = served.infer(OLD)
    assert (answer.status, answer.headers[TRACK]) == (200, "retired")
    assert answer.output("y").tolist() == [[2, 4]]
    with grpc_caller.caller(served.grpc_port) as caller:
        call = caller.infer(message("before"))
    assert (call.response.model_version, call.headers[TRACK]) == ("0", "retired")
    found = connect(served, message("before"))
    assert (found.status, found.headers[TRACK]) == (200, "retired")
    assert pb.ModelInferResponse.FromString(found.body).model_version == "0"
    assert baking.outcomes(revision) == {"Answered": 3}
    # Who answers a request counts it.
    assert [served.metric(name) for name in REQUESTS] == before


REQUESTS = [
    *(f'modelwright_requests_total{{code="{code}",model="{NAME}"' for code in ("400", "INVALID_ARGUMENT")),
    *(f'modelwright_requests_in_flight{{model="{NAME}",protocol="{name}"' for name in ("http", "grpc")),
    *(
        f'modelwright_request_duration_seconds_count{{model="{NAME}",protocol="{name}"'
        for name in ("http", "grpc")
    ),
]


def test_what_is_answered_here_is_not_asked_elsewhere(
    baking: Stable, retired: Served, follow: Callable[..., str]
) -> None:
    revision = follow(retired.http_port, mirror=0)
    answer = baking.served.infer(NEW)
    assert (answer.status, answer.headers[TRACK]) == (200, "stable")
    assert baking.outcomes(revision) == {}


def test_what_both_refuse_is_the_callers_fault_and_gets_the_new_revisions_reason(
    baking: Stable, retired: Served, follow: Callable[..., str]
) -> None:
    revision = follow(retired.http_port)
    served = baking.served
    before = [served.metric(name) for name in REQUESTS]
    answer = served.infer(NEITHER)
    assert (answer.status, answer.headers[TRACK]) == (400, "stable")
    assert "'now'" in answer.error
    with grpc_caller.caller(served.grpc_port) as caller:
        call = caller.infer(message("never"))
    assert (call.code, call.headers[TRACK]) == (Code.INVALID_ARGUMENT, "stable")
    assert "'now'" in call.details
    found = connect(served, message("never"))
    assert (found.status, found.document["code"]) == (400, "invalid_argument")
    assert baking.outcomes(revision) == {"Invalid": 3}
    counted = [late - early for early, late in zip(before, map(served.metric, REQUESTS), strict=True)]
    assert counted == [1, 2, 0, 0, 1, 2]


FAILURES = {
    "fails": (rollout.answers("500 No"), "Failed", {}),
    "has no room": (rollout.answers("503 No"), "Overloaded", {}),
    "breaks off": (rollout.breaks_off, "Broken", {}),
    "hangs": (rollout.hangs, "Timeout", {"timeoutSeconds": 1.5}),
}


@pytest.mark.parametrize(("behaviour", "outcome", "more"), FAILURES.values(), ids=FAILURES)
def test_when_the_revision_before_fails_the_caller_gets_the_refusal(
    baking: Stable,
    follow: Callable[..., str],
    behaviour: rollout.Behaviour,
    outcome: str,
    more: dict[str, Any],
) -> None:
    with rollout.canary(behaviour) as port:
        revision = follow(port, **more)
        assert baking.served.infer(OLD).status == 400
        with grpc_caller.caller(baking.served.grpc_port) as caller:
            assert caller.infer(message("before")).code is Code.INVALID_ARGUMENT
        assert connect(baking.served, message("before")).status == 400
        assert baking.outcomes(revision) == {outcome: 3}


def test_a_request_that_names_a_version_is_refused_here(
    baking: Stable, retired: Served, follow: Callable[..., str]
) -> None:
    revision = follow(retired.http_port)
    pinned = baking.served.call("POST", f"/v2/models/{NAME}/versions/1/infer", OLD)
    assert pinned.status == 400
    with grpc_caller.caller(baking.served.grpc_port) as caller:
        for version in ("0", "1"):
            assert caller.infer(message("before", model_version=version)).code is not Code.OK
    assert connect(baking.served, message("before", model_version="1")).status == 400
    assert baking.outcomes(revision) == {}


def test_a_delegated_request_is_refused_here(
    baking: Stable, retired: Served, follow: Callable[..., str], tmp_path: Path
) -> None:
    """The retired revision delegates all it gets to the new one: a request would go to and fro between them."""
    revision = follow(retired.http_port)
    path = tmp_path / "model.onnx"
    path.write_bytes(doubling("before"))
    rule = {"port": baking.served.http_port, "weight": 100, "secret": SECRET}
    with rollout.stable(path, **rule) as other:
        assert (other.served.infer(OLD).status, other.served.infer(NEITHER).status) == (200, 400)
        assert connect(other.served, message("before")).status == 200
        assert other.outcomes() == {"Rejected": 2, "Invalid": 1}
    assert baking.outcomes(revision) == {}


def test_requests_that_are_copied_are_asked_about_too(
    baking: Stable, retired: Served, follow: Callable[..., str]
) -> None:
    revision = follow(retired.http_port, mirror=100)
    assert baking.served.infer(OLD).headers[TRACK] == "retired"
    assert baking.outcomes(revision) == {"Answered": 1}
    assert baking.copied(revision) == {}


def test_without_the_field_a_refusal_stays_here(
    baking: Stable, retired: Served, follow: Callable[..., str]
) -> None:
    baking.follow(revision="silent", port=retired.http_port, secret=SECRET)
    assert baking.served.infer(OLD).status == 400
    assert baking.outcomes("silent") == {}


def test_an_answer_comes_in_the_form_that_was_asked_for(
    baking: Stable, retired: Served, follow: Callable[..., str]
) -> None:
    """Binary data after JSON, here and there."""
    follow(retired.http_port)
    data = ROWS.tobytes()
    tensor = {
        "name": "before",
        "datatype": "FP32",
        "shape": [1, 2],
        "parameters": {"binary_data_size": len(data)},
    }
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    sizes = {"Inference-Header-Content-Length": str(len(head))}
    answer, direct = (served.infer(head + data, **sizes) for served in (baking.served, retired))
    assert (answer.status, answer.body) == (200, direct.body)
