"""Says in the terms of a spec what an estimator's own error means."""

import re

from modelwright_training.documents import Dataset

# Words of scikit-learn's errors, and what to do; {target} is the column to predict.
ADVICE = (
    (
        r"out of the valid range of the loss|requires non-negative y|strictly positive y",
        "The target {target} holds values outside of what this estimator predicts. Use another estimator or loss.",
    ),
    (r"n_neighbors.*n_samples", "Set n_neighbors to fewer than there are rows to learn from."),
    (r"not full rank", "Set reg_param, such as 0.1: the one-hot columns of a category always add up to 1."),
    (
        r"[Ii]nput X contains NaN|contains NaN",
        "An estimator within takes no missing values: give the columns impute: Median in trainer.preprocess.",
    ),
    (
        r"n_splits=\d+ cannot be greater than the number of members in each class",
        "The target {target} has a class with fewer rows than folds. Set a smaller cv.",
    ),
    (r"unexpected keyword argument 'sample_weight'", "An estimator within this one cannot weigh rows."),
)


def in_labels(error: str, dataset: Dataset) -> str:
    """The error with the labels of classes: estimators know only their places."""
    known = dataset.classes or []
    return re.sub(
        r"\b([Cc]lass) (\d+)\b",
        lambda match: f"{match[1]} {known[int(match[2])]!r}" if int(match[2]) < len(known) else match[0],
        error,
    )


def advise(error: str, dataset: Dataset) -> str:
    """Sentences to put behind an error of a library; empty where there is nothing to add."""
    found = [text for words, text in ADVICE if re.search(words, error)]
    return "".join(
        f"{'' if error.endswith('.') else '.'} {text.format(target=repr(dataset.target.name))}"
        for text in found[:1]
    )
