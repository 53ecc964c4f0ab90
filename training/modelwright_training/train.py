"""The step `train` of the built-in trainer: fits an estimator and leaves it as ONNX.

Judging the model is left to publish, which sees rows that this step does not."""

import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from modelwright_training import libraries
from modelwright_training.documents import Dataset, RunDocument, load_dataset, load_run
from modelwright_training.errors import InputError, storage
from modelwright_training.features import frames
from modelwright_training.files import digest_of, replace_file
from modelwright_training.judging import reference
from modelwright_training.learning import convert, pipeline, refused, stopping, treatment, weighing
from modelwright_training.learning.advice import advise, in_labels
from modelwright_training.learning.estimators import build, find, settings_of
from modelwright_training.learning.treatment import Plan
from modelwright_training.message import Json
from modelwright_training.paths import Paths
from modelwright_training.untyped import Estimator

log = logging.getLogger(__name__)

# What estimators raise where data and parameters do not go together.
REFUSALS = (ValueError, TypeError, ArithmeticError, LookupError, RuntimeError, AttributeError)


def run(environ: Mapping[str, str], paths: Paths) -> Json:
    """Train the run's estimator on the rows that fetch has left."""
    document = load_run(paths.run)
    chosen = document.trainer.sklearn
    if chosen is None:
        raise InputError(
            "DocumentInvalid", "trainer.sklearn is not set: the built-in trainer has nothing to do."
        )
    kind = find(chosen.estimator)
    dataset = load_dataset(paths.dataset)
    estimator = build(kind, chosen.parameters, document.seed, dataset.classes)
    refused.check(estimator, dataset.classes)
    stopping.set_up(estimator, chosen.early_stopping, document.seed)
    if dataset.weight:
        weighing.check(estimator, dataset.weight)
    plan = treatment.plan(dataset, document.trainer.preprocess, estimator)
    dataset = plan.dataset
    convert.check_names(dataset)
    frame = frames.load_rows(paths.train_rows, dataset)
    features, target = frames.for_estimator(frame, dataset), frames.target(frame, dataset)
    weights = frames.weights(paths.train_rows, dataset)
    log.info("Training %s on %d rows and %d features", chosen.estimator, len(frame), len(dataset.features))
    with _told_warnings(), _refusals(kind.__name__, dataset):
        np.random.seed(document.seed)  # what an estimator draws from that has no random_state
        fitted = pipeline.fit(plan, estimator, features, target, weights)
        rows = reference.sample(len(frame))
        sampled = features[rows] if dataset.all_numeric else features.iloc[rows]
        predictions = reference.of_pipeline(fitted, sampled, dataset, rows)
    model = convert.to_onnx(fitted, dataset)
    _write(paths, model, predictions, _training(document, estimator, plan))
    log.info("Wrote the model, %d bytes", len(model))
    return {
        "estimator": chosen.estimator,
        "task": dataset.task,
        "rows": len(frame),
        "digest": digest_of(model),
        "size": len(model),
        "libraries": libraries.behind(estimator),
    }


@contextmanager
def _refusals(name: str, dataset: Dataset) -> Iterator[None]:
    """Turn what an estimator says about its data and parameters into a reason.

    One thread: sums of floating-point numbers depend on how many threads add them up."""
    try:
        with threadpool_limits(limits=1):
            yield
    except REFUSALS as error:
        detail = str(error).strip()[:1000]
        # scikit-learn's own error for a parameter of a wrong type or value is both of these.
        if isinstance(error, ValueError) and isinstance(error, TypeError):
            raise InputError("BadParameters", detail) from error
        detail = in_labels(detail, dataset)
        advice = advise(detail, dataset)
        raise InputError(
            "TrainingFailed", f"{name} cannot be trained on this data: {detail}{advice}"
        ) from error


@contextmanager
def _told_warnings() -> Iterator[None]:
    """Tell each warning of the libraries once, as a line that a user can read."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield
        finally:
            for text in dict.fromkeys(
                f"{w.category.__name__}: {str(w.message).splitlines()[0]}" for w in caught
            ):
                log.info("Warning from the library: %s", text)


def _training(document: RunDocument, estimator: Estimator, plan: Plan) -> Json:
    """The record of the run: what the user has set, and the defaults of this version for the rest."""
    chosen, dataset = document.trainer.sklearn, plan.dataset
    asked = chosen.early_stopping if chosen else None
    early = {**asked.model_dump(), "keptRounds": stopping.rounds_of(estimator)} if asked else None
    given = dict(chosen.parameters) if chosen else {}
    settings = settings_of(estimator)
    if "random_state" in settings:
        given.setdefault("random_state", document.seed)
    return {
        "estimator": chosen.estimator if chosen else type(estimator).__name__,
        "parameters": given,
        "defaults": {name: value for name, value in settings.items() if name not in given},
        "steps": pipeline.describe(plan, estimator),
        "seed": document.seed,
        "rows": dataset.rows,
        **({"weight": dataset.weight} if dataset.weight else {}),
        **({"earlyStopping": early} if early else {}),
        "libraries": libraries.behind(estimator),
    }


def _write(paths: Paths, model: bytes, predictions: bytes, training: Json) -> None:
    with storage("Writing the model"):
        replace_file(paths.reference, predictions)
        replace_file(paths.training, json.dumps(training, indent=2, ensure_ascii=False).encode())
        replace_file(paths.model_file, model)
