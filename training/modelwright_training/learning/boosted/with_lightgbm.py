"""LightGBM's classifier and regressor, and how their trees become ONNX.

A value is compared in double precision there, and a float32 value is not greater than a double exactly if it is not
greater than the largest float32 below that: so thresholds are rounded down and no row takes another way."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import lightgbm
import numpy as np
from lightgbm.basic import LightGBMError
from sklearn.base import is_classifier

from modelwright_training.learning.boosted import onnx_trees
from modelwright_training.learning.boosted.onnx_trees import Ensemble, Link, Tree
from modelwright_training.learning.boosted.shared import Array, Boosted, check_target
from modelwright_training.untyped import Estimator, Features

SKLEARN = frozenset({
    "boosting_type", "class_weight", "colsample_bytree", "importance_type", "learning_rate", "max_depth",
    "min_child_samples", "min_child_weight", "min_split_gain", "n_estimators", "n_jobs", "num_leaves", "objective",
    "random_state", "reg_alpha", "reg_lambda", "subsample", "subsample_for_bin", "subsample_freq",
})  # fmt: skip
NATIVE = frozenset({
    "alpha", "bin_construct_sample_cnt", "boost_from_average", "data_sample_strategy", "drop_rate", "extra_trees",
    "fair_c", "feature_fraction_bynode", "first_metric_only", "interaction_constraints", "is_unbalance", "max_bin",
    "max_delta_step", "max_drop", "metric", "min_data_in_bin", "monotone_constraints",
    "monotone_constraints_method", "monotone_penalty", "neg_bagging_fraction", "other_rate", "path_smooth",
    "poisson_max_delta_step", "pos_bagging_fraction", "scale_pos_weight", "skip_drop", "top_rate",
    "tweedie_variance_power", "uniform_drop", "use_missing", "xgboost_dart_mode",
})  # fmt: skip
OTHER_NAMES = {
    "bagging_fraction": "subsample", "bagging_freq": "subsample_freq", "boosting": "boosting_type",
    "eta": "learning_rate", "feature_fraction": "colsample_bytree", "lambda_l1": "reg_alpha",
    "lambda_l2": "reg_lambda", "min_data_in_leaf": "min_child_samples", "min_gain_to_split": "min_split_gain",
    "min_sum_hessian_in_leaf": "min_child_weight", "num_iterations": "n_estimators", "num_boost_round": "n_estimators",
    "num_threads": "n_jobs", "seed": "random_state",
}  # fmt: skip
EARLY = ("early_stopping_round", "early_stopping_rounds", "early_stopping", "n_iter_no_change")
LINKS: Mapping[str, Link] = {
    "binary": "Sigmoid", "multiclass": "Softmax", "regression": "Identity", "regression_l1": "Identity",
    "huber": "Identity", "fair": "Identity", "quantile": "Identity", "mape": "Identity", "poisson": "Exp",
    "gamma": "Exp", "tweedie": "Exp",
}  # fmt: skip
ALIASES = frozenset({"l1", "l2", "mae", "mse", "mean_absolute_error", "mean_squared_error", "regression_l2"})


class LightGBM(Boosted):
    """What both estimators share."""

    booster_: Estimator
    PARAMETERS: ClassVar = SKLEARN | NATIVE
    REFUSED: ClassVar = {
        "linear_tree": "leaves that hold a linear model have no counterpart in ONNX",
        "zero_as_missing": "ONNX tells 0 from a missing value",
        "categorical_feature": "categories are one-hot encoded",
        **dict.fromkeys(EARLY, "set trainer.sklearn.earlyStopping"),
        **{other: f"it is called {name} here" for other, name in OTHER_NAMES.items()},
    }
    DEFAULTS: ClassVar = {"n_jobs": 1, "verbose": -1, "deterministic": True, "force_row_wise": True}
    ENDLESS: ClassVar = {"boosting_type": ["dart"]}

    def fit(self, rows: Features, target: Array, sample_weight: Array | None = None) -> Self:
        """Fit; with early stopping, on the rows that are not scored."""
        parent: Any = super()
        if not is_classifier(self):
            check_target(target)
        extra: dict[str, Any] = {}
        if self.stopping:
            learnt, scored = self.stopping.split(target, is_classifier(self))
            # LightGBM 4.7 knows the classes of these rows by their places only.
            places = np.unique(target, return_inverse=True)[1] if is_classifier(self) else target
            extra["eval_X"], extra["eval_y"] = rows[scored], places[scored]
            extra["callbacks"] = [lightgbm.early_stopping(self.stopping.rounds, verbose=False)]
            if sample_weight is not None:
                extra["eval_sample_weight"] = [sample_weight[scored]]
                sample_weight = sample_weight[learnt]
            rows, target = rows[learnt], target[learnt]
        try:
            parent.fit(rows, target, sample_weight=sample_weight, **extra)
        except LightGBMError as error:
            raise ValueError(str(error)) from error
        booster = self.booster_
        self.rounds = booster.best_iteration if self.stopping else booster.current_iteration()
        return self


class LGBMClassifier(LightGBM, lightgbm.LGBMClassifier):  # type: ignore[misc]
    """Two or more classes; the answer are the labels and the probability of each."""

    PATH: ClassVar = "lightgbm.LGBMClassifier"
    OBJECTIVES: ClassVar = frozenset({"binary", "multiclass"})


class LGBMRegressor(LightGBM, lightgbm.LGBMRegressor):  # type: ignore[misc]
    """A number for each row."""

    PATH: ClassVar = "lightgbm.LGBMRegressor"
    OBJECTIVES: ClassVar = frozenset(LINKS) - LGBMClassifier.OBJECTIVES | ALIASES


def ensemble(fitted: Estimator) -> Ensemble:
    """The trees of a fitted model, up to the best round if it stopped early."""
    document = fitted.booster_.dump_model()
    name, *settings = document["objective"].split()
    if name not in LINKS or "sqrt" in settings:
        raise ValueError(f"objective {document['objective']!r} has no exact counterpart in ONNX")
    width = document["num_tree_per_iteration"]
    described = document["tree_info"]
    divisor = len(described) // width if document["average_output"] else 1
    trees = [_tree(one["tree_structure"], place % width, divisor) for place, one in enumerate(described)]
    slope = next((float(word.partition(":")[2]) for word in settings if word.startswith("sigmoid:")), 1.0)
    return Ensemble("BRANCH_LEQ", trees, np.zeros(width), LINKS[name], slope)


def _tree(root: Mapping[str, Any], target: int, divisor: int) -> Tree:
    """Lay a tree out as arrays, each node before its children."""
    tree = Tree(target)
    waiting = [(root, tree.add())]
    while waiting:
        node, place = waiting.pop()
        if "leaf_value" in node:
            tree.values[place] = node["leaf_value"] / divisor
            continue
        if node["decision_type"] != "<=":
            raise ValueError("a split by a set of categories has no exact counterpart in ONNX")
        tree.features[place] = node["split_feature"]
        tree.thresholds[place] = _float32_below(node["threshold"])
        tree.missing_left[place] = _missing_left(node)
        tree.left[place], tree.right[place] = tree.add(), tree.add()
        waiting += [(node["right_child"], tree.right[place]), (node["left_child"], tree.left[place])]
    return tree


def _missing_left(node: Mapping[str, Any]) -> bool:
    """Where a missing value goes: where the split says if it has met one in training, else where 0 goes."""
    if node["missing_type"] == "NaN":
        return bool(node["default_left"])
    if node["missing_type"] == "None":
        return bool(node["threshold"] >= 0)
    raise ValueError("zero_as_missing has no counterpart in ONNX")


def _float32_below(value: float) -> float:
    """The largest float32 that is not greater."""
    with np.errstate(over="ignore"):
        near = np.float32(value)
    return float(near if float(near) <= value else np.nextafter(near, np.float32(-np.inf)))


onnx_trees.register(LGBMClassifier, ensemble)
onnx_trees.register(LGBMRegressor, ensemble)
