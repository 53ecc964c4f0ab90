"""Which estimators are tried, and with which parameters: the default ones, but what an estimator cannot do without."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any

from sklearn.base import ClassifierMixin
from sklearn.utils import all_estimators

Parameters = dict[str, Any]

LOGISTIC = {"estimator": "sklearn.linear_model.LogisticRegression"}
RIDGE = {"estimator": "sklearn.linear_model.Ridge"}
TREE = {"estimator": "sklearn.tree.DecisionTreeClassifier", "parameters": {"max_depth": 5}}
REGRESSION_TREE = {"estimator": "sklearn.tree.DecisionTreeRegressor", "parameters": {"max_depth": 5}}

# Parameters without a default.
NEEDED: dict[str, Parameters] = {
    "ClassifierChain": {"estimator": LOGISTIC},
    "FixedThresholdClassifier": {"estimator": LOGISTIC},
    "MultiOutputClassifier": {"estimator": LOGISTIC},
    "MultiOutputRegressor": {"estimator": RIDGE},
    "OneVsOneClassifier": {"estimator": LOGISTIC},
    "OneVsRestClassifier": {"estimator": LOGISTIC},
    "OutputCodeClassifier": {"estimator": LOGISTIC},
    "RegressorChain": {"estimator": RIDGE},
    "SelfTrainingClassifier": {"estimator": LOGISTIC},
    "StackingClassifier": {"estimators": [["linear", LOGISTIC], ["tree", TREE]]},
    "StackingRegressor": {"estimators": [["linear", RIDGE], ["tree", REGRESSION_TREE]]},
    "TransformedTargetRegressor": {"regressor": RIDGE},
    "TunedThresholdClassifierCV": {"estimator": LOGISTIC},
    "VotingClassifier": {"estimators": [["linear", LOGISTIC], ["tree", TREE]]},
    "VotingRegressor": {"estimators": [["linear", RIDGE], ["tree", REGRESSION_TREE]]},
}


@dataclass(frozen=True)
class Trial:
    """An estimator with parameters."""

    path: str
    classifies: bool
    parameters: Parameters = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What it is called in the page."""
        return self.path.removeprefix("sklearn.")


BOOSTED = {
    "lightgbm.LGBMClassifier": True,
    "lightgbm.LGBMRegressor": False,
    "xgboost.XGBClassifier": True,
    "xgboost.XGBRFClassifier": True,
    "xgboost.XGBRFRegressor": False,
    "xgboost.XGBRegressor": False,
}
# What is neither a classifier nor a regressor by itself.
WRAPPERS: dict[str, Parameters] = {
    "sklearn.model_selection.GridSearchCV": {"estimator": TREE, "param_grid": {"max_depth": [3, 5]}},
    "sklearn.model_selection.RandomizedSearchCV": {
        "estimator": TREE,
        "param_distributions": {"max_depth": [3, 5, 7]},
        "n_iter": 2,
    },
    "sklearn.pipeline.Pipeline": {"steps": [{"estimator": "sklearn.preprocessing.StandardScaler"}, LOGISTIC]},
}


@cache
def everything() -> list[Trial]:
    """Every estimator that a spec may name: of scikit-learn, LightGBM and XGBoost."""
    boosted = [Trial(path, classifies) for path, classifies in BOOSTED.items()]
    wrappers = [Trial(path, True, parameters) for path, parameters in WRAPPERS.items()]
    return [*of_sklearn(), *wrappers, *boosted]


@cache
def of_sklearn() -> list[Trial]:
    """Every classifier and regressor of scikit-learn."""
    kinds = dict(all_estimators(type_filter=["classifier", "regressor"]))
    return [
        Trial(
            f"{kind.__module__.split('._')[0]}.{name}",
            issubclass(kind, ClassifierMixin),
            NEEDED.get(name, {}),
        )
        for name, kind in sorted(kinds.items())
    ]
