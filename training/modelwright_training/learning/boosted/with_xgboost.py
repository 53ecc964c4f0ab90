"""XGBoost's classifiers and regressors, and how their trees become ONNX."""

import json
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import xgboost
from sklearn.base import is_classifier

from modelwright_training.learning.boosted import onnx_trees
from modelwright_training.learning.boosted.onnx_trees import Ensemble, Link, Tree
from modelwright_training.learning.boosted.shared import Array, Boosted, check_target
from modelwright_training.untyped import Estimator, Features

PARAMETERS = frozenset({
    "base_score", "booster", "colsample_bylevel", "colsample_bynode", "colsample_bytree", "eval_metric", "gamma",
    "grow_policy", "huber_slope", "importance_type", "interaction_constraints", "learning_rate", "max_bin",
    "max_delta_step", "max_depth", "max_leaves", "min_child_weight", "monotone_constraints", "n_estimators", "n_jobs",
    "normalize_type", "num_parallel_tree", "objective", "one_drop", "quantile_alpha", "random_state", "rate_drop",
    "reg_alpha", "reg_lambda", "sample_type", "sampling_method", "scale_pos_weight", "skip_drop", "subsample",
    "tree_method", "tweedie_variance_power", "verbosity",
})  # fmt: skip
OTHER_NAMES = {
    "alpha": "reg_alpha", "eta": "learning_rate", "lambda": "reg_lambda", "min_split_loss": "gamma",
    "num_boost_round": "n_estimators", "nthread": "n_jobs", "seed": "random_state",
}  # fmt: skip
LINKS: Mapping[str, Link] = {
    "binary:logistic": "Sigmoid", "multi:softprob": "Softmax", "multi:softmax": "Softmax",
    "reg:squarederror": "Identity", "reg:squaredlogerror": "Identity", "reg:pseudohubererror": "Identity",
    "reg:absoluteerror": "Identity", "reg:quantileerror": "Identity", "reg:logistic": "Sigmoid",
    "count:poisson": "Exp", "reg:gamma": "Exp", "reg:tweedie": "Exp",
}  # fmt: skip
CLASSIFYING = frozenset({"binary:logistic", "multi:softprob", "multi:softmax"})


class XGBoost(Boosted):
    """What the estimators share."""

    PARAMETERS: ClassVar = PARAMETERS
    REFUSED: ClassVar = {
        "early_stopping_rounds": "set trainer.sklearn.earlyStopping",
        "enable_categorical": "categories are one-hot encoded",
        "feature_types": "categories are one-hot encoded",
        "missing": "a missing value is NaN",
        "multi_strategy": "there is one target",
        "device": "the image has no GPU library",
        "callbacks": "a spec cannot hold functions",
        **{other: f"it is called {name} here" for other, name in OTHER_NAMES.items()},
    }
    DEFAULTS: ClassVar = {"n_jobs": 1, "verbosity": 0}
    ENDLESS: ClassVar = {"booster": ["dart"]}

    @classmethod
    def settled(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters to build the estimator with, or BadParameters."""
        booster = given.get("booster")
        if booster not in (None, "gbtree", "dart"):
            raise cls.refusal(f"booster {booster!r}", "Use gbtree or dart.")
        if isinstance(given.get("quantile_alpha"), list):
            raise cls.refusal("several values as quantile_alpha", "Give one number.")
        return super().settled(given)

    def fit(self, rows: Features, target: Array, sample_weight: Array | None = None) -> Self:
        """Fit; with early stopping, on the rows that are not scored."""
        parent: Any = super()
        if not is_classifier(self):
            check_target(target)
        extra: dict[str, Any] = {}
        if self.stopping:
            learnt, scored = self.stopping.split(target, is_classifier(self))
            extra["eval_set"] = [(rows[scored], target[scored])]
            self.early_stopping_rounds = self.stopping.rounds
            if sample_weight is not None:
                extra["sample_weight_eval_set"] = [sample_weight[scored]]
                sample_weight = sample_weight[learnt]
            rows, target = rows[learnt], target[learnt]
        parent.fit(rows, target, sample_weight=sample_weight, verbose=False, **extra)
        booster = parent.get_booster()
        self.rounds = booster.best_iteration + 1 if self.stopping else booster.num_boosted_rounds()
        return self


class Classifier(XGBoost):
    """What the classifiers share: XGBoost itself knows classes by their places only."""

    OBJECTIVES: ClassVar = CLASSIFYING
    n_classes_: int
    labels: Array | None = None

    @property
    def classes_(self) -> Array:
        """The classes in the order of the probabilities."""
        return np.arange(self.n_classes_) if self.labels is None else self.labels

    def fit(self, rows: Features, target: Array, sample_weight: Array | None = None) -> Self:
        """Fit the places of the classes."""
        labels, places = np.unique(target, return_inverse=True)
        self.labels = None
        super().fit(rows, places, sample_weight)
        self.labels = labels
        return self

    def predict(self, rows: Features) -> Array:
        """The class of each row."""
        parent: Any = super()
        return np.asarray(self.classes_[parent.predict(rows)])


class Regressor(XGBoost):
    """What the regressors share."""

    OBJECTIVES: ClassVar = frozenset(LINKS) - CLASSIFYING


class XGBClassifier(Classifier, xgboost.XGBClassifier):  # type: ignore[misc]
    """Boosted trees for two or more classes."""

    PATH: ClassVar = "xgboost.XGBClassifier"


class XGBRFClassifier(Classifier, xgboost.XGBRFClassifier):  # type: ignore[misc]
    """A random forest for two or more classes."""

    PATH: ClassVar = "xgboost.XGBRFClassifier"
    ENDLESS: ClassVar = {"booster": [None, "gbtree", "dart"]}


class XGBRegressor(Regressor, xgboost.XGBRegressor):  # type: ignore[misc]
    """Boosted trees for a number."""

    PATH: ClassVar = "xgboost.XGBRegressor"


class XGBRFRegressor(Regressor, xgboost.XGBRFRegressor):  # type: ignore[misc]
    """A random forest for a number."""

    PATH: ClassVar = "xgboost.XGBRFRegressor"
    ENDLESS: ClassVar = {"booster": [None, "gbtree", "dart"]}


def ensemble(fitted: Estimator) -> Ensemble:
    """The trees of a fitted model, up to the best round if it stopped early."""
    learner = json.loads(fitted.get_booster().save_raw("json"))["learner"]
    name, boosting = learner["objective"]["name"], learner["gradient_booster"]
    if name not in LINKS:
        raise ValueError(f"objective {name!r} has no exact counterpart in ONNX")
    model = boosting.get("gbtree", boosting)["model"]
    weights = boosting.get("weight_drop", [1.0] * len(model["trees"]))
    last = model["iteration_indptr"][fitted.rounds]
    described = zip(model["trees"][:last], model["tree_info"], weights, strict=False)
    trees = [_tree(tree, target, np.float32(weight)) for tree, target, weight in described]
    base = np.array(json.loads(learner["learner_model_param"]["base_score"]), dtype=np.float64)
    width = max(int(learner["learner_model_param"]["num_class"]), 1)
    return Ensemble("BRANCH_LT", trees, np.resize(_margin(base, LINKS[name]), width), LINKS[name])


def _margin(base: npt.NDArray[np.float64], link: Link) -> npt.NDArray[np.float64]:
    """The score from which the trees start: base_score is what they are to predict together."""
    if link == "Sigmoid":
        return np.asarray(np.log(base) - np.log1p(-base))
    return np.asarray(np.log(base)) if link == "Exp" else base


def _tree(described: Mapping[str, Any], target: int, weight: np.float32) -> Tree:
    if any(described["split_type"]):
        raise ValueError("a split by a set of categories has no exact counterpart in ONNX")
    left = described["left_children"]
    conditions = described["split_conditions"]
    leaf = [child == -1 for child in left]
    return Tree(
        target,
        features=[
            0 if is_leaf else index for is_leaf, index in zip(leaf, described["split_indices"], strict=True)
        ],
        thresholds=[0.0 if is_leaf else value for is_leaf, value in zip(leaf, conditions, strict=True)],
        left=[0 if is_leaf else child for is_leaf, child in zip(leaf, left, strict=True)],
        right=[
            0 if is_leaf else child for is_leaf, child in zip(leaf, described["right_children"], strict=True)
        ],
        missing_left=[
            bool(value) and not is_leaf
            for is_leaf, value in zip(leaf, described["default_left"], strict=True)
        ],
        values=[
            float(weight * np.float32(value)) if is_leaf else None
            for is_leaf, value in zip(leaf, conditions, strict=True)
        ],
    )


for kind in (XGBClassifier, XGBRFClassifier, XGBRegressor, XGBRFRegressor):
    onnx_trees.register(kind, ensemble)
