"""Constraints of trees by the names of features."""

from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from unit.training.pod import Pod

from modelwright_training.errors import InputError
from modelwright_training.learning import constraints, estimators

SEEN = ["age", "fee", "joined", "joined"]
LIGHTGBM = "lightgbm.LGBMRegressor"
FOREST = "sklearn.ensemble.RandomForestRegressor"


def settled(path: str, parameters: dict[str, Any]) -> Any:
    """The parameters once six columns are known, the first of them numbers."""
    estimator = estimators.build(estimators.find(path), parameters, 0, None)
    constraints.settle(estimator, SEEN, 6)
    return estimator.get_params()


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (LIGHTGBM, "monotone_constraints"),
        ("xgboost.XGBRegressor", "monotone_constraints"),
        (FOREST, "monotonic_cst"),
    ],
)
def test_names_become_places(path: str, name: str) -> None:
    assert settled(path, {name: {"fee": -1}})[name] == (0, -1, 0, 0, 0, 0)
    assert settled(path, {name: [0, 0, 0, 0, 1, 0]})[name] == (0, 0, 0, 0, 1, 0)
    assert settled(path, {}).get(name) is None


def test_a_group_of_features_has_all_columns_of_each() -> None:
    groups = settled(LIGHTGBM, {"interaction_constraints": [["age", "joined"], ["fee", 5]]})
    assert groups["interaction_constraints"] == [[0, 2, 3], [1, 5]]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"monotone_constraints": {"aeg": 1, "plan": 1}},
            "names 'aeg', 'plan', but numeric.*Did you mean 'age'",
        ),
        ({"monotone_constraints": {"joined": 1}}, "names 'joined': a date becomes several numbers"),
        ({"monotone_constraints": {"age": 2, "fee": "up"}}, "has 'age': 2, 'fee': 'up'; a direction is 1"),
        ({"monotone_constraints": [1, 0]}, "or a list with one direction for each of the 6 columns"),
        ({"monotone_constraints": "age"}, "such as {age: 1}"),
        ({"interaction_constraints": [["age", "plan"]]}, "interaction_constraints names 'plan'"),
    ],
)
def test_what_names_no_column_of_numbers_is_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        settled(LIGHTGBM, parameters)
    assert caught.value.reason == "BadParameters"


def contradicted(rows: int = 300) -> pd.DataFrame:
    """A value that rises with `x` and falls with `z`, but for waves, and a category that comes first."""
    random = np.random.default_rng(4)
    frame = pd.DataFrame({"plan": random.choice(["a", "b"], rows), "x": random.normal(size=rows)})
    frame["z"] = random.normal(size=rows)
    frame["y"] = frame["x"] - frame["z"] + np.sin(6 * frame["x"]) + np.sin(6 * frame["z"])
    return frame


@pytest.mark.parametrize(
    ("estimator", "parameters"),
    [
        (LIGHTGBM, {"monotone_constraints": {"z": -1}}),
        ("xgboost.XGBRegressor", {"monotone_constraints": {"z": -1}}),
        ("sklearn.ensemble.HistGradientBoostingRegressor", {"monotonic_cst": {"z": -1}}),
    ],
)
def test_the_served_model_never_rises_where_it_may_not(
    pod: Pod, estimator: str, parameters: dict[str, Any]
) -> None:
    pod.given_rows(contradicted()).given(estimator=estimator, parameters=parameters).through("fetch", "train")
    model = onnxruntime.InferenceSession(str(pod.paths.model_file))
    steps = np.linspace(-2, 2, 81, dtype=np.float32)[:, None]
    asked = {"plan": np.full((81, 1), "a", object), "x": np.zeros_like(steps), "z": steps}
    along_z = np.diff(model.run(["value"], asked)[0][:, 0])
    along_x = np.diff(model.run(["value"], asked | {"x": steps, "z": np.zeros_like(steps)})[0][:, 0])
    assert along_z.max() <= 1e-5
    assert along_x.min() < -1e-2, "nothing is said of x"
    assert pod.training["parameters"] | parameters == pod.training["parameters"]
