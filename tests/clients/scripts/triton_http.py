"""NVIDIA's HTTP clients: tritonclient.http and tritonclient.http.aio."""

import asyncio
import urllib.request
from collections.abc import Callable
from itertools import product
from typing import Any
from unittest import IsolatedAsyncioTestCase

import numpy as np
import tritonclient.http.aio as http_aio
from tritonclient import http

from clients.scripts.served import Model, served
from clients.scripts.triton_calls import Calls, settled

ALGORITHMS = (None, "gzip", "deflate")


class HttpCalls(Calls):
    """What both have in common."""

    async def document(self, call: Callable[..., Any], *arguments: str) -> Any:
        return await settled(call(*arguments))

    def statuses(self) -> tuple[str, str]:
        return "404", "400"

    async def test_tensors_go_and_come_as_json_and_as_bytes_compressed_or_not(self) -> None:
        binary = (True, False)
        for model in self.models():
            names = list(model.outputs)
            for going, coming, request, response in product(binary, binary, ALGORITHMS, ALGORITHMS):
                await self.predict(
                    model,
                    self.inputs(model, binary_data=going),
                    outputs=self.outputs(names, binary_data=coming),
                    request_compression_algorithm=request,
                    response_compression_algorithm=response,
                )

    async def test_each_tensor_may_choose_its_form(self) -> None:
        model = served("columns")
        texts, numbers = self.inputs(model, binary_data=False)[:1], self.inputs(model)[1:]
        outputs = [
            *self.outputs(["label"], binary_data=True),
            *self.outputs(["probabilities"], binary_data=False),
        ]
        result = await self.predict(model, [*texts, *numbers], outputs=outputs)
        if "data" not in result.get_output("probabilities") or "data" in result.get_output("label"):
            raise AssertionError("each output comes in the form that was asked for")

    async def test_a_query_does_no_harm(self) -> None:
        model = served("matrix")
        await self.predict(model, self.inputs(model), query_params={"a": "b", "c": ["d", "e"]})

    async def test_a_body_may_be_made_and_sent_and_read_by_hand(self) -> None:
        for model in self.models():
            client = self.client_of(model)
            body, size = client.generate_request_body(
                self.inputs(model), outputs=self.outputs(list(model.outputs))
            )
            content, header = await asyncio.to_thread(_post, model, body, size)
            result = client.parse_response_body(content, header_length=header)
            model.compare({name: result.as_numpy(name) for name in model.outputs})


def _post(model: Model, body: bytes, size: int) -> tuple[bytes, int]:
    headers = {"Inference-Header-Content-Length": str(size)}
    request = urllib.request.Request(f"http://{model.http}/v2/models/{model.name}/infer", body, headers)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return answer.read(), int(answer.headers["Inference-Header-Content-Length"])


class Http(HttpCalls, IsolatedAsyncioTestCase):
    library = http

    def client_of(self, model: Model) -> Any:
        client = http.InferenceServerClient(model.http, concurrency=4)
        self.addCleanup(client.close)
        return client

    async def test_many_calls_may_be_under_way(self) -> None:
        model = served("matrix")
        client, inputs = self.client_of(model), self.inputs(model)
        waiting = [client.async_infer(model.name, inputs, request_id=str(number)) for number in range(50)]
        results = [each.get_result(timeout=20) for each in waiting]
        np.testing.assert_equal([each.get_response()["id"] for each in results], [*map(str, range(50))])
        for each in results:
            model.compare({name: each.as_numpy(name) for name in model.outputs})


class HttpAio(HttpCalls, IsolatedAsyncioTestCase):
    library = http_aio

    def client_of(self, model: Model) -> Any:
        client = http_aio.InferenceServerClient(model.http)
        self.addAsyncCleanup(client.close)
        return client

    async def test_many_calls_may_be_under_way(self) -> None:
        model = served("matrix")
        client = self.client_of(model)
        calls = [client.infer(model.name, self.inputs(model)) for _ in range(50)]
        for each in await asyncio.gather(*calls):
            model.compare({name: each.as_numpy(name) for name in model.outputs})
