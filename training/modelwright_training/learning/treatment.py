"""Decides what happens to each column before the estimator sees it: the rules of the spec, else the default.

The default depends on the estimator: it is made of nothing that the estimator does not need. Trees get no scaler: the
scaled float32 value of a row can fall on the other side of a threshold."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from sklearn.base import BaseEstimator

from modelwright_training.documents import Dataset, Feature, Kind, PreprocessRule
from modelwright_training.errors import InputError, listing, suggestion
from modelwright_training.features.prepared import Prepared, prepared
from modelwright_training.learning.estimators import all_within, children
from modelwright_training.untyped import Estimator

Impute = Literal["None", "Mean", "Median", "MostFrequent"]
Scale = Literal["None", "Standard", "MinMax", "Robust"]
Encode = Literal["OneHot", "Ordinal"]

# What measures distances, or descends a gradient, or adds weighted columns up.
SCALED_MODULES = frozenset({
    "calibration", "cross_decomposition", "discriminant_analysis", "gaussian_process", "kernel_ridge",
    "linear_model", "neighbors", "neural_network", "svm",
})  # fmt: skip
SCALED = frozenset({"GaussianNB"})
TAKES_MISSING = frozenset({
    "HistGradientBoostingClassifier", "HistGradientBoostingRegressor", "LGBMClassifier", "LGBMRegressor",
    "XGBClassifier", "XGBRegressor", "XGBRFClassifier", "XGBRFRegressor",
})  # fmt: skip
# These pass rows on to their estimators as they are.
PASSES_MISSING = frozenset({
    "BaggingClassifier", "BaggingRegressor", "CalibratedClassifierCV", "GridSearchCV", "OneVsOneClassifier",
    "OneVsRestClassifier", "Pipeline", "RandomizedSearchCV", "StackingClassifier", "StackingRegressor",
    "VotingClassifier", "VotingRegressor",
})  # fmt: skip

WHERE = "trainer.preprocess"


class KeptFeatures(Dataset):
    """A dataset without the columns that a rule drops: the model has an input for each of the others."""

    @property
    def all_numeric(self) -> bool:
        """A matrix would have to hold the dropped columns, too."""
        return False


@dataclass(frozen=True)
class Treatment:
    """What happens to a column; impute and scale are for numbers, encode is for categories."""

    impute: Impute = "Median"
    scale: Scale = "None"
    encode: Encode = "OneHot"


@dataclass(frozen=True)
class Treated:
    """A prepared column and what happens to it; `categories` are those that are distinguished, if not all are."""

    column: Prepared
    treatment: Treatment
    categories: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Plan:
    """The features that are kept, what happens to their columns, and the names of the others."""

    dataset: Dataset
    columns: list[Treated]
    dropped: list[str]
    takes_missing: bool
    by_rules: bool


def needs_scaling(estimator: Estimator) -> bool:
    """Whether an estimator, or one within it, learns better from columns of one scale."""
    # A calibration is of the scores of what is within; without that, of a LinearSVC.
    parts = [
        part
        for part in all_within(estimator)
        if type(part).__name__ != "CalibratedClassifierCV" or not children(part)
    ]
    kinds = [type(part) for part in parts]
    return any(
        kind.__name__ in SCALED or kind.__module__.split(".")[1] in SCALED_MODULES
        for kind in kinds
        if kind.__module__.startswith("sklearn.")
    )


def takes_missing(estimator: Estimator) -> bool:
    """Whether an estimator can learn from missing numbers, as it has come out of the converter, too."""
    name = type(estimator).__name__
    if name in TAKES_MISSING:
        return True
    within = children(estimator)
    if name.startswith("Stacking") and not estimator.passthrough:
        within = [part for part in within if part is not estimator.final_estimator]
    elif name.startswith("Stacking") and estimator.final_estimator is None:
        return False
    return name in PASSES_MISSING and bool(within) and all(takes_missing(part) for part in within)


def plan(dataset: Dataset, rules: Sequence[PreprocessRule], estimator: BaseEstimator) -> Plan:
    """What happens to each column, or BadPreprocess with all that is wrong with the rules."""
    rule_of = {feature.name: _rule(feature, rules) for feature in dataset.features}
    faults = [*_unknown(dataset, rules), *_senseless(dataset, rules)]
    kept = [feature for feature in dataset.features if not rule_of[feature.name].drop]
    if not kept:
        faults.append("the rules drop every column")
    if faults:
        raise InputError("BadPreprocess", f"{WHERE}: {'; '.join(faults)}.")
    dropped = [name for name, rule in rule_of.items() if rule.drop]
    if dropped:
        dataset = KeptFeatures.model_construct(**{**dataset.__dict__, "features": kept})
    missing = takes_missing(estimator)
    default = Treatment(
        impute="None" if missing else "Median", scale="Standard" if needs_scaling(estimator) else "None"
    )
    categories = {feature.name: feature.categories for feature in kept}
    columns = []
    for column in prepared(dataset):
        rule = rule_of[column.feature]
        given = {
            key: value for key in ("impute", "scale", "encode") if (value := getattr(rule, key)) is not None
        }
        known = categories[column.feature]
        columns.append(Treated(column, replace(default, **given), tuple(known) if known else None))
    _check_splits(columns, estimator)
    return Plan(dataset, columns, dropped, missing, bool(rules))


def _check_splits(columns: Sequence[Treated], estimator: Estimator) -> None:
    """Refuse scaled numbers for XGBoost: it splits at the very values of the data, and where the served model rounds a
    scaled value otherwise, a row goes another way. Other trees split in the middle between two values."""
    scaled = [
        one.column.feature
        for one in columns
        if one.column.kind == "numeric" and one.treatment.scale != "None"
    ]
    splits = any(getattr(part, "PATH", "").startswith("xgboost.") for part in all_within(estimator))
    if splits and scaled:
        raise InputError(
            "BadPreprocess",
            f"{WHERE}: XGBoost cannot be served behind scaled columns, because it splits at their very values; here "
            f"{listing(list(dict.fromkeys(scaled)), 5)} would be scaled. Trees need no scaling: set scale: None for "
            "these columns, or take LightGBM.",
        )


def _rule(feature: Feature, rules: Sequence[PreprocessRule]) -> PreprocessRule:
    """The first rule that names a feature, else the first for its kind, else one that says nothing."""
    naming = [rule for rule in rules if feature.name in (rule.columns or [])]
    of_kind = [rule for rule in rules if rule.columns is None and rule.kind == feature.kind]
    return next(iter([*naming, *of_kind]), PreprocessRule())


def _unknown(dataset: Dataset, rules: Sequence[PreprocessRule]) -> list[str]:
    named = dict.fromkeys(name for rule in rules for name in rule.columns or [])
    absent = [name for name in named if name not in dataset.names]
    if not absent:
        return []
    hints = "".join(suggestion(name, dataset.names) for name in absent[:5])
    return [f"no features are called {listing(absent)}.{hints} The features are {listing(dataset.names)}"]


def _senseless(dataset: Dataset, rules: Sequence[PreprocessRule]) -> list[str]:
    """What the rules ask of columns of a kind that has no such thing."""
    kinds = {feature.name: feature.kind for feature in dataset.features}
    faults = []
    for place, rule in enumerate(rules):
        others = [key for key in ("impute", "scale", "encode") if getattr(rule, key) is not None]
        if rule.drop and others:
            faults.append(f"rule {place + 1} drops columns, so it cannot have {listing(others)}")
        for key, wanted, hint in (
            ("impute", ("numeric", "date"), "a missing text is a category of its own"),
            ("scale", ("numeric", "date"), "only numbers have a scale"),
            ("encode", ("categorical",), "data.schema can make a column a category: {type: string}"),
        ):
            if getattr(rule, key) is None:
                continue
            unfit = _unfit(rule, kinds, wanted)
            if unfit:
                faults.append(f"rule {place + 1} cannot {key} {unfit}: {hint}")
    return faults


def _unfit(rule: PreprocessRule, kinds: dict[str, Kind], wanted: tuple[str, ...]) -> str:
    if rule.columns is None:
        return f"columns of kind {rule.kind}" if rule.kind not in wanted else ""
    unfit = [name for name in rule.columns if name in kinds and kinds[name] not in wanted]
    return ", ".join(f"{name!r} ({kinds[name]})" for name in unfit)
