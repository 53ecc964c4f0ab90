"""Callers of the real server ask for tokens in every way there is, and bring them back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from tritonclient.grpc import service_pb2 as pb
from unit.serving import grpc_caller, models
from unit.serving.harness import NAME, Reply, Served, matrix, serving
from unit.serving.traffic import rollout

from modelwright_serving.feedback import tokens
from modelwright_serving.feedback.keys import read
from modelwright_serving.feedback.tokens import Token

FEEDBACK = f"/v2/models/{NAME}/feedback"
CONNECT = "/inference.GRPCInferenceService/ModelInfer"
ASKING = {"prediction_tokens": True}
HEADER = {"modelwright_prediction_tokens": "true"}
CLASSES = ["benign", "malignant"]
NOTHING = {"counted": 0, "duplicate": 0, "forged": 0, "expired": 0, "unknownLabel": 0}

Rows = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def folder(cancer: models.Cancer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("feedback")
    (folder / "model.onnx").write_bytes(cancer.content)
    (folder / "keys").mkdir()
    (folder / "keys" / "key").write_bytes(b"sixteen bytes and more")
    return folder


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[Served]:
    with serving(folder / "model.onnx", "--feedback-keys", str(folder / "keys")) as server:
        yield server.wait_ready()


def bring(server: Served, found: list[str], truth: list[Any], path: str = FEEDBACK) -> dict[str, int]:
    reply = server.call("POST", path, {"tokens": found, "truth": truth})
    assert reply.status == 200, reply.body
    document: dict[str, int] = reply.document
    return document


def tokens_of(reply: Reply) -> list[str]:
    length = reply.headers.get("inference-header-content-length")
    document = json.loads(reply.body if length is None else reply.body[: int(length)])
    found: list[str] = document["parameters"]["prediction_tokens"]
    return found


def opened(folder: Path, found: list[str]) -> list[Token]:
    keys, _ = read(folder / "keys", NAME)
    read_tokens = [tokens.read(token, keys) for token in found]
    assert all(token is not None for token in read_tokens)
    return [token for token in read_tokens if token is not None]


def check(folder: Path, found: list[str], labels: list[str], probabilities: npt.NDArray[Any]) -> None:
    """The tokens say what has been answered."""
    said = opened(folder, found)
    assert [CLASSES[token.label] for token in said] == labels
    values = np.array([token.value for token in said], np.float32)
    np.testing.assert_array_equal(values, probabilities[:, 1].astype(np.float32))


def raw(rows: Rows, **more: Any) -> tuple[bytes, dict[str, str]]:
    """A request with binary tensors, and its header."""
    size = {"binary_data_size": rows.nbytes}
    tensor = {"name": "X", "datatype": "FP32", "shape": list(rows.shape), "parameters": size}
    head = json.dumps({"inputs": [tensor], "id": "7", **more}).encode()
    return head + rows.tobytes(), {"Inference-Header-Content-Length": str(len(head))}


@pytest.mark.parametrize("rows", [1, 3, 100, 1024])
def test_an_answer_in_json_has_a_token_for_each_row(
    served: Served, folder: Path, cancer: models.Cancer, rows: int
) -> None:
    content = np.resize(cancer.rows, (rows, cancer.features))
    for reply in (
        served.infer(matrix(content, parameters=ASKING, id="7")),
        served.infer(matrix(content, id="7"), **HEADER),
    ):
        assert reply.document["id"] == "7"
        check(folder, tokens_of(reply), reply.output("label").tolist(), reply.output("probabilities"))


def test_an_answer_with_binary_data_has_its_tokens_in_the_json(
    served: Served, folder: Path, cancer: models.Cancer
) -> None:
    plain, headers = raw(cancer.rows[:5], parameters={"binary_data_output": True})
    without = served.infer(plain, **headers)
    length = int(without.headers["inference-header-content-length"])
    body, headers = raw(cancer.rows[:5], parameters={"binary_data_output": True, **ASKING})
    reply = served.infer(body, **headers)
    found = int(reply.headers["inference-header-content-length"])
    assert reply.body[found:] == without.body[length:]
    document, expected = json.loads(reply.body[:found]), json.loads(without.body[:length])
    assert len(opened(folder, document.pop("parameters")["prediction_tokens"])) == 5
    assert document == expected


def test_a_body_of_bytes_alone_asks_by_the_header(served: Served, cancer: models.Cancer) -> None:
    reply = served.infer(cancer.rows[:4].tobytes(), Inference_Header_Content_Length="0", **HEADER)
    assert len(tokens_of(reply)) == 4


def test_records_have_their_tokens_beside_them(served: Served, folder: Path) -> None:
    reply = served.infer({"records": [{}, {}], "parameters": ASKING})
    said = opened(folder, tokens_of(reply))
    assert [CLASSES[token.label] for token in said] == [row["label"] for row in reply.document["records"]]


def test_selected_outputs_have_tokens_of_all_that_was_predicted(
    served: Served, folder: Path, cancer: models.Cancer
) -> None:
    whole = served.infer(matrix(cancer.rows[:3]))
    reply = served.infer(matrix(cancer.rows[:3], parameters=ASKING, outputs=[{"name": "label"}]))
    assert [output["name"] for output in reply.document["outputs"]] == ["label"]
    check(folder, tokens_of(reply), whole.output("label").tolist(), whole.output("probabilities"))


def test_over_grpc_and_connect_tokens_are_a_parameter(
    served: Served, folder: Path, cancer: models.Cancer
) -> None:
    asking = {"prediction_tokens": pb.InferParameter(bool_param=True)}
    with grpc_caller.caller(served.grpc_port) as caller:
        plain = grpc_caller.raw(cancer.rows[:3], id="7")
        request = grpc_caller.raw(cancer.rows[:3], id="7", parameters=asking)
        answers = [caller.infer(request).response, caller.infer(request).response]  # parsed, then as learnt
        answers.append(caller.infer(plain, metadata=[("modelwright-prediction-tokens", "true")]).response)
        without = caller.infer(plain).response
        refused = caller.infer(
            grpc_caller.raw(
                cancer.rows[:1], parameters={"prediction_tokens": pb.InferParameter(string_param="yes")}
            )
        )
    reply = served.call("POST", CONNECT, request.SerializeToString(), content_type="application/proto")
    answers.append(pb.ModelInferResponse.FromString(reply.body))
    for answer in answers:
        found = answer.parameters.pop("prediction_tokens").string_param.split(",")
        assert answer == without
        assert len(opened(folder, found)) == 3
    assert (refused.code, refused.details) == (
        grpc_caller.Code.INVALID_ARGUMENT,
        "parameters.prediction_tokens has to be true or false",
    )
    assert bring(served, found, ["benign"] * 3)["counted"] == 3


def test_callers_that_share_a_run_get_their_own_tokens(
    served: Served, folder: Path, cancer: models.Cancer
) -> None:
    """Some of them ask and some do not, and each row says which it is by its probability."""

    def ask(number: int) -> None:
        rows = cancer.rows[number : number + 1 + number % 3]
        more: dict[str, Any] = {"parameters": ASKING} if number % 2 else {}
        for _ in range(5):
            reply = served.infer(matrix(rows, **more))
            if number % 2:
                check(folder, tokens_of(reply), reply.output("label").tolist(), reply.output("probabilities"))
            else:
                assert "parameters" not in reply.document

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(ask, range(64)))


@pytest.mark.parametrize("rows", [1025, 5000])
def test_more_rows_than_get_tokens_are_refused(served: Served, cancer: models.Cancer, rows: int) -> None:
    content = np.zeros((rows, cancer.features), np.float32)
    body, headers = raw(content, parameters=ASKING)
    reply = served.infer(body, **headers)
    assert (reply.status, reply.error) == (
        413,
        f"{rows} rows are too many for prediction tokens; ask for those of at most 1024 at a time",
    )
    assert served.infer(matrix(content[:1], parameters={"prediction_tokens": 1})).status == 400


def test_truths_are_counted_once_each_under_what_became_of_them(
    served: Served, cancer: models.Cancer
) -> None:
    def total(outcome: str) -> float:
        return served.metric(f'modelwright_feedback_total{{model="{NAME}",outcome="{outcome}"')

    before = {outcome: total(outcome) for outcome in ("Counted", "Duplicate", "Forged", "UnknownLabel")}
    found = tokens_of(served.infer(matrix(cancer.rows[:4], parameters=ASKING)))
    forged = found[0][:-1] + ("A" if found[0][-1] != "A" else "B")
    first = bring(served, [*found[:3], forged, "nothing"], ["benign", "malignant", "other", "benign", 1])
    assert first == {**NOTHING, "counted": 2, "forged": 2, "unknownLabel": 1}
    again = bring(served, [*found, found[3]], ["benign"] * 5, f"/v2/models/{NAME}/versions/1/feedback")
    assert again == {**NOTHING, "counted": 2, "duplicate": 3}
    after = {outcome: total(outcome) - before[outcome] for outcome in before}
    assert after == {"Counted": 4, "Duplicate": 3, "Forged": 2, "UnknownLabel": 1}
    assert bring(served, [], []) == NOTHING


def test_thousands_of_truths_come_at_once(served: Served, cancer: models.Cancer) -> None:
    rows = np.resize(cancer.rows, (1000, cancer.features))
    found = [token for _ in range(10) for token in tokens_of(served.infer(matrix(rows, parameters=ASKING)))]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: bring(served, found, ["benign"] * 10_000), range(4)))
    assert sum(result["counted"] for result in results) + sum(
        result["duplicate"] for result in results
    ) == pytest.approx(40_000)
    assert sum(result["counted"] for result in results) >= 9_990  # a memory of 1 MiB may take a few for known


def test_a_flood_of_forged_tokens_holds_up_no_one_else(served: Served, cancer: models.Cancer) -> None:
    """Tokens are checked in small portions, so that inference and health have their turns between them."""
    body = json.dumps({"tokens": ["A" * 48] * 10_000, "truth": ["benign"] * 10_000}).encode()
    ended = Event()

    def flood(_: int) -> int:
        sent = 0
        while not ended.is_set():
            reply = served.call("POST", FEEDBACK, body)
            assert reply.status == 200
            assert reply.document["forged"] == 10_000
            sent += 1
        return sent

    with ThreadPoolExecutor(8) as pool:
        floods = [pool.submit(flood, number) for number in range(8)]
        waits: list[float] = []
        while not all(future.running() for future in floods):
            pass
        for _ in range(30):
            began = monotonic()
            assert served.infer(matrix(cancer.rows[:1])).status == 200
            assert served.get("/v2/health/ready").status == 200
            waits.append(monotonic() - began)
        ended.set()
        assert sum(future.result() for future in floods) > 0
    assert (
        sorted(waits)[15] < 0.5
    )  # seconds, of a machine that does much else; a request of the flood takes longer


WRONG = {
    "no JSON": (b"{", 400, "the body is not JSON"),
    "no object": (b"[]", 400, "the body has to be a JSON object"),
    "no tokens": ({"truth": []}, 400, "tokens has to be a list"),
    "no truth": ({"tokens": []}, 400, "truth has to be a list"),
    "another number of truths": ({"tokens": ["a"], "truth": []}, 400, "there are 1 tokens, but 0 truths"),
    "a number as token": ({"tokens": [7], "truth": [1]}, 400, "tokens[0] has to be a string"),
    "no truth in one place": ({"tokens": ["a", "b"], "truth": [1, None]}, 400, "truth[1] has to be"),
    "too many": ({"tokens": ["a"] * 10_001, "truth": [1] * 10_001}, 413, "there are 10001 tokens"),
    "too large": ({"tokens": ["a" * 2**20], "truth": [1]}, 413, "the body has more than 1048576 bytes"),
    "a bomb": (b'{"tokens":[' + b"[" * 200_000, 413, "the values of the body take too much memory"),
}


@pytest.mark.parametrize(("body", "status", "error"), WRONG.values(), ids=WRONG)
def test_a_wrong_request_is_refused_and_counts_nothing(
    served: Served, cancer: models.Cancer, body: Any, status: int, error: str
) -> None:
    found = tokens_of(served.infer(matrix(cancer.rows[:1], parameters=ASKING)))
    if isinstance(body, dict) and isinstance(body.get("tokens"), list) and body["tokens"] == ["a", "b"]:
        body["tokens"][0] = found[0]
    reply = served.call("POST", FEEDBACK, body)
    assert reply.status == status
    assert error in reply.error
    assert bring(served, found, ["benign"])["counted"] == 1


def test_another_method_or_model_or_version_is_not_there(served: Served) -> None:
    assert served.get(FEEDBACK).status == 405
    assert served.call("POST", "/v2/models/other/feedback", {}).status == 404
    assert served.call("POST", f"/v2/models/{NAME}/versions/9/feedback", {}).status == 404


def test_without_the_flag_there_are_no_tokens_and_no_feedback(server: Served, cancer: models.Cancer) -> None:
    for reply in (
        server.infer(matrix(cancer.rows[:1], parameters=ASKING)),
        server.infer(matrix(cancer.rows[:1]), **HEADER),
    ):
        assert (reply.status, "parameters" in reply.document) == (200, False)
    refused = server.call("POST", FEEDBACK, {"tokens": [], "truth": []})
    assert (refused.status, refused.error[:32]) == (404, "this server takes no feedback: on"[:32])
    assert "modelwright_feedback" not in server.call("GET", "/metrics", port=server.admin_port).body.decode()


def test_keys_come_change_and_go_while_the_server_serves(cancer: models.Cancer, tmp_path: Path) -> None:
    keys, path = tmp_path / "keys", tmp_path / "model.onnx"
    path.write_bytes(cancer.content)
    body = matrix(cancer.rows[:1], parameters=ASKING)
    with serving(path, "--feedback-keys", str(keys)) as server:
        server.wait_ready()
        assert "parameters" not in server.infer(body).document
        refused = server.call("POST", FEEDBACK, {"tokens": [], "truth": []})
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        keys.mkdir()
        (keys / "key").write_bytes(b"short")
        assert server.wait_for("feedback keys")["problems"] == [
            "key has 5 bytes, and a key needs at least 16"
        ]
        (keys / "key").write_bytes(b"a" * 16)
        server.wait_for("feedback keys")
        early = tokens_of(server.infer(body))
        (keys / "earlier").write_bytes(b"a" * 16)
        (keys / "key.new").write_bytes(b"b" * 16)
        (keys / "key.new").replace(keys / "key")
        while server.wait_for("feedback keys")["verifying"] != 2:
            pass
        late = tokens_of(server.infer(body))
        assert bring(server, early + late, ["benign"] * 2)["counted"] == 2
        (keys / "earlier").unlink()
        server.wait_for("feedback keys")
        assert bring(server, early, ["benign"])["forged"] == 1
        (keys / "key").unlink()
        server.wait_for("feedback keys")
        assert "parameters" not in server.infer(body).document


def test_tokens_of_another_service_are_forged(folder: Path, cancer: models.Cancer) -> None:
    """The same key and the same model, served under another name."""
    options = ("--feedback-keys", str(folder / "keys"))
    with (
        serving(folder / "model.onnx", *options) as one,
        serving(folder / "model.onnx", *options, "--name", "other") as other,
    ):
        one.wait_ready()
        other.wait_ready()
        reply = other.call("POST", "/v2/models/other/infer", matrix(cancer.rows[:1], parameters=ASKING))
        assert bring(one, tokens_of(reply), ["benign"])["forged"] == 1
        assert bring(other, tokens_of(reply), ["benign"], "/v2/models/other/feedback")["counted"] == 1


def test_a_canarys_answer_brings_the_canarys_tokens(
    folder: Path, cancer: models.Cancer, tmp_path: Path
) -> None:
    options = ("--feedback-keys", str(folder / "keys"))
    other = tmp_path / "model.onnx"
    other.write_bytes(_retrained(cancer))
    with (
        serving(other, "--model-version", "2", *options) as canary,
        rollout.stable(folder / "model.onnx", *options, port=canary.http_port, weight=100) as stable,
        grpc_caller.caller(stable.served.grpc_port) as caller,
    ):
        canary.wait_ready()
        asking = {"prediction_tokens": pb.InferParameter(bool_param=True)}
        for reply in (
            stable.served.infer(matrix(cancer.rows[:2], parameters=ASKING)),
            stable.served.infer(matrix(cancer.rows[:2]), **HEADER),
        ):
            assert reply.document["model_version"] == "2"
            said = opened(folder, tokens_of(reply))
            digest = reply.headers["modelwright-model-digest"]
            assert {token.digest for token in said} == {digest.removeprefix("sha256:")[:8]}
            assert bring(stable.served, tokens_of(reply), ["benign"] * 2)["counted"] == 2
        answer = caller.infer(grpc_caller.raw(cancer.rows[:2], parameters=asking))
        found = answer.response.parameters["prediction_tokens"].string_param.split(",")
        assert answer.response.model_version == "2"
        assert bring(stable.served, found, ["malignant"] * 2)["counted"] == 2


def _retrained(cancer: models.Cancer) -> bytes:
    """The same model with another digest."""
    model = onnx.ModelProto.FromString(cancer.content)
    model.doc_string = "trained later"
    return bytes(model.SerializeToString())
