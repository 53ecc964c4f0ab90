"""The client that makes requests of pydantic models: pydantic-open-inference."""

from typing import Annotated, Any, NamedTuple
from unittest import TestCase

import numpy as np
from pydantic import create_model
from pydantic_open_inference import DatatypeOverride, InputsBaseModel, OutputsBaseModel, RemoteModel

from clients.scripts.served import Model, served

# The client knows the width of named tuples only.
Row: Any = NamedTuple("Row", [(f"feature{number}", float) for number in range(30)])  # type: ignore[misc]
Matrix: Any = create_model("Matrix", __base__=InputsBaseModel, X=(list[Row], ...))


class Label(OutputsBaseModel):
    label: list[str]


class Probabilities(NamedTuple):
    first: float
    second: float


class Both(OutputsBaseModel):
    label: list[str]
    probabilities: list[Probabilities]


class Columns(InputsBaseModel):
    plan: list[tuple[str]]
    age: Annotated[list[tuple[float]], DatatypeOverride("FP32")]


class Remote(TestCase):
    def test_the_model_is_ready_and_as_described(self) -> None:
        for version in (None, "1"):
            remote = _remote(served("matrix"), Matrix, Both, version)
            np.testing.assert_equal(remote.is_ready(), True)
            remote.validate()

    def test_predictions_are_the_models(self) -> None:
        for which, kind in (("matrix", Matrix), ("columns", Columns)):
            model = served(which)
            given = kind(**{name: array.tolist() for name, array in model.inputs.items()})
            found = _remote(model, kind, Both, model.version).infer(given)
            model.compare({name: np.array(getattr(found, name)) for name in model.outputs})

    def test_only_the_outputs_of_the_class_are_asked_for(self) -> None:
        model = served("matrix")
        found = _remote(model, Matrix, Label).infer(Matrix(X=model.inputs["X"].tolist()))
        model.compare({"label": np.array(found.label)}, ["label"])


def _remote(model: Model, given: type, answered: type, version: str | None = None) -> Any:
    return RemoteModel(
        model_name=model.name,
        model_version=version,
        inputs_model=given,
        outputs_model=answered,
        server_url=f"http://{model.http}",
    )
