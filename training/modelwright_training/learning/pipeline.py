"""Puts an estimator behind the preprocessing that its kind needs and no more.

Trees get no scaler: the scaled float32 value of a row can fall on the other side of a threshold."""

from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from modelwright_training.documents import Dataset
from modelwright_training.features.prepared import prepared
from modelwright_training.untyped import Estimator

# What measures distances, or descends a gradient, or adds weighted columns up.
SCALED_MODULES = frozenset({
    "calibration", "cross_decomposition", "discriminant_analysis", "gaussian_process", "kernel_ridge",
    "linear_model", "neighbors", "neural_network", "svm",
})  # fmt: skip
SCALED = frozenset({"GaussianNB"})
KINDS = ("numeric", "categorical")
TAKES_MISSING = frozenset({
    "HistGradientBoostingClassifier", "HistGradientBoostingRegressor", "LGBMClassifier", "LGBMRegressor",
    "XGBClassifier", "XGBRFClassifier", "XGBRFRegressor", "XGBRegressor",
})  # fmt: skip


def build(estimator: Estimator, dataset: Dataset) -> Pipeline:
    """The pipeline that is trained and converted."""
    numeric = _numeric_steps(estimator)
    if dataset.all_numeric:
        return Pipeline([*numeric, ("estimator", estimator)])
    columns = prepared(dataset)
    names = {kind: [column.name for column in columns if column.kind == kind] for kind in KINDS}
    blocks: list[tuple[str, Estimator, list[str]]] = []
    if names["numeric"]:
        blocks.append(("numeric", Pipeline(numeric) if numeric else "passthrough", names["numeric"]))
    if names["categorical"]:
        encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
        blocks.append(("categorical", encoder, names["categorical"]))
    return Pipeline([("columns", ColumnTransformer(blocks)), ("estimator", estimator)])


def describe(estimator: Estimator, dataset: Dataset) -> list[str]:
    """The steps of the pipeline in words."""
    kinds = {column.kind for column in prepared(dataset)}
    words = [type(step).__name__ for _, step in _numeric_steps(estimator)] if "numeric" in kinds else []
    return [*words, *(["OneHotEncoder"] if "categorical" in kinds else []), type(estimator).__name__]


def _numeric_steps(estimator: Estimator) -> list[tuple[str, Estimator]]:
    kind = type(estimator)
    steps: list[tuple[str, Estimator]] = []
    if kind.__name__ not in TAKES_MISSING:
        steps.append(("impute", SimpleImputer(strategy="median", keep_empty_features=True)))
    if kind.__name__ in SCALED or kind.__module__.split(".")[1] in SCALED_MODULES:
        steps.append(("scale", StandardScaler()))
    return steps
