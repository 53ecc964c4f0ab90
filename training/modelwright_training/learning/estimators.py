"""Finds classifiers and regressors of scikit-learn, LightGBM and XGBoost by name and builds them; fits nothing."""

import inspect
import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from modelwright_training.documents import Class, Task
from modelwright_training.errors import InputError, listing, suggestion
from modelwright_training.learning import boosted
from modelwright_training.untyped import Estimator

# Only public modules: neither scikit-learn's private ones nor those it vendors.
PUBLIC = re.compile(
    r"(?P<module>sklearn(\.(?!externals|tests|experimental)[a-z][a-z_]*)+)\.(?P<name>[A-Z]\w*)"
)


def find(path: str) -> type[Estimator]:
    """The class of an estimator such as `sklearn.linear_model.LogisticRegression` or `lightgbm.LGBMClassifier`."""
    if path.partition(".")[0] in boosted.ESTIMATORS:
        return boosted.find(path)
    match = PUBLIC.fullmatch(path)
    found = _lookup(match["module"], match["name"]) if match else None
    if not (isinstance(found, type) and issubclass(found, BaseEstimator)):
        raise InputError(
            "EstimatorUnknown", f"scikit-learn has no estimator {path!r}.{suggestion(path, _all())}"
        )
    if not issubclass(found, ClassifierMixin | RegressorMixin):
        raise InputError(
            "EstimatorUnknown", f"{path} is neither a classifier nor a regressor, so it cannot predict."
        )
    return found


def _lookup(module: str, name: str) -> object:
    try:
        return getattr(import_module(module), name, None)
    except ImportError:
        return None


def _all() -> list[str]:
    """The paths of all classifiers and regressors; takes a second, so only for a message."""
    from sklearn.utils import all_estimators  # noqa: PLC0415

    found = all_estimators(type_filter=["classifier", "regressor"])
    return [f"{kind.__module__.split('._')[0]}.{name}" for name, kind in found]


def task_of(estimator: type[Estimator]) -> Task:
    """What an estimator is made for."""
    return "Classification" if issubclass(estimator, ClassifierMixin) else "Regression"


def build(
    estimator: type[Estimator], parameters: Mapping[str, Any], seed: int, classes: Sequence[Class] | None
) -> Estimator:
    """An estimator with the user's parameters, and with the seed unless the user has set one."""
    settled = estimator.settled(parameters) if hasattr(estimator, "settled") else dict(parameters)
    known = parameters_of(estimator)
    unknown = [name for name in parameters if name not in known]
    if unknown:
        raise InputError(
            "BadParameters",
            f"{estimator.__name__} has no parameter {listing(unknown)}.{suggestion(unknown[0], known)} "
            f"It has {listing(sorted(known), 60)}.",
        )
    if "random_state" in known:
        settled.setdefault("random_state", seed)
    if isinstance(settled.get("class_weight"), dict):
        settled["class_weight"] = _by_class(settled["class_weight"], classes or [])
    try:
        return estimator(**settled)
    except (TypeError, ValueError) as error:
        raise InputError("BadParameters", f"{estimator.__name__} cannot be built: {error}.") from error


def parameters_of(estimator: type[Estimator]) -> list[str]:
    """The names of the parameters that a spec may set."""
    if hasattr(estimator, "PARAMETERS"):
        return sorted(estimator.PARAMETERS)
    return [name for name in inspect.signature(estimator).parameters if not name.startswith("_")]


def _by_class(weights: dict[str, Any], classes: Sequence[Class]) -> dict[Class, Any]:
    """JSON has only text for keys; classes may be numbers."""
    by_text = {str(value): value for value in classes}
    return {by_text.get(key, key): weight for key, weight in weights.items()}
