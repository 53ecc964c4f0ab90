"""docs/estimators.md names every estimator, and what it says of some of them is so."""

import re

import pytest
from estimators.catalogue import everything
from estimators.document import DOCUMENT, cell, rows_of
from estimators.trials import tried

from modelwright_training.learning import boosted
from modelwright_training.learning.estimators import WRAPPERS, find

SAMPLE = [
    "linear_model.LogisticRegression",
    "svm.SVC",
    "discriminant_analysis.LinearDiscriminantAnalysis",
    "naive_bayes.MultinomialNB",
    "neighbors.NearestCentroid",
    "linear_model.Ridge",
    "xgboost.XGBRegressor",
]


def test_the_page_has_each_estimator_once() -> None:
    text = DOCUMENT.read_text()
    names = [trial.name for trial in everything()]
    assert list(rows_of(text)) == [
        trial.name for classifies in (True, False) for trial in everything() if trial.classifies == classifies
    ]
    assert len(re.findall(r"^\| `", text, re.MULTILINE)) == len(names)


def test_all_that_a_spec_may_name_is_tried() -> None:
    paths = {trial.path for trial in everything()}
    assert paths >= {*boosted.paths(), *WRAPPERS}
    for path in paths:
        assert find(path)


@pytest.mark.parametrize("name", SAMPLE)
def test_the_page_says_what_is_so(name: str) -> None:
    """Numbers differ between machines: what works and what is refused for which reason does not."""
    row = rows_of(DOCUMENT.read_text())[name]
    (trial,) = [trial for trial in everything() if trial.name == name]
    for outcome in tried([trial]):
        said = re.sub(r"works: \S+", "works: ", cell(outcome))
        assert said in re.sub(r"works: \S+", "works: ", row)
        assert outcome.max_difference is None or outcome.max_difference < 1e-4
