"""Builds the pipeline that a plan asks for, fits it, and tells its steps."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, OrdinalEncoder, RobustScaler, StandardScaler

from modelwright_training.errors import InputError, listing
from modelwright_training.features.text import WordCounts
from modelwright_training.learning import constraints, labels
from modelwright_training.learning.treatment import Plan, Treated, Treatment
from modelwright_training.untyped import Estimator, Features

Weights = npt.NDArray[np.float64]

STRATEGIES = {"Mean": "mean", "Median": "median", "MostFrequent": "most_frequent"}
SCALERS = {"Standard": StandardScaler, "MinMax": MinMaxScaler, "Robust": RobustScaler}
# What is different from what OneHotEncoder has seen, or rare, is all zeros; for OrdinalEncoder it is this.
UNKNOWN = -1


def fit(
    plan: Plan,
    estimator: Estimator,
    features: Features,
    target: npt.NDArray[Any],
    weights: Weights | None = None,
) -> Pipeline:
    """The fitted pipeline: first what happens to the columns, then the estimator on what comes of them."""
    _check_missing(plan, features)
    columns = preprocessing(plan)
    table = features
    if columns is not None:
        columns.fit(features)
        _round_centres(columns)
        table = columns.transform(features)
    table = np.asarray(table, dtype=np.float64)
    _check_sign(plan, estimator, table)
    constraints.settle(estimator, numeric_columns(plan), table.shape[1])
    classes = plan.dataset.classes
    learnt = labels.places(target, classes) if classes else target
    estimator.fit(table, learnt, **({} if weights is None else {"sample_weight": weights}))
    fitted = Pipeline([*([] if columns is None else [("columns", columns)]), ("estimator", estimator)])
    return labels.labelled(fitted, classes) if classes else fitted


def _round_centres(step: Estimator) -> None:
    """Round what scalers subtract to float32, as ONNX has it.

    A number that is large beside its spread, such as a year, minus its mean is then exact in float32. Otherwise the
    estimator would learn from other numbers than those that the model computes."""
    held = step.steps if isinstance(step, Pipeline) else getattr(step, "transformers_", [])
    for _, inner, *_ in held:
        _round_centres(inner)
    for name in ("mean_", "center_"):
        if isinstance(getattr(step, name, None), np.ndarray):
            setattr(step, name, getattr(step, name).astype(np.float32).astype(np.float64))


def preprocessing(plan: Plan) -> Estimator | None:
    """What happens to the columns, unfitted; None if nothing does."""
    blocks = _blocks(plan)
    if plan.dataset.all_numeric and len(blocks) == 1:
        steps = _numeric_steps(blocks[0][0].treatment)
        return Pipeline(steps) if steps else None
    places = {treated.column.name: place for place, treated in enumerate(plan.columns)}
    transformers = []
    for number, block in enumerate(blocks):
        names = [treated.column.name for treated in block]
        selected = [places[name] for name in names] if plan.dataset.all_numeric else names
        transformers.append((f"block_{number}", _transformer(block), selected))
    return ColumnTransformer(transformers)


def describe(plan: Plan, estimator: Estimator) -> list[str]:
    """The steps of the pipeline in words, with their columns where rules have a say."""
    words = []
    for block in _blocks(plan):
        names = listing(list(dict.fromkeys(treated.column.feature for treated in block)), 10)
        words += [f"{step}: {names}" if plan.by_rules else step for step in _words(block)]
    dropped = [f"drop: {listing(plan.dropped, 10)}"] if plan.dropped else []
    return [*dropped, *dict.fromkeys(words), type(estimator).__name__]


def numeric_columns(plan: Plan) -> list[str]:
    """The features behind the first columns of what the estimator sees: the numbers."""
    blocks = [block for block in _blocks(plan) if block[0].column.kind == "numeric"]
    return [treated.column.feature for block in blocks for treated in block]


def _blocks(plan: Plan) -> list[list[Treated]]:
    """Columns that are treated alike, in the order of their kinds and of the first column of each block."""
    kinds = ("numeric", "categorical", "text")
    order: dict[tuple[Any, ...], list[Treated]] = {}
    for kind in kinds:
        for treated in plan.columns:
            if treated.column.kind == kind:
                order.setdefault(_alike(treated), []).append(treated)
    return list(order.values())


def _alike(treated: Treated) -> tuple[Any, ...]:
    match treated.column.kind:
        case "numeric":
            return "numeric", treated.treatment.impute, treated.treatment.scale
        case "categorical":
            return "categorical", treated.treatment.encode, treated.categories is None
        case "text":
            return "text", treated.column.name


def _transformer(block: Sequence[Treated]) -> Estimator:
    match block[0].column.kind:
        case "numeric":
            steps = _numeric_steps(block[0].treatment)
            return Pipeline(steps) if steps else "passthrough"
        case "categorical":
            return _encoder(block)
        case "text":
            # What needs scaled numbers adds up weighted counts; trees split whole ones.
            return WordCounts(block[0].column.feature, weighted=block[0].treatment.scale != "None")


def _numeric_steps(treatment: Treatment) -> list[tuple[str, Estimator]]:
    steps: list[tuple[str, Estimator]] = []
    if treatment.impute != "None":
        strategy = STRATEGIES[treatment.impute]
        steps.append(("impute", SimpleImputer(strategy=strategy, keep_empty_features=True)))
    if treatment.scale != "None":
        steps.append(("scale", SCALERS[treatment.scale]()))
    return steps


def _encoder(block: Sequence[Treated]) -> Estimator:
    known = [
        np.array(treated.categories, dtype=object) for treated in block if treated.categories is not None
    ]
    categories: Any = known or "auto"
    if block[0].treatment.encode == "Ordinal":
        return OrdinalEncoder(
            categories=categories, handle_unknown="use_encoded_value", unknown_value=UNKNOWN, dtype=np.float64
        )
    return OneHotEncoder(categories=categories, handle_unknown="ignore", sparse_output=False)


def _words(block: Sequence[Treated]) -> list[str]:
    transformer = _transformer(block)
    if transformer == "passthrough":
        return []
    steps = [step for _, step in transformer.steps] if isinstance(transformer, Pipeline) else [transformer]
    return [type(step).__name__ for step in steps]


def _check_missing(plan: Plan, features: Features) -> None:
    """Refuse missing numbers that nothing takes the place of."""
    table = features.to_numpy() if hasattr(features, "to_numpy") else features
    gaps = [
        treated.column.feature
        for place, treated in enumerate(plan.columns)
        if treated.column.kind == "numeric"
        and treated.treatment.impute == "None"
        and not plan.takes_missing
        and np.isnan(table[:, place].astype(np.float64)).any()
    ]
    if gaps:
        raise InputError(
            "BadPreprocess",
            f"trainer.preprocess sets impute: None, but values are missing in {listing(list(dict.fromkeys(gaps)))} and "
            "this estimator takes no missing values. Set impute: Median, or take HistGradientBoosting.",
        )


def _check_sign(plan: Plan, estimator: Estimator, table: npt.NDArray[np.float64]) -> None:
    """Refuse negative numbers for an estimator that counts."""
    if not estimator.__sklearn_tags__().input_tags.positive_only:
        return
    names = numeric_columns(plan)
    low = table[:, : len(names)].min(axis=0, initial=0)
    negative = [f"{name!r} (smallest {low[place]:.4g})" for place, name in enumerate(names) if low[place] < 0]
    if negative:
        raise InputError(
            "TrainingFailed",
            f"{type(estimator).__name__} takes no negative numbers, but there are some in {', '.join(negative)}. Give "
            "these columns scale: MinMax in trainer.preprocess, or take GaussianNB.",
        )
