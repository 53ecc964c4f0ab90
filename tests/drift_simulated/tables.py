"""The tables of docs/drift.md: what is simulated for each row, and how the rows are shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby, pairwise

import numpy as np
from bench.report import table
from gates_simulated.row import Cells, Chance, Row
from verdicts.tables import percent

from drift_simulated.counted import Counter, profile
from drift_simulated.effects import as_much
from drift_simulated.world import CORRELATION, SAME, Change, drawn
from modelwright.checks.drift import Demands, Judgement, judge
from modelwright.checks.monitored import Profile, Window

EFFECTS, ALARMS, SHIFTS, LARGE, BATCHES = "effects", "alarms", "shifts", "large", "batches"
HEADS = {
    EFFECTS: (
        "effect",
        "mean moves by",
        "spread grows by",
        "PSI",
        "a share: from 0 to",
        "from 5 % to",
        "from 50 % to",
    ),
    ALARMS: (
        "hold-out",
        "window",
        "windows",
        "false alarms",
        "two in a row",
        "no verdict",
        "finds a shift of",
    ),
    SHIFTS: ("what changes", "in 500 rows", "in 1,000 rows", "named first"),
    LARGE: ("what changes", "in 10,000 rows", "in 100,000 rows"),
    BATCHES: (
        "rows of a request",
        "their correlation",
        "window",
        "false alarms",
        "two in a row",
        "no verdict",
    ),
}
# Windows that follow each other, of each hold-out. What is chance in a small one is alike in all of its windows, so it
# takes more of them.
IN_A_ROW = 20
# The hold-out of tables that do not name one.
REFERENCE = 5000
FLIPPED = Change(correlation=-CORRELATION)


@dataclass(frozen=True)
class Seen:
    """What was seen of many windows."""

    judged: list[list[Judgement]]

    def share(self, verdict: str) -> float:
        """The share of windows with this verdict."""
        found = [each.verdict == verdict for row in self.judged for each in row]
        return sum(found) / len(found)

    def in_a_row(self) -> float:
        """The share of windows that are Drifted as the one before them."""
        found = [
            first.verdict == second.verdict == "Drifted"
            for row in self.judged
            for first, second in pairwise(row)
        ]
        return sum(found) / len(found) if found else 0.0

    def named(self) -> str:
        """What windows that are Drifted name most often as the worst."""
        names = [
            f"{each.worst[0].feature}: {each.worst[0].statistic}"
            for row in self.judged
            for each in row
            if each.verdict == "Drifted"
        ]
        return max(sorted(set(names)), key=names.count) if names else "-"


def seen(
    chance: Chance, reference: int, rows: int, windows: int, change: Change = SAME, in_a_row: int = IN_A_ROW
) -> Seen:
    """Judges so many windows: of each hold-out some that follow each other."""
    # A window of less than the default is judged as well.
    demands, found = Demands(min_samples=min(rows, 500)), []
    for _ in range(max(1, windows // in_a_row)):
        document = profile(chance, drawn(chance, reference))
        counter, held = Counter(document), Profile.read(document)
        found.append(
            [
                judge(
                    held, Window.read(counter.window(drawn(chance, rows, change), change.size), held), demands
                )
                for _ in range(in_a_row)
            ]
        )
    return Seen(found)


def alarms(reference: int, rows: int, chance: Chance, windows: int) -> Cells:
    """How often windows without drift have some."""
    # Large ones take long.
    count = windows if rows < 5000 and 100 <= reference <= REFERENCE else windows // 10
    found = seen(chance, reference, rows, count, in_a_row=4 if reference <= 1000 else IN_A_ROW)
    detectable = [each.detectable for row in found.judged for each in row if each.detectable is not None]
    finds = f"{np.median(detectable):.2f} sd" if detectable else "-"
    return [f"{count:,}", *_alarmed(found), finds]


def batches(rows: int, change: Change, chance: Chance, windows: int) -> Cells:
    """The same of requests with many rows."""
    return _alarmed(seen(chance, REFERENCE, rows, windows // 10, change))


def found_in(sizes: Sequence[int], change: Change, named: bool, chance: Chance, windows: int) -> Cells:
    """How often a change is found in a window, whatever is found in others."""
    of_sizes = [seen(chance, REFERENCE, rows, max(1, windows // 10), change, in_a_row=10) for rows in sizes]
    return [
        *(percent(round(each.share("Drifted"), 3)) for each in of_sizes),
        *([of_sizes[0].named()] if named else []),
    ]


def rows() -> list[Row]:
    """The rows of all tables, in their order."""
    return [*_effects(), *_alarms(), *_shifts(), *_large(), *_batches()]


def tables(found: Sequence[tuple[str, Cells]]) -> dict[str, str]:
    """The tables in Markdown, by name, of the rows that were simulated."""
    return {
        name: table(HEADS[name], [cells for _, cells in of_name])
        for name, of_name in groupby(found, key=lambda each: each[0])
    }


def _alarmed(found: Seen) -> Cells:
    return [
        percent(share) for share in (found.share("Drifted"), found.in_a_row(), found.share("Inconclusive"))
    ]


def _effects() -> Iterator[Row]:
    for effect in (0.1, 0.2, 0.3, 0.5):
        yield Row(EFFECTS, (f"{effect:g}",), partial(as_much, effect))


def _alarms() -> Iterator[Row]:
    sizes = {
        60: (500,),
        200: (500, 10_000),
        1000: (500, 1000, 10_000),
        5000: (200, 500, 1000, 10_000),
        20_000: (500, 10_000),
    }
    for reference, windows in sizes.items():
        for count in windows:
            yield Row(ALARMS, (f"{reference:,}", f"{count:,}"), partial(alarms, reference, count))


def _shifts() -> Iterator[Row]:
    def row(what: str, change: Change) -> Row:
        return Row(SHIFTS, (what,), partial(found_in, (500, 1000), change, True))

    for feature in ("plain", "with a", "lognormal", "few", "ties", "heavy"):
        yield row(f"the mean of *{feature}* by 0.3 sd", Change(feature=feature, shift=0.3))
    yield row("the mean of *plain* by 0.2 sd", Change(feature="plain", shift=0.2))
    yield row("the spread of *plain* by 1.3", Change(feature="plain", spread=1.3))
    yield row("3 % of *plain* are missing", Change(feature="plain", missing=0.03))
    yield row("3 % of the plans are new", Change(unseen=0.03))
    yield row("two correlations, 0.8 to -0.8", FLIPPED)
    yield row("two correlations, 0.8 to 0", Change(correlation=0.0))


def _large() -> Iterator[Row]:
    changes = {
        "the mean of one feature by 0.1 sd": Change(feature="plain", shift=0.1),
        "by 0.15 sd": Change(feature="plain", shift=0.15),
        "by 0.2 sd": Change(feature="plain", shift=0.2),
        "by 0.25 sd": Change(feature="plain", shift=0.25),
        "its spread by 1.1": Change(feature="plain", spread=1.1),
        "its spread by 1.25": Change(feature="plain", spread=1.25),
        "0.5 % are missing": Change(feature="plain", missing=0.005),
        "1.5 % are missing": Change(feature="plain", missing=0.015),
    }
    for what, change in changes.items():
        # A tenth of the windows of other tables.
        yield Row(LARGE, (what,), partial(_fewer, (10_000, 100_000), change))


def _fewer(sizes: Sequence[int], change: Change, chance: Chance, windows: int) -> Cells:
    return found_in(sizes, change, False, chance, windows // 25)


def _batches() -> Iterator[Row]:
    cases = ((20, 0.0, 1000), (20, 0.05, 1000), (20, 0.2, 1000), (100, 0.05, 10_000), (500, 0.05, 5000))
    for size, alike, count in cases:
        first = (f"{size:,}", f"{alike:g}", f"{count:,}")
        yield Row(BATCHES, first, partial(batches, count, Change(size=size, alike=alike)))
