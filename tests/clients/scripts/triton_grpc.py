"""NVIDIA's gRPC clients: tritonclient.grpc and tritonclient.grpc.aio."""

import asyncio
from collections.abc import AsyncIterator, Callable
from queue import Queue
from typing import Any
from unittest import IsolatedAsyncioTestCase

import numpy as np
import tritonclient.grpc.aio as grpc_aio
from grpc import RpcError, StatusCode
from tritonclient import grpc

from clients.scripts.served import Model, contains, refusal, served
from clients.scripts.triton_calls import Calls, settled

SECONDS = 20


class GrpcCalls(Calls):
    """What both have in common."""

    async def document(self, call: Callable[..., Any], *arguments: str) -> Any:
        return await settled(call(*arguments, as_json=True))

    def statuses(self) -> tuple[str, str]:
        return "StatusCode.NOT_FOUND", "StatusCode.INVALID_ARGUMENT"

    async def is_ready(self, client: Any, name: str) -> bool:
        """The client has no false for models that are unknown: it raises what the server says."""
        said, _ = await self.refused(lambda: client.is_model_ready(name))
        contains(said, f"unknown model '{name}'")
        return False

    async def test_messages_may_be_compressed(self) -> None:
        for model in self.models():
            for algorithm in ("gzip", "deflate"):
                await self.predict(model, self.inputs(model), compression_algorithm=algorithm)

    async def test_answers_are_messages_too(self) -> None:
        client = self.client_of(served("matrix"))
        metadata = await settled(client.get_server_metadata())
        np.testing.assert_equal(metadata.name, "modelwright-serving")
        statistics = await settled(client.get_inference_statistics("churn", "1"))
        np.testing.assert_equal(statistics.model_stats[0].version, "1")

    async def test_a_deadline_may_be_set(self) -> None:
        model = served("matrix")
        await self.predict(model, self.inputs(model), client_timeout=SECONDS)


class Grpc(GrpcCalls, IsolatedAsyncioTestCase):
    library = grpc

    def client_of(self, model: Model) -> Any:
        # Of their own, since clients with equal options share a channel.
        options = grpc.KeepAliveOptions(keepalive_time_ms=30_000, keepalive_permit_without_calls=True)
        client = grpc.InferenceServerClient(model.grpc, keepalive_options=options)
        self.addCleanup(client.close)
        return client

    async def test_a_call_may_be_cancelled_and_others_go_on(self) -> None:
        model = served("matrix")
        client, inputs = self.client_of(model), self.inputs(model)
        answers: Queue[Any] = Queue()
        calls = [
            client.async_infer(model.name, inputs, lambda result, error: answers.put((result, error)))
            for _ in range(20)
        ]
        for call in calls[::2]:
            call.cancel()
        settled_calls = [answers.get(timeout=SECONDS) for _ in calls]
        failed = [error for _, error in settled_calls if error is not None]
        np.testing.assert_equal({error.status() for error in failed} <= {"StatusCode.CANCELLED"}, True)
        np.testing.assert_equal(len(failed) <= 10, True)

    async def test_streams_are_refused_with_the_reason(self) -> None:
        model = served("matrix")
        client = self.client_of(model)
        answers: Queue[Any] = Queue()
        client.start_stream(lambda result, error: answers.put((result, error)))
        result, error = answers.get(timeout=SECONDS)
        np.testing.assert_equal((result, error.status()), (None, "StatusCode.UNIMPLEMENTED"))
        contains(error.message(), "ModelStreamInfer")
        client.stop_stream()
        await self.predict(model, self.inputs(model))


class GrpcAio(GrpcCalls, IsolatedAsyncioTestCase):
    library = grpc_aio

    def client_of(self, model: Model) -> Any:
        client = grpc_aio.InferenceServerClient(model.grpc)
        self.addAsyncCleanup(client.close)
        return client

    async def test_streams_are_refused_with_the_reason(self) -> None:
        model = served("matrix")
        client, inputs = self.client_of(model), self.inputs(model)

        async def requests() -> AsyncIterator[dict[str, Any]]:
            # Not before the refusal: a message that grpc.aio cannot send any more it calls an internal error,
            # whatever the server has said.
            await asyncio.sleep(SECONDS)
            yield {"model_name": model.name, "inputs": inputs}

        async def first() -> object:
            return await anext(client.stream_infer(requests()))

        error = await refusal(RpcError, lambda: asyncio.wait_for(first(), SECONDS))
        np.testing.assert_equal(error.code(), StatusCode.UNIMPLEMENTED)
        contains(str(error.details()), "ModelStreamInfer")
        await self.predict(model, inputs)
