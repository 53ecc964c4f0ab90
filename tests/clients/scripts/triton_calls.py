"""What NVIDIA's four clients have in common: the same calls, over HTTP or gRPC, waited for or awaited."""

import inspect
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import numpy as np
from tritonclient.utils import InferenceServerException

from clients.scripts.served import ALL, Model, contains, datatype, refusal, served

EXTENSIONS = {"model_configuration", "model_repository", "statistics"}


async def settled(answer: Any) -> Any:
    """What a call has given, whether the client is one to wait for or to await."""
    return await answer if inspect.isawaitable(answer) else answer


class Calls:
    """Mixed into the classes of one client each."""

    library: Any

    def client_of(self, model: Model) -> Any:
        """A client for this model's server, closed after the test."""
        raise NotImplementedError

    async def document(self, call: Callable[..., Any], *arguments: str) -> Any:
        """What a call has given, as JSON."""
        raise NotImplementedError

    def inputs(self, model: Model, **options: Any) -> list[Any]:
        made = []
        for name, array in model.inputs.items():
            tensor = self.library.InferInput(name, list(array.shape), datatype(array))
            tensor.set_data_from_numpy(array, **options)
            made.append(tensor)
        return made

    def outputs(self, names: list[str], **options: Any) -> list[Any]:
        return [self.library.InferRequestedOutput(name, **options) for name in names]

    async def predict(self, model: Model, inputs: list[Any], **options: Any) -> Any:
        """The client's result, which is ONNX Runtime's for the outputs that were asked for."""
        result = await settled(self.client_of(model).infer(model.name, inputs, **options))
        names = [output.name() for output in options.get("outputs") or []] or list(model.outputs)
        model.compare({name: result.as_numpy(name) for name in names}, names)
        others = set(model.outputs) - set(names)
        np.testing.assert_equal([name for name in others if result.as_numpy(name) is not None], [])
        return result

    async def refused(self, call: Callable[[], Awaitable[Any]]) -> tuple[str, str]:
        """The message and the status of the error with which a call fails."""

        async def waited() -> Any:
            return await settled(call())

        error = await refusal(InferenceServerException, waited)
        return str(error.message()), str(error.status())

    def models(self) -> Iterator[Model]:
        return map(served, ALL)

    async def test_the_server_and_its_model_are_live_and_ready(self) -> None:
        model = served("matrix")
        client = self.client_of(model)
        answers = [client.is_server_live(), client.is_server_ready(), client.is_model_ready(model.name)]
        answers.append(client.is_model_ready(model.name, model.version))
        np.testing.assert_equal([await settled(answer) for answer in answers], [True] * 4)
        if await self.is_ready(client, "other"):
            raise AssertionError("a model is ready that nobody serves")

    async def is_ready(self, client: Any, name: str) -> bool:
        return bool(await settled(client.is_model_ready(name)))

    async def test_the_server_lists_the_extensions_whose_calls_work(self) -> None:
        client = self.client_of(served("matrix"))
        found = await self.document(client.get_server_metadata)
        np.testing.assert_equal(EXTENSIONS - set(found["extensions"]), set())

    async def test_the_metadata_describes_the_model(self) -> None:
        for model in self.models():
            call = self.client_of(model).get_model_metadata
            for version in ("", model.version):
                found = await self.document(call, model.name, version)
                np.testing.assert_equal(found["versions"], [model.version])
                described = {tensor["name"]: tensor["datatype"] for tensor in found["inputs"]}
                np.testing.assert_equal(described, {n: datatype(a) for n, a in model.inputs.items()})
                np.testing.assert_equal([out["name"] for out in found["outputs"]], list(model.outputs))

    async def test_the_configuration_describes_the_model(self) -> None:
        for model in self.models():
            found = await self.document(self.client_of(model).get_model_config, model.name)
            config = found.get("config", found)
            np.testing.assert_equal(config["name"], model.name)
            np.testing.assert_equal([tensor["name"] for tensor in config["input"]], list(model.inputs))
            np.testing.assert_equal(
                [
                    tensor["data_type"].removeprefix("TYPE_").replace("STRING", "BYTES")
                    for tensor in config["input"]
                ],
                [datatype(array) for array in model.inputs.values()],
            )

    async def test_the_statistics_count_rows_and_requests(self) -> None:
        model = served("columns")
        for arguments in ((), (model.name,), (model.name, model.version)):
            before = await self._statistics(model, *arguments)
            await self.predict(model, self.inputs(model))
            after = await self._statistics(model, *arguments)
            np.testing.assert_equal([new - old for new, old in zip(after, before, strict=True)], [4, 1])

    async def _statistics(self, model: Model, *arguments: str) -> list[int]:
        call = self.client_of(model).get_inference_statistics
        (found,) = (await self.document(call, *arguments))["model_stats"]
        requests = found["inference_stats"]["success"].get("count", 0)
        return [int(found.get("inference_count", 0)), int(requests)]

    async def test_the_repository_has_the_model(self) -> None:
        model = served("matrix")
        found = await self.document(self.client_of(model).get_model_repository_index)
        (entry,) = found["models"] if isinstance(found, dict) else found
        np.testing.assert_equal([entry["name"], entry["state"]], [model.name, "READY"])

    async def test_any_of_the_outputs_may_be_asked_for(self) -> None:
        for model in self.models():
            for name in model.outputs:
                await self.predict(model, self.inputs(model), outputs=self.outputs([name]))
            backwards = list(reversed(model.outputs))
            await self.predict(model, self.inputs(model), outputs=self.outputs(backwards))

    async def test_the_id_comes_back_and_what_the_server_does_not_heed_does_no_harm(self) -> None:
        model = served("matrix")
        result = await self.predict(
            model,
            self.inputs(model),
            model_version=model.version,
            request_id="mine ☃",
            sequence_id=7,
            sequence_start=True,
            sequence_end=True,
            priority=1,
            timeout=10_000_000,
            headers={"x-tenant": "a"},
            parameters={"text": "t", "number": 3, "truth": True},
        )
        response = result.get_response()
        np.testing.assert_equal(response["id"] if isinstance(response, dict) else response.id, "mine ☃")

    async def test_missing_values_are_nan(self) -> None:
        model = served("matrix")
        rows = np.full_like(model.inputs["X"], np.nan)
        tensor = self.library.InferInput("X", list(rows.shape), "FP32")
        tensor.set_data_from_numpy(rows)
        result = await settled(self.client_of(model).infer(model.name, [tensor]))
        if not np.isfinite(result.as_numpy("probabilities")).all():
            raise AssertionError("the model's imputer was not given what is missing")

    async def test_no_rows_give_no_rows_or_the_reason(self) -> None:
        model = served("datatypes")
        made = []
        for name, array in model.inputs.items():
            tensor = self.library.InferInput(name, [0, 2], datatype(array))
            tensor.set_data_from_numpy(array[:0])
            made.append(tensor)
        result = await settled(self.client_of(model).infer(model.name, made))
        for name in model.outputs:
            np.testing.assert_equal(result.as_numpy(name).shape, (0, 2), name)

    async def test_mistakes_are_named(self) -> None:
        model = served("matrix")
        client, inputs = self.client_of(model), self.inputs(model)
        wrong = self.library.InferInput("Y", list(model.inputs["X"].shape), "FP32")
        wrong.set_data_from_numpy(model.inputs["X"])
        missing, invalid = self.statuses()
        for call, message, status in (
            (lambda: client.infer("other", inputs), "unknown model", missing),
            (lambda: client.infer(model.name, inputs, model_version="9"), "unknown version", missing),
            (lambda: client.infer(model.name, [wrong]), "Y", invalid),
            (lambda: client.infer(model.name, inputs, outputs=self.outputs(["z"])), "z", invalid),
            (lambda: client.get_model_config("other"), "unknown model", missing),
            (lambda: client.get_model_metadata(model.name, "9"), "unknown version", missing),
        ):
            said, found = await self.refused(call)
            contains(said, message)
            np.testing.assert_equal(found, status, said)

    def statuses(self) -> tuple[str, str]:
        """How this protocol says: there is no such thing; you made a mistake."""
        raise NotImplementedError

    async def test_what_the_server_does_not_have_is_refused_and_it_serves_on(self) -> None:
        model = served("matrix")
        client = self.client_of(model)
        for call, message in (
            (lambda: client.load_model(model.name), "change spec.model"),
            (lambda: client.unload_model(model.name), "change spec.model"),
            (client.get_trace_settings, "there is no"),
            (client.get_log_settings, "there is no"),
            (client.get_system_shared_memory_status, "there is no"),
            (client.get_cuda_shared_memory_status, "there is no"),
            (lambda: client.register_system_shared_memory("region", "/key", 64), "there is no"),
        ):
            said, _ = await self.refused(call)
            contains(said, message)
        await self.predict(model, self.inputs(model))
