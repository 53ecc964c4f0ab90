"""Converters that give what scikit-learn gives, where those of skl2onnx do not.

Each is registered in place of skl2onnx's own, so it is also used for estimators within others."""

from typing import Any

import numpy as np
from onnx import TensorProto
from skl2onnx import update_registered_converter
from skl2onnx.common._registration import register_converter
from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes
from skl2onnx.operator_converters import calibrated_classifier_cv
from skl2onnx.operator_converters.linear_classifier import convert_sklearn_linear_classifier
from skl2onnx.operator_converters.support_vector_machines import convert_sklearn_svm_classifier
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression

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

    def constant(name: str, values: Any, kind: int = TensorProto.DOUBLE) -> str:  # noqa: ANN401
        array = np.asarray(values)
        unique = scope.get_unique_variable_name(name)
        container.add_initializer(unique, kind, list(array.shape), array.ravel().tolist())
        return str(unique)

    def node(kind: str, inputs: list[str], **settings: Any) -> str:
        unique = scope.get_unique_variable_name(kind.lower())
        container.add_node(kind, inputs, unique, name=scope.get_unique_operator_name(kind), **settings)
        return str(unique)

    column = node("Reshape", [score, constant("shape", [-1, 1], TensorProto.INT64)])
    exact = node("Cast", [column], to=TensorProto.DOUBLE)
    inside = node("Clip", [exact, constant("lowest", x[0]), constant("highest", x[-1])])
    above = node("Cast", [node("Less", [constant("inner_x", x[1:-1]), inside])], to=TensorProto.INT64)
    before = node("ReduceSum", [above, constant("axis", [1], TensorProto.INT64)], keepdims=1)
    line = [node("Gather", [constant(name, values), before]) for name, values in
            (("x", x[:-1]), ("y", y[:-1]), ("slope", slope))]  # fmt: skip
    rise = node("Mul", [node("Sub", [inside, line[0]]), line[2]])
    return node("Cast", [node("Add", [line[1], rise])], to=proto_type)


def register() -> None:
    """Put these converters in the place of skl2onnx's."""
    update_registered_converter(
        LinearDiscriminantAnalysis,
        "ModelwrightLinearDiscriminantAnalysis",
        calculate_linear_classifier_output_shapes,
        convert_lda,
        options=OPTIONS,
    )
    register_converter("SklearnSVC", convert_svc, overwrite=True, options=OPTIONS)
    # The converter of CalibratedClassifierCV has no other place for a kind of calibration than this function.
    calibrated_classifier_cv._transform_isotonic = interpolated
