"""The client that learns from the server's configuration how to split rows and name tensors: tritony."""

from typing import Any
from unittest import IsolatedAsyncioTestCase, TestCase

import numpy as np
from tritony import InferenceClient

from clients.scripts.served import Model, served

# Of the configuration's batch size: more rows than fit into one request.
MANY = 8192 + 100


def _client(model: Model, protocol: str, **options: Any) -> Any:
    url = model.grpc if protocol == "grpc" else model.http
    return InferenceClient.create_with(model.name, url, protocol=protocol, **options)


def _compare(model: Model, found: Any) -> None:
    model.compare(dict(zip(model.outputs, found, strict=True)))


class Waiting(TestCase):
    def test_predictions_are_the_models(self) -> None:
        for protocol in ("grpc", "http"):
            for which in ("matrix", "columns"):
                model = served(which)
                _compare(model, _client(model, protocol)(model.inputs))

    def test_messages_may_be_compressed(self) -> None:
        model = served("matrix")
        for algorithm in ("gzip", "deflate"):
            _compare(model, _client(model, "grpc", compression_algorithm=algorithm)(model.inputs))

    def test_calls_may_be_made_one_by_one(self) -> None:
        model = served("matrix")
        _compare(model, _client(model, "grpc", run_async=False)(model.inputs))

    def test_many_rows_go_in_several_requests(self) -> None:
        model = served("matrix")
        rows = np.resize(model.inputs["X"], (MANY, model.inputs["X"].shape[1]))
        labels, probabilities = _client(model, "grpc")(rows)
        np.testing.assert_equal((labels.shape, probabilities.shape), ((MANY,), (MANY, 2)))


class Awaited(IsolatedAsyncioTestCase):
    async def test_predictions_are_the_models(self) -> None:
        for protocol in ("grpc", "http"):
            model = served("matrix")
            url = model.grpc if protocol == "grpc" else model.http
            client = InferenceClient.create_with_asyncio(model.name, url, protocol=protocol)
            self.addAsyncCleanup(client.async_close)
            _compare(model, await client.aio_infer(model.inputs))
