"""Gates that compare the groups of a sensitive feature: models that are fair, and models that are not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial

import numpy as np
from verdicts.tables import percent

from gates_simulated.row import Cells, Chance, Row
from modelwright.api.gates import Gate
from modelwright.checks.gates import judge
from modelwright.common.report import GateEvidence
from modelwright_training.judging.fairness import Answers, Groups, compare

FAIRNESS = "fairness"
VERDICTS = ("passes", "fails", "inconclusive")
HEADS = {
    FAIRNESS: (
        "metric",
        "groups",
        "rows of each",
        "rate",
        "true ratio",
        *VERDICTS,
        "fails by its value alone",
    )
}
LIMIT = 0.8


def judged(
    metric: str, groups: int, each: int, rate: float, ratio: float, chance: Chance, repeats: int
) -> Cells:
    """The verdicts on a model that answers this rate of rows positive, of the last group `ratio` times as many."""
    gate = Gate.model_validate({"name": "fair", "metric": metric, "sensitiveFeature": "group", "min": LIMIT})
    places = Groups([str(group) for group in range(groups)], np.repeat(np.arange(groups), each))
    rates = np.where(places.codes == groups - 1, ratio * rate, rate)
    found, alone = Counter[str](), 0
    for _ in range(repeats):
        answered = (chance.random(groups * each) < rates).astype(int)
        compared = compare(metric, Answers(np.ones_like(answered), answered, True, 1), places, "group")
        low, high = compared.interval or (None, None)
        evidence = GateEvidence(
            name="fair",
            metric=metric,
            value=compared.value,
            low=low,
            high=high,
            samples=len(answered),
            smallest=compared.smallest,
        )
        found[judge(gate, evidence).verdict] += 1
        alone += compared.value < LIMIT
    shares = [found[verdict] / repeats for verdict in ("Pass", "Fail", "Inconclusive")]
    return [percent(share) for share in (*shares, alone / repeats)]


def rows() -> Iterator[Row]:
    """The rows of the table."""
    for rate in (0.5, 0.3):
        for ratio, sizes in ((1.0, (60, 200, 1000)), (LIMIT, (200, 1000)), (0.6, (60, 200, 1000, 2000))):
            for each in sizes:
                yield _row("demographic_parity_ratio", 2, each, rate, ratio)
    for each in (60, 200):
        yield _row("demographic_parity_ratio", 2, each, 0.1, 1.0)
    for each in (60, 200, 1000):
        yield _row("demographic_parity_ratio", 5, each, 0.5, 1.0)
    yield _row("demographic_parity_ratio", 5, 1000, 0.5, 0.6)
    for ratio in (1.0, 0.6):
        yield _row("equal_opportunity_ratio", 2, 60, 0.7, ratio)


def _row(metric: str, groups: int, each: int, rate: float, ratio: float) -> Row:
    first = (metric, f"{groups}", f"{each:,}", f"{rate:g}", f"{ratio:g}")
    return Row(FAIRNESS, first, partial(judged, metric, groups, each, rate, ratio))
