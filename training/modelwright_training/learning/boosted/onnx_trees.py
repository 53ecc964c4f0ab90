"""Writes boosted trees as ONNX: a TreeEnsembleRegressor that adds up the leaves, then what turns sums into predictions.

Registered with skl2onnx, so the trees can stand anywhere in a pipeline. ONNX Runtime adds up in float32: so the large
constant part of a target is taken out of its first tree and added last: one rounding instead of one for each tree."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from onnx import TensorProto
from skl2onnx import update_registered_converter
from skl2onnx.common.data_types import FloatTensorType
from skl2onnx.common.shape_calculator import (
    calculate_linear_classifier_output_shapes,
    calculate_linear_regressor_output_shapes,
)
from sklearn.base import is_classifier

from modelwright_training.untyped import Estimator

Scope = Any
"""What skl2onnx takes names from."""
Operator = Any
"""A fitted estimator with its inputs and outputs, for skl2onnx."""
Container = Any
"""The graph that skl2onnx builds."""

Link = Literal["Identity", "Sigmoid", "Softmax", "Exp"]
Mode = Literal["BRANCH_LEQ", "BRANCH_LT"]
"""A row goes left if its value is not greater than the threshold, or if it is less."""


@dataclass
class Tree:
    """A tree as arrays over its nodes, the root first; `values` are None but at leaves. All numbers are for float32."""

    target: int
    features: list[int] = field(default_factory=list)
    thresholds: list[float] = field(default_factory=list)
    left: list[int] = field(default_factory=list)
    right: list[int] = field(default_factory=list)
    missing_left: list[bool] = field(default_factory=list)
    values: list[float | None] = field(default_factory=list)

    def add(self) -> int:
        """Make room for a node and return its place."""
        self.features.append(0)
        self.thresholds.append(0.0)
        self.left.append(0)
        self.right.append(0)
        self.missing_left.append(False)
        self.values.append(None)
        return len(self.values) - 1


@dataclass(frozen=True)
class Ensemble:
    """Trees, what their leaves are added to (one number per target), and what turns the sums into predictions."""

    mode: Mode
    trees: list[Tree]
    base: npt.NDArray[np.float64]
    link: Link
    slope: float = 1.0


def register(kind: type[Estimator], ensemble: Callable[[Estimator], Ensemble]) -> None:
    """Let skl2onnx convert an estimator by its trees."""
    scores = hasattr(kind, "decision_function")  # scikit-learn calibrates these rather than probabilities

    def convert(scope: Scope, operator: Operator, container: Container) -> None:
        fitted = operator.raw_operator
        found = ensemble(fitted)
        nodes = _Nodes(scope, container)
        sums = nodes.sums(found, _float_input(scope, operator, container))
        if is_classifier(fitted):
            raw = scores and container.get_options(fitted, {"raw_scores": False})["raw_scores"]
            nodes.classify(
                sums, found, fitted.classes_, [output.full_name for output in operator.outputs], raw=raw
            )
        else:
            nodes.add(found.link, [sums], operator.outputs[0].full_name)

    classifies = is_classifier(kind())
    shapes = (
        calculate_linear_classifier_output_shapes if classifies else calculate_linear_regressor_output_shapes
    )
    options = {"zipmap": [True, False, "columns"], "nocl": [True, False]} if classifies else {}
    if scores:
        options["raw_scores"] = [True, False]
    alias = f"Modelwright{kind.__name__}"
    update_registered_converter(kind, alias, shapes, convert, options=options, overwrite=True)


def _float_input(scope: Scope, operator: Operator, container: Container) -> str:
    given = operator.inputs[0]
    if isinstance(given.type, FloatTensorType):
        return str(given.full_name)
    name = scope.get_unique_variable_name("rows")
    container.add_node("Cast", [given.full_name], [name], to=TensorProto.FLOAT, op_version=13)
    return str(name)


@dataclass(frozen=True)
class _Nodes:
    """Adds nodes to the graph that skl2onnx builds."""

    scope: Scope
    container: Container

    def add(
        self, kind: str, inputs: list[str], output: str | None = None, version: int = 13, **attributes: Any
    ) -> str:
        """Add a node of the standard operators and return its output's name."""
        name = output or self.scope.get_unique_variable_name(kind.lower())
        node = self.scope.get_unique_operator_name(kind)
        self.container.add_node(kind, inputs, [name], name=node, op_version=version, **attributes)
        return str(name)

    def constant(self, dtype: int, shape: list[int], values: list[Any]) -> str:
        """Add a constant and return its name."""
        name = self.scope.get_unique_variable_name("constant")
        self.container.add_initializer(name, dtype, shape, values)
        return str(name)

    def sums(self, found: Ensemble, rows: str) -> str:
        """Add the trees; one column for each target."""
        name = self.scope.get_unique_variable_name("sums")
        self.container.add_node(
            "TreeEnsembleRegressor",
            [rows],
            [name],
            op_domain="ai.onnx.ml",
            op_version=3,
            name=self.scope.get_unique_operator_name("TreeEnsembleRegressor"),
            **_attributes(found),
        )
        return str(name)

    def classify(
        self, sums: str, found: Ensemble, classes: npt.NDArray[Any], outputs: list[str], *, raw: bool
    ) -> None:
        """Add the probabilities of the classes (or their scores), and the label of the likeliest, first of equals."""
        label, probabilities = outputs
        if raw and len(classes) == 2:
            self.add("Concat", [self.add("Neg", [sums]), sums], probabilities, axis=1)
        elif raw:
            self.add("Identity", [sums], probabilities)
        elif found.link == "Softmax":
            self.add("Softmax", [sums], probabilities, axis=1)
        else:
            scaled = self.add("Mul", [sums, self.constant(TensorProto.FLOAT, [1], [found.slope])])
            second = self.add("Sigmoid", [scaled])
            first = self.add("Sub", [self.constant(TensorProto.FLOAT, [1], [1.0]), second])
            self.add("Concat", [first, second], probabilities, axis=1)
        place = self.add("ArgMax", [probabilities], axis=1, keepdims=0)
        text = classes.dtype.kind not in "iub"
        names = [str(value) if text else int(value) for value in classes]
        dtype = TensorProto.STRING if text else TensorProto.INT64
        self.add("Gather", [self.constant(dtype, [len(names)], names), place], label, axis=0)


def _attributes(found: Ensemble) -> dict[str, Any]:
    nodes: dict[str, list[Any]] = {
        f"nodes_{name}": []
        for name in (
            "treeids", "nodeids", "featureids", "modes", "values", "truenodeids", "falsenodeids",
            "missing_value_tracks_true",
        )
    }  # fmt: skip
    leaves: dict[str, list[Any]] = {f"target_{name}": [] for name in ("treeids", "nodeids", "ids", "weights")}
    base = found.base.copy()
    trees = found.trees or [Tree(0, [0], [0.0], [0], [0], [False], [0.0])]
    centred: set[int] = set()
    for number, tree in enumerate(trees):
        offset = 0.0
        if tree.target not in centred:
            centred.add(tree.target)
            offset = float(np.mean([value for value in tree.values if value is not None]))
            base[tree.target] += offset
        count = len(tree.values)
        nodes["nodes_treeids"] += [number] * count
        nodes["nodes_nodeids"] += range(count)
        nodes["nodes_featureids"] += tree.features
        nodes["nodes_modes"] += [found.mode if value is None else "LEAF" for value in tree.values]
        nodes["nodes_values"] += tree.thresholds
        nodes["nodes_truenodeids"] += tree.left
        nodes["nodes_falsenodeids"] += tree.right
        nodes["nodes_missing_value_tracks_true"] += [int(left) for left in tree.missing_left]
        ends = [(place, value) for place, value in enumerate(tree.values) if value is not None]
        leaves["target_treeids"] += [number] * len(ends)
        leaves["target_nodeids"] += [place for place, _ in ends]
        leaves["target_ids"] += [tree.target] * len(ends)
        leaves["target_weights"] += [value - offset for _, value in ends]
    return {**nodes, **leaves, "base_values": base.tolist(), "n_targets": len(base), "post_transform": "NONE"}
