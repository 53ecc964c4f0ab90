"""Refuses estimators that have no ONNX form, by name and before they are trained, and says what to take instead."""

from collections.abc import Callable, Sequence
from typing import Any

from skl2onnx._supported_operators import sklearn_operator_name_map
from sklearn.base import is_classifier

from modelwright_training.documents import Class
from modelwright_training.errors import InputError
from modelwright_training.learning.estimators import children
from modelwright_training.untyped import Estimator

SEVERAL_TARGETS = "it is for several targets; a TrainingJob has one"
DUMMY = "the report has the baseline of each metric"
TREES = "use HistGradientBoostingClassifier or KNeighborsClassifier"
# Why a class is refused, and what to take instead.
CLASSES = {
    "CategoricalNB": "it cannot answer for a category that it has not seen; use BernoulliNB",
    "CCA": SEVERAL_TARGETS,
    "ClassifierChain": SEVERAL_TARGETS,
    "DummyClassifier": DUMMY,
    "DummyRegressor": DUMMY,
    "GaussianProcessClassifier": "its conversion needs an operator that ONNX Runtime lacks; use SVC",
    "IsotonicRegression": "use HistGradientBoostingRegressor with monotonic_cst",
    "KernelRidge": "use SVR or GaussianProcessRegressor",
    "LabelPropagation": TREES,
    "LabelSpreading": TREES,
    "MultiOutputClassifier": SEVERAL_TARGETS,
    "MultiOutputRegressor": SEVERAL_TARGETS,
    "MultiTaskElasticNet": SEVERAL_TARGETS,
    "MultiTaskElasticNetCV": SEVERAL_TARGETS,
    "MultiTaskLasso": SEVERAL_TARGETS,
    "MultiTaskLassoCV": SEVERAL_TARGETS,
    "NearestCentroid": "use LinearDiscriminantAnalysis",
    "OutputCodeClassifier": "use OneVsRestClassifier",
    "PLSCanonical": SEVERAL_TARGETS,
    "RadiusNeighborsClassifier": "use KNeighborsClassifier",
    "RadiusNeighborsRegressor": "use KNeighborsRegressor",
    "RegressorChain": SEVERAL_TARGETS,
    "SelfTrainingClassifier": "its targets would have to be missing in some rows; use the estimator within it",
    "TransformedTargetRegressor": "use a regressor with a link, such as GammaRegressor",
}
# Their converters read probabilities of what is within, and take scores for them.
READING_PROBABILITIES = frozenset({
    "BaggingClassifier", "OneVsRestClassifier", "StackingClassifier", "VotingClassifier",
})  # fmt: skip
TWO_CLASSES = ("FixedThresholdClassifier", "TunedThresholdClassifierCV")
# What of an estimator is refused: parameter, whether a value is, why and what to take instead.
Refused = Callable[[Any], bool]
PARAMETERS: dict[str, tuple[str, Refused, str]] = {
    "KNeighborsClassifier": ("weights", lambda value: value == "distance", "use weights: uniform"),
    "KNeighborsRegressor": ("weights", lambda value: value == "distance", "use weights: uniform"),
    "CalibratedClassifierCV": (
        "method",
        lambda value: value == "temperature",
        "use method: sigmoid or isotonic",
    ),
    "HistGradientBoostingClassifier": (
        "categorical_features",
        lambda value: value not in (None, "from_dtype"),
        "leave it out: categories are one-hot encoded",
    ),
}
PARAMETERS["HistGradientBoostingRegressor"] = PARAMETERS["HistGradientBoostingClassifier"]


def check(estimator: Estimator, classes: Sequence[Class] | None) -> None:
    """Refuse an estimator that cannot be converted, or that holds one: NotConvertible, with all that cannot."""
    faults = list(dict.fromkeys(_faults(estimator, classes)))
    if faults:
        raise InputError("NotConvertible", f"{'; '.join(faults)}.")


def _faults(estimator: Estimator, classes: Sequence[Class] | None) -> list[str]:
    kind = type(estimator)
    name = kind.__name__
    if name in CLASSES:
        return [f"{name} cannot be served: {CLASSES[name]}"]
    if kind not in sklearn_operator_name_map:
        return [f"{name} has no ONNX form. Use another estimator"]
    faults = []
    if name in PARAMETERS:
        parameter, refused, instead = PARAMETERS[name]
        value = getattr(estimator, parameter)
        if refused(value):
            faults.append(f"{name} with {parameter}: {value} has no exact ONNX form; {instead}")
    if name in TWO_CLASSES and classes is not None and len(classes) > 2:
        faults.append(f"{name} is for two classes, here are {len(classes)}")
    if name in READING_PROBABILITIES:
        faults += [
            f"{name} of {type(part).__name__} has no exact ONNX form; put it into CalibratedClassifierCV, which makes "
            "probabilities of its scores"
            for part in children(estimator)
            if is_classifier(part) and not hasattr(part, "predict_proba")
        ]
    if kind.__module__.startswith("sklearn.feature_selection"):
        return faults  # what it has chosen is converted, not the estimator that chose
    return [*faults, *(fault for part in children(estimator) for fault in _faults(part, classes))]
