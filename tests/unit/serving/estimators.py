"""Models as users of scikit-learn train and export them, each with what scikit-learn itself answers."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from skl2onnx import to_onnx as convert
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC

Array = npt.NDArray[Any]

_RANDOM = np.random.default_rng(7)
ROWS: Array = _RANDOM.normal(size=(80, 4)).astype(np.float32)
TWO: Array = (ROWS[:, 0] > 0).astype(np.int64)
THREE: Array = np.array(["bronze", "gold", "silver"])[np.digitize(ROWS[:, 0], [-0.5, 0.5])]
PAIR: Array = np.c_[TWO, (ROWS[:, 1] > 0).astype(np.int64)]
NUMBERS: Array = np.c_[ROWS[:, 0] * 2, ROWS[:, 1] - ROWS[:, 2]]

FRAME = pd.DataFrame(
    {
        "plan": np.array(["free", "pro", "team"])[np.arange(80) % 3],
        "age": np.round(40 + 10 * ROWS[:, 0]),
        "visits": np.arange(80) % 7,
    }
)


@dataclass(frozen=True)
class Exported:
    """An ONNX model, some rows for it, and for each output what it has to give for them."""

    content: bytes
    feed: dict[str, Array]
    answers: dict[str, Array]
    classes: str | None = None


def to_onnx(estimator: Any, rows: Array | None = None, **options: Any) -> Any:
    """The converter, without the warnings that are of its own making."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return convert(estimator, rows, **options)


def _matrix(
    estimator: Any, answers: dict[str, Array], classes: str | None = None, **options: Any
) -> Exported:
    model = to_onnx(estimator, ROWS[:1], **options)
    return Exported(bytes(model.SerializeToString()), {"X": ROWS}, answers, classes)


def _classifier(estimator: Any, target: Array, classes: str) -> Exported:
    """Exported as skl2onnx does it unless it is told otherwise: probabilities in dictionaries."""
    estimator.fit(ROWS, target)
    answers = {
        "output_label": estimator.predict(ROWS),
        "output_probability": estimator.predict_proba(ROWS),
    }
    return _matrix(estimator, answers, classes)


def _regressor(estimator: Any, target: Array) -> Exported:
    predicted = estimator.fit(ROWS, target).predict(ROWS)
    return _matrix(estimator, {"variable": predicted.reshape(len(ROWS), -1)})


def logistic() -> Exported:
    return _classifier(LogisticRegression(), TWO, "[0, 1]")


def strings() -> Exported:
    return _classifier(LogisticRegression(), THREE, '["bronze", "gold", "silver"]')


def forest() -> Exported:
    estimator = RandomForestClassifier(n_estimators=5, random_state=0)
    return _classifier(estimator, THREE, '["bronze", "gold", "silver"]')


def boosting() -> Exported:
    estimator = HistGradientBoostingClassifier(max_iter=5)
    return _classifier(estimator, THREE, '["bronze", "gold", "silver"]')


def calibrated() -> Exported:
    return _classifier(CalibratedClassifierCV(LogisticRegression(), cv=2), TWO, "[0, 1]")


def columns() -> Exported:
    """Probabilities as an output for each class."""
    estimator = LogisticRegression().fit(ROWS, THREE)
    probabilities = estimator.predict_proba(ROWS)
    answers = {"output_label": estimator.predict(ROWS)}
    answers |= {f"s{name}": probabilities[:, index] for index, name in enumerate(estimator.classes_)}
    return _matrix(estimator, answers, options={"zipmap": "columns"})


def two_targets() -> bytes:
    """Dictionaries that ONNX Runtime cannot make: one of them for each target."""
    estimator = RandomForestClassifier(n_estimators=2, random_state=0).fit(ROWS, PAIR)
    return bytes(to_onnx(estimator, ROWS[:1]).SerializeToString())


def two_classifiers() -> Exported:
    """Probabilities as a sequence of tensors, which no option of the converter avoids."""
    estimator = MultiOutputClassifier(LogisticRegression()).fit(ROWS, PAIR)
    first, second = estimator.predict_proba(ROWS)
    answers = {"label": estimator.predict(ROWS), "probabilities_0": first, "probabilities_1": second}
    return _matrix(estimator, answers)


def margins() -> Exported:
    estimator = LinearSVC().fit(ROWS, THREE)
    answers = {"label": estimator.predict(ROWS), "probabilities": estimator.decision_function(ROWS)}
    return _matrix(estimator, answers)


def clusters() -> Exported:
    estimator = KMeans(3, n_init=1, random_state=0).fit(ROWS)
    return _matrix(estimator, {"label": estimator.predict(ROWS), "scores": estimator.transform(ROWS)})


def outliers() -> Exported:
    estimator = IsolationForest(n_estimators=5, random_state=0).fit(ROWS)
    answers = {"label": estimator.predict(ROWS), "scores": estimator.decision_function(ROWS)}
    wide = {name: found.reshape(-1, 1) for name, found in answers.items()}
    return _matrix(estimator, wide, target_opset={"": 18, "ai.onnx.ml": 3})


def regression() -> Exported:
    return _regressor(HistGradientBoostingRegressor(max_iter=5), NUMBERS[:, 0])


def network() -> Exported:
    return _regressor(
        MLPRegressor(hidden_layer_sizes=(8,), max_iter=3000, tol=1e-2, random_state=0), NUMBERS[:, 0]
    )


def two_numbers() -> Exported:
    return _regressor(LinearRegression(), NUMBERS)


def two_numbers_of_trees() -> Exported:
    """Declared as one number for each row by the converter, though it gives two."""
    return _regressor(RandomForestRegressor(n_estimators=3, random_state=0), NUMBERS)


def one_row_only() -> Exported:
    """Exported for exactly one row."""
    estimator = LogisticRegression().fit(ROWS, TWO)
    model = to_onnx(estimator, initial_types=[("X", FloatTensorType([1, 4]))])
    answers = {
        "output_label": estimator.predict(ROWS[:1]),
        "output_probability": estimator.predict_proba(ROWS[:1]),
    }
    return Exported(bytes(model.SerializeToString()), {"X": ROWS[:1]}, answers, "[0, 1]")


def mixed() -> Exported:
    """Text, numbers and whole numbers, each column an input; knows three plans and refuses every other."""
    target = np.where(FRAME["plan"] == "pro", "stay", "go")
    encoding = ColumnTransformer(
        [("plan", OneHotEncoder(), ["plan"]), ("numbers", StandardScaler(), ["age", "visits"])]
    )
    estimator = make_pipeline(encoding, LogisticRegression()).fit(FRAME, target)
    types = [
        ("plan", StringTensorType([None, 1])),
        ("age", FloatTensorType([None, 1])),
        ("visits", Int64TensorType([None, 1])),
    ]
    feed = {
        "plan": FRAME[["plan"]].to_numpy().astype(object),
        "age": FRAME[["age"]].to_numpy().astype(np.float32),
        "visits": FRAME[["visits"]].to_numpy().astype(np.int64),
    }
    answers = {"output_label": estimator.predict(FRAME), "output_probability": estimator.predict_proba(FRAME)}
    model = to_onnx(estimator, initial_types=types)
    return Exported(bytes(model.SerializeToString()), feed, answers, '["go", "stay"]')


EVERY: dict[str, Callable[[], Exported]] = {
    build.__name__: build
    for build in (
        *(logistic, strings, forest, boosting, calibrated, columns, two_classifiers, margins),
        *(clusters, outliers, regression, network, two_numbers, two_numbers_of_trees, one_row_only, mixed),
    )
}
