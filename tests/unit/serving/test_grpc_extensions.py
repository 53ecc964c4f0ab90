"""Triton's extensions over gRPC say what they say over HTTP, to the client that they were made for."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import tritonclient.grpc as triton
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st
from tritonclient.grpc import model_config_pb2, service_pb2
from tritonclient.utils import InferenceServerException
from unit.serving import models
from unit.serving.grpc_caller import SERVICE
from unit.serving.harness import NAME, Served, matrix, serving

from modelwright_serving.limits import MAX_BATCH_SIZE
from modelwright_serving.oip import documents
from modelwright_serving.oip.documents import Totals
from modelwright_serving.oip.signature import NUMPY_TYPES, Signature, TensorSpec
from modelwright_serving.rpc import extensions


@pytest.fixture(scope="module")
def client(server: Served) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(f"127.0.0.1:{server.grpc_port}") as found:
        yield found


def _http(server: Served, path: str, message: Message) -> Message:
    """What HTTP says, read by Protocol Buffers' own library, which refuses unknown fields."""
    return ParseDict(server.get(f"/v2/models/{NAME}/{path}").document, message)


@pytest.mark.parametrize("version", ["", "7"])
def test_the_configuration_is_that_of_http(
    client: triton.InferenceServerClient, server: Served, version: str
) -> None:
    found = client.get_model_config(NAME, version).config
    assert found == _http(server, "config", model_config_pb2.ModelConfig())
    assert found.max_batch_size == MAX_BATCH_SIZE


@pytest.mark.parametrize(("name", "version"), [(NAME, "7"), (NAME, ""), ("", "")])
def test_the_statistics_are_those_of_http(
    client: triton.InferenceServerClient, server: Served, cancer: models.Cancer, name: str, version: str
) -> None:
    assert server.infer(matrix(cancer.rows[:3])).status == 200
    found = client.get_inference_statistics(name, version)
    assert found == _http(server, "stats", service_pb2.ModelStatisticsResponse())
    assert found.model_stats[0].inference_count >= 3


def test_the_index_lists_the_model(client: triton.InferenceServerClient) -> None:
    (entry,) = client.get_model_repository_index().models
    assert (entry.name, entry.version, entry.state, entry.reason) == (NAME, "7", "READY", "")


def test_a_model_that_still_loads_is_listed_unless_the_caller_wants_ready_ones(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    os.mkfifo(path)
    with serving(path) as server:
        with triton.InferenceServerClient(f"127.0.0.1:{server.grpc_port}") as client:
            (entry,) = client.get_model_repository_index().models
            with pytest.raises(InferenceServerException, match="still being loaded") as raised:
                client.get_model_config(NAME)
        assert (entry.state, entry.reason) == (
            "UNAVAILABLE",
            "the model is still being loaded and checked",
        )
        assert raised.value.status() == "StatusCode.UNAVAILABLE"
        assert _ready_only(server) == service_pb2.RepositoryIndexResponse()


def _ready_only(server: Served) -> Any:
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        call = channel.unary_unary(
            f"/{SERVICE}/RepositoryIndex",
            request_serializer=service_pb2.RepositoryIndexRequest.SerializeToString,
            response_deserializer=service_pb2.RepositoryIndexResponse.FromString,
        )
        return call(service_pb2.RepositoryIndexRequest(ready=True))


@pytest.mark.parametrize("method", ["get_model_config", "get_inference_statistics"])
def test_other_models_and_versions_are_unknown(client: triton.InferenceServerClient, method: str) -> None:
    for arguments, message in ((("other",), "unknown model 'other'"), ((NAME, "8"), "unknown version '8'")):
        with pytest.raises(InferenceServerException, match=message) as raised:
            getattr(client, method)(*arguments)
        assert raised.value.status() == "StatusCode.NOT_FOUND"


@pytest.mark.parametrize("method", ["load_model", "unload_model"])
def test_the_one_model_stays_and_the_caller_hears_what_to_do(
    client: triton.InferenceServerClient, method: str
) -> None:
    with pytest.raises(
        InferenceServerException, match=r"change spec\.model of the InferenceService"
    ) as raised:
        getattr(client, method)(NAME)
    assert raised.value.status() == "StatusCode.INVALID_ARGUMENT"
    with pytest.raises(InferenceServerException, match="unknown model 'other'"):
        getattr(client, method)("other")
    assert client.is_model_ready(NAME)


_tensors = st.builds(
    TensorSpec,
    st.text(min_size=1),
    st.sampled_from(sorted(NUMPY_TYPES)),
    st.lists(st.integers(-1, 2**40), max_size=4).map(tuple),
)
_counts = st.integers(0, 2**63 - 1)
_seconds = st.floats(0, 2**31)


@settings(max_examples=200, deadline=None)
@given(
    st.text(),
    st.lists(_tensors, max_size=3).map(tuple),
    st.lists(_tensors, max_size=3).map(tuple),
    st.booleans(),
)
def test_every_configuration_is_the_message_whose_json_form_it_is(
    name: str, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...], joins_rows: bool
) -> None:
    document = documents.configuration(name, "sha256:0", Signature(inputs, outputs), joins_rows=joins_rows)
    found = model_config_pb2.ModelConfig()
    response = service_pb2.ModelConfigResponse.FromString(extensions.configuration(document))
    assert response.config == ParseDict(json.loads(document), found)


@settings(max_examples=200, deadline=None)
@given(
    st.builds(
        Totals,
        *(_counts, _seconds, _counts, _seconds, _counts, _counts),
        *(_counts, _seconds, _counts, _seconds, _seconds, _seconds, _seconds),
    )
)
def test_all_statistics_are_the_message_whose_json_form_they_are(totals: Totals) -> None:
    document = documents.statistics("m", "1", totals)
    response = service_pb2.ModelStatisticsResponse.FromString(extensions.statistics(document))
    assert response == ParseDict(json.loads(document), service_pb2.ModelStatisticsResponse())
