"""KServe's clients: InferenceRESTClient and InferenceGRPCClient, which take the same requests."""

from typing import Any
from unittest import IsolatedAsyncioTestCase

import grpc
import httpx
import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput

from clients.scripts.served import ALL, Model, contains, datatype, refusal, served


class Calls:
    """What both clients have in common."""

    async def predict(self, request: Any, model: Model) -> Any:
        """The client's answer to a request."""
        raise NotImplementedError

    async def test_predictions_are_the_models_whether_tensors_go_as_bytes_or_as_values(self) -> None:
        for model in map(served, ALL):
            halves = "FP16" in map(datatype, model.inputs.values())
            for binary in (True,) if halves else (True, False):
                answer = await self.predict(_request(model, binary=binary), model)
                model.compare({output.name: output.as_numpy() for output in answer.outputs})

    async def test_outputs_may_be_asked_for_and_the_id_comes_back(self) -> None:
        model = served("matrix")
        request = _request(model, request_id="mine ☃", request_outputs=[RequestedOutput("probabilities")])
        answer = await self.predict(request, model)
        np.testing.assert_equal(answer.id, "mine ☃")
        model.compare({"probabilities": answer.outputs[0].as_numpy()}, ["probabilities"])

    async def test_parameters_that_the_server_does_not_heed_do_no_harm(self) -> None:
        model = served("matrix")
        request = _request(model, parameters={"text": "t", "number": 3, "truth": True})
        answer = await self.predict(request, model)
        model.compare({output.name: output.as_numpy() for output in answer.outputs})


class Rest(Calls, IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        self.client = InferenceRESTClient(RESTConfig(protocol="v2"))
        self.addAsyncCleanup(self.client.close)

    async def predict(self, request: Any, model: Model) -> Any:
        return await self.client.infer(_url(model), request, model_name=model.name)

    async def test_the_server_and_its_model_are_live_and_ready(self) -> None:
        model = served("matrix")
        np.testing.assert_equal(await self.client.is_server_live(_url(model)), True)
        np.testing.assert_equal(await self.client.is_server_ready(_url(model)), True)
        np.testing.assert_equal(await self.client.is_model_ready(_url(model), model.name), True)
        np.testing.assert_equal(await self.client.is_model_ready(_url(model), "other"), False)

    async def test_outputs_come_as_bytes_when_they_are_asked_for(self) -> None:
        for model in map(served, ALL):
            for options in (
                {"parameters": {"binary_data_output": True}},
                {"request_outputs": [RequestedOutput(name, {"binary_data": True}) for name in model.outputs]},
            ):
                headers: dict[str, str] = {}
                answer = await self.client.infer(
                    _url(model), _request(model, **options), model.name, response_headers=headers
                )
                np.testing.assert_equal("inference-header-content-length" in headers, True)
                model.compare({output.name: output.as_numpy() for output in answer.outputs})

    async def test_a_request_may_be_a_plain_document(self) -> None:
        model = served("matrix")
        rows = model.inputs["X"]
        tensor = {"name": "X", "shape": list(rows.shape), "datatype": "FP32", "data": rows.tolist()}
        answer = await self.predict({"inputs": [tensor]}, model)
        model.compare({output.name: output.as_numpy() for output in answer.outputs})

    async def test_mistakes_are_named(self) -> None:
        model = served("matrix")
        request = _request(model, request_outputs=[RequestedOutput("nothing")])
        error = await refusal(httpx.HTTPStatusError, lambda: self.predict(request, model))
        np.testing.assert_equal(error.response.status_code, 400)
        contains(str(error), "'nothing'")


class Grpc(Calls, IsolatedAsyncioTestCase):
    def client_of(self, model: Model) -> Any:
        client = InferenceGRPCClient(model.grpc)
        self.addAsyncCleanup(client.close)
        return client

    async def predict(self, request: Any, model: Model) -> Any:
        return await self.client_of(model).infer(request)

    async def test_the_server_and_its_model_are_live_and_ready(self) -> None:
        model = served("matrix")
        client = self.client_of(model)
        np.testing.assert_equal(await client.is_server_live(), True)
        np.testing.assert_equal(await client.is_server_ready(), True)
        np.testing.assert_equal(await client.is_model_ready(model.name), True)

    async def test_mistakes_are_named(self) -> None:
        model = served("matrix")
        request = _request(model, request_outputs=[RequestedOutput("nothing")])
        error = await refusal(grpc.RpcError, lambda: self.predict(request, model))
        np.testing.assert_equal(error.code(), grpc.StatusCode.INVALID_ARGUMENT)
        contains(str(error.details()), "'nothing'")


def _request(model: Model, *, binary: bool = True, **more: Any) -> Any:
    made = []
    for name, array in model.inputs.items():
        tensor = InferInput(name, list(array.shape), datatype(array))
        tensor.set_data_from_numpy(array, binary_data=binary)
        made.append(tensor)
    return InferRequest(model.name, made, **more)


def _url(model: Model) -> str:
    return f"http://{model.http}"
