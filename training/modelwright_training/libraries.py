"""Versions of the libraries that make a difference to a model."""

from importlib.metadata import version

from modelwright_training.untyped import Estimator

TRAINING = ("numpy", "onnx", "scikit-learn", "skl2onnx")
PACKAGES = {"lightgbm": "lightgbm", "xgboost": "xgboost-cpu"}
SCORING = ("numpy", "onnx", "onnxruntime")


def versions(names: tuple[str, ...]) -> dict[str, str]:
    """The installed version of each library."""
    return {name: version(name) for name in names}


def behind(estimator: Estimator) -> dict[str, str]:
    """The versions of what trains an estimator: also of LightGBM and XGBoost if it or a part of it is theirs."""
    parts = [estimator, *estimator.get_params().values()]
    boosting = {PACKAGES[part.PATH.partition(".")[0]] for part in parts if hasattr(part, "PATH")}
    return versions((*TRAINING, *sorted(boosting)))
