"""Classifiers and regressors of three training libraries, exported as their users do."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt
import onnx
import xgboost
from onnxmltools import convert_lightgbm, convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType
from onnxruntime.quantization import quantize_dynamic
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from unit.serving.estimators import to_onnx

WIDTH = 10
_RANDOM = np.random.default_rng(3)
ROWS: npt.NDArray[np.float32] = _RANDOM.normal(size=(300, WIDTH)).astype(np.float32)
NUMBERS = ROWS[:, 0] * 2 - ROWS[:, 1] * ROWS[:, 2]
LABELS = np.digitize(NUMBERS, [-1, 1])


@dataclass(frozen=True)
class Library:
    """How the models of a library become ONNX."""

    convert: Callable[[Any], bytes]
    estimators: tuple[Callable[[], Any], ...]


def _sklearn(estimator: Any) -> bytes:
    options = {"zipmap": False} if hasattr(estimator, "classes_") else None
    return bytes(to_onnx(estimator, ROWS[:1], options=options).SerializeToString())


def _converted(convert: Callable[..., onnx.ModelProto], estimator: Any) -> bytes:
    model = convert(estimator, initial_types=[("x", FloatTensorType([None, WIDTH]))])
    return bytes(model.SerializeToString())


SKLEARN = Library(
    _sklearn,
    (
        *(
            LogisticRegression,
            LinearRegression,
            SVC,
            GaussianProcessRegressor,
        ),
        *(partial(kind, max_iter=30) for kind in (MLPClassifier, MLPRegressor)),
        *(partial(kind, n_estimators=20) for kind in (RandomForestClassifier, RandomForestRegressor)),
        *(
            partial(kind, max_iter=10)
            for kind in (HistGradientBoostingClassifier, HistGradientBoostingRegressor)
        ),
        partial(GradientBoostingRegressor, n_estimators=10),
        partial(SVC, probability=True),
        lambda: make_pipeline(StandardScaler(), LogisticRegression()),
    ),
)
LIGHTGBM = Library(
    partial(_converted, convert_lightgbm),
    tuple(
        partial(kind, n_estimators=10, n_jobs=1, verbose=-1)
        for kind in (lightgbm.LGBMClassifier, lightgbm.LGBMRegressor)
    ),
)
XGBOOST = Library(
    partial(_converted, convert_xgboost),
    tuple(partial(kind, n_estimators=10, n_jobs=1) for kind in (xgboost.XGBClassifier, xgboost.XGBRegressor)),
)


def every() -> list[tuple[str, Callable[[], bytes]]]:
    """Each with its name."""
    found: list[tuple[str, Callable[[], bytes]]] = []
    for library in (SKLEARN, LIGHTGBM, XGBOOST):
        for make in library.estimators:
            kind = type(make())
            name = kind.__name__ if kind.__name__ != "Pipeline" else "Scaled"
            found.append((f"{kind.__module__.split('.')[0]}-{name}", partial(_trained, library, make)))
    return found


def _trained(library: Library, make: Callable[[], Any]) -> bytes:
    estimator = make()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries' own making
        target = LABELS if hasattr(estimator, "predict_proba") else NUMBERS
        return library.convert(estimator.fit(ROWS, target))


# They add up floats along a row, in an order that depends on where in memory the row begins.
SUMMING_BY_PLACE: dict[str, Callable[[], bytes]] = {
    kind.__name__: partial(_trained, SKLEARN, kind) for kind in (GaussianNB, KNeighborsClassifier)
}


def quantized(folder: Path) -> bytes:
    """A scaled logistic regression over matrix products, made small with ONNX Runtime's own tool."""
    estimator = MLPClassifier((8,), max_iter=30)
    source, target = folder / "plain.onnx", folder / "quantized.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        source.write_bytes(_sklearn(estimator.fit(ROWS, LABELS)))
        quantize_dynamic(source, target)
    return target.read_bytes()
