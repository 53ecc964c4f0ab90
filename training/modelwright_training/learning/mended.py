"""Converters that give what scikit-learn gives, where those of skl2onnx do not.

Each is registered in place of skl2onnx's own, so it is also used for estimators within others."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import TensorProto
from skl2onnx import update_registered_converter
from skl2onnx._parse import sklearn_parsers_map, update_registered_parser
from skl2onnx._supported_operators import sklearn_operator_name_map
from skl2onnx.common._registration import register_converter
from skl2onnx.common.data_types import Int64TensorType
from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes
from skl2onnx.operator_converters import calibrated_classifier_cv
from skl2onnx.operator_converters.linear_classifier import convert_sklearn_linear_classifier
from skl2onnx.operator_converters.support_vector_machines import convert_sklearn_svm_classifier
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    RandomizedSearchCV,
    TunedThresholdClassifierCV,
)

from modelwright_training.untyped import Estimator

Scope = Any
Operator = Any
Container = Any

OPTIONS = {
    "zipmap": [True, False, "columns"],
    "nocl": [True, False],
    "output_class_labels": [False, True],
    "raw_scores": [True, False],
}


@dataclass(frozen=True)
class _Graph:
    """Adds nodes with names of their own."""

    scope: Scope
    container: Container

    def constant(self, name: str, values: Any, kind: int = TensorProto.DOUBLE) -> str:  # noqa: ANN401
        """Add a constant and return its name."""
        array = np.asarray(values)
        unique = self.scope.get_unique_variable_name(name)
        self.container.add_initializer(unique, kind, list(array.shape), array.ravel().tolist())
        return str(unique)

    def node(self, kind: str, inputs: list[str], **settings: Any) -> str:
        """Add a node with one output and return its name."""
        unique = self.scope.get_unique_variable_name(kind.lower())
        name = self.scope.get_unique_operator_name(kind)
        self.container.add_node(kind, inputs, unique, name=name, **settings)
        return str(unique)


def convert_lda(scope: Scope, operator: Operator, container: Container) -> None:
    """Convert a linear discriminant analysis as the logistic regression with the same coefficients.

    Its probabilities are the same: the sigmoid of the score, or the softmax of several. The converter
    takes the softmax of (-score, score) for two classes, which is the sigmoid of twice the score."""
    fitted = operator.raw_operator
    twin = LogisticRegression()
    twin.coef_, twin.intercept_, twin.classes_ = fitted.coef_, fitted.intercept_, fitted.classes_
    options = container.get_options(fitted, {"raw_scores": False})
    container.add_options(id(twin), options)
    scope.add_options(id(twin), options)
    operator.raw_operator = twin
    try:
        convert_sklearn_linear_classifier(scope, operator, container)
    finally:
        operator.raw_operator = fitted


def convert_svc(scope: Scope, operator: Operator, container: Container) -> None:
    """Convert a support vector classifier so that the scores of two classes point to the label.

    With `raw_scores` the converter turns their sign, which is the other way round without."""
    fitted = operator.raw_operator
    if len(fitted.classes_) == 2 and not len(fitted.probA_):
        container.add_options(id(fitted), {"raw_scores": True})
    convert_sklearn_svm_classifier(scope, operator, container)


def interpolated(
    scope: Scope,
    container: Container,
    model: Estimator,
    score: str,
    place: int,
    dtype: type,
    proto_type: int,
) -> str:
    """Calibrate a score by the straight lines between the points of an isotonic regression, in double precision.

    Computes y[i-1] + (score - x[i-1]) * slope[i-1], where i is the first point that is not below the score. The
    converter takes the nearest point instead."""
    known = model.calibrators[place]
    x, y = np.asarray(known.X_thresholds_, np.float64), np.asarray(known.y_thresholds_, np.float64)
    if len(x) == 1:  # one point: the same probability everywhere
        x, y = np.array([x[0], x[0] + 1]), np.array([y[0], y[0]])
    slope = np.diff(y) / np.diff(x)

    graph = _Graph(scope, container)
    constant, node = graph.constant, graph.node
    column = node("Reshape", [score, constant("shape", [-1, 1], TensorProto.INT64)])
    exact = node("Cast", [column], to=TensorProto.DOUBLE)
    inside = node("Clip", [exact, constant("lowest", x[0]), constant("highest", x[-1])])
    above = node("Cast", [node("Less", [constant("inner_x", x[1:-1]), inside])], to=TensorProto.INT64)
    before = node("ReduceSum", [above, constant("axis", [1], TensorProto.INT64)], keepdims=1)
    line = [node("Gather", [constant(name, values), before]) for name, values in
            (("x", x[:-1]), ("y", y[:-1]), ("slope", slope))]  # fmt: skip
    rise = node("Mul", [node("Sub", [inside, line[0]]), line[2]])
    return node("Cast", [node("Add", [line[1], rise])], to=proto_type)


def convert_threshold(scope: Scope, operator: Operator, container: Container) -> None:
    """Convert a classifier of two classes with a threshold of its own; the converter forgets the threshold."""
    fitted = operator.raw_operator
    within = fitted.estimator_
    if not hasattr(within, "predict_proba") or fitted.response_method == "decision_function":
        raise ValueError(f"{type(fitted).__name__} of scores instead of probabilities is not converted")
    part = scope.declare_local_operator(sklearn_operator_name_map[type(within)], within)
    part.inputs = operator.inputs
    unused = scope.declare_local_variable("label", Int64TensorType())
    probabilities = scope.declare_local_variable("probabilities", operator.outputs[1].type.__class__())
    part.outputs.extend([unused, probabilities])
    threshold = getattr(fitted, "best_threshold_", getattr(fitted, "threshold", 0.5))
    place = list(fitted.classes_).index(
        fitted.classes_[1] if _positive(fitted) is None else _positive(fitted)
    )
    graph = _Graph(scope, container)
    column = graph.node(
        "Gather", [probabilities.onnx_name, graph.constant("place", place, TensorProto.INT64)], axis=1
    )
    exact = graph.node("Cast", [column], to=TensorProto.DOUBLE)
    value = 0.5 if threshold == "auto" else float(threshold)
    reached = graph.node("GreaterOrEqual", [exact, graph.constant("threshold", value)])
    number = graph.node("Cast", [reached], to=TensorProto.INT64)
    order = [fitted.classes_[1 - place], fitted.classes_[place]]
    table = graph.constant("classes", np.array(order, np.int64), TensorProto.INT64)
    container.add_node(
        "Gather", [table, number], operator.outputs[0].full_name, name=scope.get_unique_operator_name("G")
    )
    container.add_node(
        "Identity",
        probabilities.onnx_name,
        operator.outputs[1].full_name,
        name=scope.get_unique_operator_name("I"),
    )


def _positive(fitted: Estimator) -> int | None:
    """The class that the threshold is for; None: the second."""
    given: int | None = getattr(fitted, "pos_label", None)
    return given


def register() -> None:
    """Put these converters in the place of skl2onnx's."""
    update_registered_converter(
        LinearDiscriminantAnalysis,
        "ModelwrightLinearDiscriminantAnalysis",
        calculate_linear_classifier_output_shapes,
        convert_lda,
        options=OPTIONS,
    )
    for kind in (TunedThresholdClassifierCV, FixedThresholdClassifier):
        update_registered_converter(
            kind,
            f"Modelwright{kind.__name__}",
            calculate_linear_classifier_output_shapes,
            convert_threshold,
            options=OPTIONS,
        )
    # It holds what it has found as GridSearchCV does, which skl2onnx knows.
    sklearn_operator_name_map[RandomizedSearchCV] = sklearn_operator_name_map[GridSearchCV]
    update_registered_parser(RandomizedSearchCV, sklearn_parsers_map[GridSearchCV])
    register_converter("SklearnSVC", convert_svc, overwrite=True, options=OPTIONS)
    # The converter of CalibratedClassifierCV has no other place for a kind of calibration than this function.
    calibrated_classifier_cv._transform_isotonic = interpolated
