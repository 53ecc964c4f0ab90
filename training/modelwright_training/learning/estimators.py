"""Finds classifiers and regressors by name and builds them, with the estimators that they are made of; fits nothing."""

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from math import isfinite
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, TransformerMixin

from modelwright_training.documents import Class, Task
from modelwright_training.errors import InputError, listing, suggestion
from modelwright_training.learning import boosted
from modelwright_training.message import Json
from modelwright_training.untyped import Estimator

# Where scikit-learn keeps what can be trained. No other module is ever imported for a name in a spec.
MODULES = (
    "calibration|cluster|cross_decomposition|decomposition|discriminant_analysis|dummy|ensemble|feature_selection"
    "|gaussian_process|impute|isotonic|kernel_approximation|kernel_ridge|linear_model|model_selection|multiclass"
    "|multioutput|naive_bayes|neighbors|neural_network|pipeline|preprocessing|random_projection|semi_supervised|svm|tree"
    "|compose"
)
SKLEARN = re.compile(rf"(?P<module>sklearn\.(?:{MODULES}))\.(?P<name>[A-Z]\w*)")
# These are what the estimator within them is: the parameter that holds it.
WRAPPERS = {
    "sklearn.model_selection.GridSearchCV": "estimator",
    "sklearn.model_selection.RandomizedSearchCV": "estimator",
    "sklearn.pipeline.Pipeline": "steps",
}
# Transformers that take a matrix of numbers; those of text and of files read more than they are given.
TRANSFORMERS = frozenset({
    "cluster", "decomposition", "feature_selection", "impute", "kernel_approximation", "pipeline", "preprocessing",
    "random_projection",
})  # fmt: skip
MAX_DEPTH = 5
WHERE = "trainer.sklearn.parameters"
NESTED = "{estimator: PATH, parameters: {...}}"


def find(path: str) -> type[Estimator]:
    """The class of a classifier, a regressor or a wrapper, such as `sklearn.linear_model.LogisticRegression`."""
    found = _lookup(path)
    if found is None:
        raise InputError(
            "EstimatorUnknown",
            f"There is no estimator {path!r}.{suggestion(path, _all())} "
            "Estimators are taken from scikit-learn, LightGBM and XGBoost.",
        )
    if path not in WRAPPERS and not issubclass(found, ClassifierMixin | RegressorMixin):
        raise InputError(
            "EstimatorUnknown", f"{path} is neither a classifier nor a regressor, so it cannot predict."
        )
    return found


def _lookup(path: str) -> type[Estimator] | None:
    if path in boosted.paths():
        return boosted.find(path)
    match = SKLEARN.fullmatch(path)
    found = getattr(import_module(match["module"]), match["name"], None) if match else None
    return found if isinstance(found, type) and issubclass(found, BaseEstimator) else None


@cache
def _all() -> list[str]:
    """The paths of all classifiers and regressors; takes a second, so only for a message."""
    from sklearn.utils import all_estimators  # noqa: PLC0415

    found = all_estimators(type_filter=["classifier", "regressor"])
    return [*(path_of(kind) for _, kind in found), *boosted.paths(), *WRAPPERS]


def path_of(kind: type[Estimator]) -> str:
    """The public path of an estimator's class."""
    own = [path for path in boosted.paths() if path.endswith(f".{kind.__name__}")]
    return own[0] if own else f"{kind.__module__.split('._')[0]}.{kind.__name__}"


def task_of(path: str, parameters: Mapping[str, Any]) -> Task:
    """What an estimator is made for; a wrapper is made for what it holds."""
    kind = find(path)
    for _ in range(MAX_DEPTH):
        if path not in WRAPPERS:
            return "Classification" if issubclass(kind, ClassifierMixin) else "Regression"
        held = parameters.get(WRAPPERS[path])
        while isinstance(held, list) and held:
            held = held[-1]
        if not (isinstance(held, dict) and isinstance(held.get("estimator"), str)):
            message = f"{path} needs an estimator: {WHERE}.{WRAPPERS[path]}: {NESTED}."
            raise InputError("EstimatorUnknown", message)
        path, parameters = held["estimator"], held.get("parameters") or {}
        kind = find(path)
    raise InputError("EstimatorUnknown", f"{path}: estimators are nested more than {MAX_DEPTH} deep.")


def build(
    estimator: type[Estimator], parameters: Mapping[str, Any], seed: int, classes: Sequence[Class] | None
) -> Estimator:
    """An estimator with the user's parameters, and with the seed where the user has set none.

    An estimator within is `{estimator: PATH, parameters: {...}}`, and has a `name` where its library wants pairs."""
    return _Builder(seed, classes or []).build(estimator, parameters, WHERE, 0)


@dataclass(frozen=True)
class _Builder:
    seed: int
    classes: Sequence[Class]

    def build(
        self, kind: type[Estimator], parameters: Mapping[str, Any], where: str, depth: int
    ) -> Estimator:
        if depth > MAX_DEPTH:
            raise InputError("BadParameters", f"{where}: estimators are nested more than {MAX_DEPTH} deep.")
        settled = kind.settled(parameters) if hasattr(kind, "settled") else parameters
        known = parameters_of(kind)
        unknown = [name for name in parameters if name not in known]
        if unknown:
            raise InputError(
                "BadParameters",
                f"{kind.__name__} has no parameter {listing(unknown)}.{suggestion(unknown[0], known)} "
                f"It has {listing(sorted(known), 60)}.",
            )
        given = {name: self._value(value, f"{where}.{name}", depth) for name, value in settled.items()}
        _check_folds(given, where)
        if "random_state" in known:
            given.setdefault("random_state", self.seed)
        if kind.__name__ == "VotingClassifier":
            given.setdefault("flatten_transform", False)  # the form that ONNX has; it changes no prediction
        if kind.__name__.startswith("Voting") and isinstance(given.get("weights"), list):
            given["weights"] = np.array(given["weights"], dtype=np.float64)  # what its converter expects
        if isinstance(given.get("class_weight"), dict):
            given["class_weight"] = self._by_place(given["class_weight"], f"{where}.class_weight")
        if given.get("pos_label") is not None:
            (given["pos_label"],) = self._by_place({given["pos_label"]: 1}, f"{where}.pos_label")
        try:
            return kind(**given)
        except (TypeError, ValueError) as error:
            raise InputError("BadParameters", f"{kind.__name__} cannot be built: {error}.") from error

    def _by_place(self, weights: Mapping[Any, Any], where: str) -> dict[int, Any]:
        """Weights by the places of the classes, which the estimator learns; JSON has only text for keys."""
        place = {str(value): number for number, value in enumerate(self.classes)}
        unknown = [str(key) for key in weights if str(key) not in place]
        if unknown:
            hint = suggestion(unknown[0], list(place))
            raise InputError(
                "BadParameters",
                f"{where} names {listing(unknown)}, which are no classes of the target.{hint} "
                f"The classes are {listing(list(place))}.",
            )
        return {place[str(key)]: weight for key, weight in weights.items()}

    def _value(self, value: Any, where: str, depth: int) -> Any:  # noqa: ANN401 (any JSON, any parameter)
        match value:
            case {"estimator": str(path)}:
                return self._part(path, value, where, depth)
            case dict():
                return {key: self._value(item, f"{where}.{key}", depth) for key, item in value.items()}
            case list():
                items = [self._item(item, f"{where}[{place}]", depth) for place, item in enumerate(value)]
                return (
                    _named(items) if where.endswith((".estimators", ".steps", ".transformer_list")) else items
                )
            case str() if _lookup(value):
                raise InputError(
                    "BadParameters", f"{where}: write an estimator as {NESTED}, here {{estimator: {value}}}."
                )
            case _:
                return value

    def _item(self, value: Any, where: str, depth: int) -> Any:  # noqa: ANN401
        match value:
            case {"name": str(name), "estimator": str(path)}:
                return name, self._part(path, value, where, depth)
            case _:
                return self._value(value, where, depth)

    def _part(self, path: str, value: Mapping[str, Any], where: str, depth: int) -> Estimator:
        parameters = value.get("parameters") or {}
        strange = [key for key in value if key not in ("name", "estimator", "parameters")]
        if strange or not isinstance(parameters, dict):
            wrong = listing(strange) if strange else "parameters that are no mapping"
            raise InputError("BadParameters", f"{where} has {wrong}; an estimator is written as {NESTED}.")
        return self.build(_find_part(path, where), parameters, f"{where}.parameters", depth + 1)


def _find_part(path: str, where: str) -> type[Estimator]:
    """The class of an estimator within another: also a transformer of numbers, for the steps of a Pipeline."""
    found = _lookup(path)
    if found is not None and (
        issubclass(found, ClassifierMixin | RegressorMixin)
        or path in WRAPPERS
        or (issubclass(found, TransformerMixin) and path.split(".")[1] in TRANSFORMERS)
    ):
        return found
    raise InputError(
        "EstimatorUnknown",
        f"{where}: {path!r} is no classifier, no regressor and no transformer of numbers.{suggestion(path, _all())}",
    )


def parameters_of(kind: type[Estimator]) -> list[str]:
    """The names of the parameters that a spec may set."""
    if hasattr(kind, "PARAMETERS"):
        return sorted(kind.PARAMETERS)
    return [name for name in inspect.signature(kind).parameters if not name.startswith("_")]


def _named(items: list[Any]) -> list[Any]:
    """Name the estimators of a list that have no name, after their kinds."""
    return [
        (f"{type(item).__name__.lower()}_{place}", item) if isinstance(item, BaseEstimator) else item
        for place, item in enumerate(items)
    ]


def _check_folds(given: Mapping[str, Any], where: str) -> None:
    folds = given.get("cv")
    if folds is not None and (isinstance(folds, bool) or not isinstance(folds, int)):
        raise InputError(
            "BadParameters",
            f"{where}.cv is {folds!r}, but has to be the number of folds, a whole number; "
            "no other way to split is taken.",
        )


def children(estimator: Estimator) -> list[Estimator]:
    """The estimators that are parameters of an estimator, not those within them."""
    found = []
    for value in estimator.get_params(deep=False).values():
        items = value if isinstance(value, list | tuple) else [value]
        for item in items:
            part = item[1] if isinstance(item, list | tuple) and len(item) > 1 else item
            if isinstance(part, BaseEstimator):
                found.append(part)
    return found


def all_within(estimator: Estimator) -> Iterator[Estimator]:
    """An estimator and all that it is made of."""
    yield estimator
    for part in children(estimator):
        yield from all_within(part)


def described(value: Any) -> Any:  # noqa: ANN401 (any parameter, any JSON)
    """A parameter as JSON; an estimator with all of its parameters."""
    if isinstance(value, BaseEstimator):
        return {"estimator": path_of(type(value)), "parameters": settings_of(value)}
    if isinstance(value, dict):
        return {str(key): described(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [described(item) for item in value]
    plain = value.tolist() if isinstance(value, np.generic | np.ndarray) else value
    if plain is None or isinstance(plain, bool | int | str | list):
        return plain
    if isinstance(plain, float):
        return plain if isfinite(plain) else str(plain)
    # Not the address of a function: the record of a run is the same in each process.
    return getattr(value, "__name__", None) or re.sub(r" at 0x\w+", "", repr(value))[:200]


def settings_of(estimator: Estimator) -> Json:
    """All parameters of an estimator as JSON."""
    return {name: described(value) for name, value in estimator.get_params(deep=False).items()}
