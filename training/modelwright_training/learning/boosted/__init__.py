"""LightGBM's and XGBoost's estimators beside scikit-learn's. Each library is imported when a run asks for it."""

from importlib import import_module

from modelwright_training.errors import InputError, listing, suggestion
from modelwright_training.untyped import Estimator

MODULES = {"lightgbm": "with_lightgbm", "xgboost": "with_xgboost"}
ESTIMATORS = {
    "lightgbm": ("LGBMClassifier", "LGBMRegressor"),
    "xgboost": ("XGBClassifier", "XGBRFClassifier", "XGBRFRegressor", "XGBRegressor"),
}


def paths() -> list[str]:
    """The estimators of both libraries, as a spec names them."""
    return [f"{library}.{name}" for library, names in ESTIMATORS.items() for name in names]


def find(path: str) -> type[Estimator]:
    """The class of an estimator such as `lightgbm.LGBMClassifier`, or EstimatorUnknown."""
    library, _, name = path.partition(".")
    if name not in ESTIMATORS.get(library, ()):
        raise InputError(
            "EstimatorUnknown",
            f"There is no estimator {path!r}.{suggestion(path, paths())} Besides scikit-learn's there are "
            f"{listing(paths())}; rankers and estimators for Dask are not supported.",
        )
    module = import_module(f"{__name__}.{MODULES[library]}")
    found: type[Estimator] = getattr(module, name)
    return found
