"""The clients that people use, in every mode they have."""

import asyncio
from collections.abc import Iterator
from queue import Queue
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from tritonclient.utils import InferenceServerException
from unit.serving import models
from unit.serving.harness import NAME, PATIENCE, Served


@pytest.fixture(scope="module")
def client(server: Served) -> Iterator[triton.InferenceServerClient]:
    found = triton.InferenceServerClient(f"127.0.0.1:{server.grpc_port}")
    yield found
    found.close()


def _inputs(rows: Any) -> list[Any]:
    tensor = triton.InferInput("X", list(rows.shape), "FP32")
    tensor.set_data_from_numpy(rows)
    return [tensor]


def test_tritonclient_finds_out_about_server_and_model(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(NAME)
    assert client.is_model_ready(NAME, "7")
    assert client.get_server_metadata(as_json=True)["name"] == "modelwright-serving"
    metadata = client.get_model_metadata(NAME, as_json=True)
    assert metadata["inputs"] == [{"name": "X", "datatype": "FP32", "shape": ["-1", "30"]}]


def test_tritonclient_gets_predictions(client: triton.InferenceServerClient, cancer: models.Cancer) -> None:
    for rows in (cancer.rows[:1], cancer.rows[:40]):
        result = client.infer(NAME, _inputs(rows), request_id="mine")
        assert result.get_response().id == "mine"
        assert result.as_numpy("probabilities").shape == (len(rows), 2)
        assert set(result.as_numpy("label")) <= {b"benign", b"malignant"}


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_tritonclient_may_compress(
    client: triton.InferenceServerClient, cancer: models.Cancer, algorithm: str
) -> None:
    result = client.infer(NAME, _inputs(cancer.rows[:40]), compression_algorithm=algorithm)
    assert result.as_numpy("label").shape == (40,)


def test_tritonclient_hears_of_mistakes(client: triton.InferenceServerClient, cancer: models.Cancer) -> None:
    with pytest.raises(InferenceServerException, match="unknown model 'nobody'") as raised:
        client.infer("nobody", _inputs(cancer.rows[:1]))
    assert raised.value.status() == "StatusCode.NOT_FOUND"


def test_tritonclient_may_call_without_waiting(
    client: triton.InferenceServerClient, cancer: models.Cancer
) -> None:
    expected = client.infer(NAME, _inputs(cancer.rows[:100])).as_numpy("probabilities")
    answers: Queue[Any] = Queue()
    for index in range(100):
        row = _inputs(cancer.rows[index : index + 1])
        client.async_infer(
            NAME, row, lambda result, error: answers.put((result, error)), request_id=str(index)
        )
    results = {}
    for _ in range(100):
        result, error = answers.get(timeout=PATIENCE)
        assert error is None
        results[int(result.get_response().id)] = result.as_numpy("probabilities")
    found = np.concatenate([results[index] for index in range(100)])
    np.testing.assert_allclose(found, expected, atol=1e-6)


async def test_tritonclients_asyncio_shares_a_connection_among_calls(
    server: Served, cancer: models.Cancer
) -> None:
    async with triton_aio.InferenceServerClient(f"127.0.0.1:{server.grpc_port}") as client:
        assert await client.is_server_ready()
        everything = await client.infer(NAME, _inputs(cancer.rows[:200]))
        calls = [client.infer(NAME, _inputs(cancer.rows[i : i + 1])) for i in range(200)]
        results = await asyncio.gather(*calls)
    found = np.concatenate([result.as_numpy("probabilities") for result in results])
    np.testing.assert_allclose(found, everything.as_numpy("probabilities"), atol=1e-6)
