"""The clients that are generated from the specification's OpenAPI document: open-inference-openapi."""

from typing import Any
from unittest import IsolatedAsyncioTestCase

import numpy as np
from open_inference.openapi.client import AsyncOpenInferenceClient, InferenceRequest, OpenInferenceClient
from open_inference.openapi.errors import BadRequestError, NotFoundError

from clients.scripts.served import ALL, Model, contains, datatype, refusal, served
from clients.scripts.triton_calls import settled

# The client makes 1.0 of true and of every whole number, so the model of all datatypes is beyond it.
TAKEN = ("matrix", "columns")


class Calls:
    """What both clients have in common."""

    def client_of(self, model: Model) -> Any:
        raise NotImplementedError

    async def test_the_server_and_its_model_are_live_and_ready(self) -> None:
        model = served("matrix")
        client = self.client_of(model)
        await settled(client.check_server_liveness())
        await settled(client.check_server_readiness())
        await settled(client.check_model_readiness(model.name))
        await settled(client.check_model_version_readiness(model.name, model.version))

    async def test_the_metadata_describes_server_and_model(self) -> None:
        found = await settled(self.client_of(served("matrix")).read_server_metadata())
        np.testing.assert_equal(found.name, "modelwright-serving")
        for model in map(served, ALL):
            client = self.client_of(model)
            for call in (
                client.read_model_metadata(model.name),
                client.read_model_version_metadata(model.name, model.version),
            ):
                described = await settled(call)
                types = {tensor.name: tensor.datatype for tensor in described.inputs}
                np.testing.assert_equal(
                    types, {name: datatype(array) for name, array in model.inputs.items()}
                )
                np.testing.assert_equal([output.name for output in described.outputs], [*model.outputs])

    async def test_predictions_are_the_models(self) -> None:
        for model in map(served, TAKEN):
            client = self.client_of(model)
            for nested in (True, False):
                request = _request(model, nested=nested)
                _compare(model, await settled(client.model_infer(model.name, request=request)))
                versioned = client.model_version_infer(model.name, model.version, request=request)
                _compare(model, await settled(versioned))

    async def test_outputs_may_be_asked_for_and_the_id_comes_back(self) -> None:
        model = served("matrix")
        request = _request(model, nested=True, id="mine ☃", outputs=[{"name": "label"}])
        found = await settled(self.client_of(model).model_infer(model.name, request=request))
        np.testing.assert_equal(found.id, "mine ☃")
        _compare(model, found, ["label"])

    async def test_mistakes_have_the_errors_of_the_specification(self) -> None:
        model = served("matrix")
        client = self.client_of(model)
        wrong = _request(model, nested=True, outputs=[{"name": "nothing"}])
        invalid = await refusal(
            BadRequestError, lambda: settled(client.model_infer(model.name, request=wrong))
        )
        contains(str(invalid.body), "nothing")
        absent = await refusal(NotFoundError, lambda: settled(client.check_model_readiness("other")))
        contains(str(absent.body), "unknown model")


def _request(model: Model, *, nested: bool, **more: Any) -> InferenceRequest:
    inputs = [
        {
            "name": name,
            "shape": list(array.shape),
            "datatype": datatype(array),
            "data": array.tolist() if nested else array.ravel().tolist(),
        }
        for name, array in model.inputs.items()
    ]
    return InferenceRequest(inputs=inputs, **more)


def _compare(model: Model, found: Any, names: list[str] | None = None) -> None:
    np.testing.assert_equal((found.model_name, found.model_version), (model.name, model.version))
    arrays = {}
    for output in found.outputs:
        np.testing.assert_equal(output.datatype, datatype(model.outputs[output.name]))
        arrays[output.name] = np.array(output.data.dict()["__root__"]).reshape(output.shape)
    model.compare(arrays, names)


class Waiting(Calls, IsolatedAsyncioTestCase):
    def client_of(self, model: Model) -> Any:
        return OpenInferenceClient(base_url=f"http://{model.http}")


class Awaited(Calls, IsolatedAsyncioTestCase):
    def client_of(self, model: Model) -> Any:
        return AsyncOpenInferenceClient(base_url=f"http://{model.http}")
