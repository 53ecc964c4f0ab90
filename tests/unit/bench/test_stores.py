"""The bench of stores judges what was measured, says so where nothing meets a target, and knows its place."""

from bench.document import DOCUMENT, placed
from bench.stores.__main__ import MARKS
from bench.stores.results import Image, Killed, Rate, Start, Stores, report, verdicts
from unit.bench.given import MACHINE

SIZE = 10**9


def found(
    pulled: float = 1.2, mib: float = 43, crossed: int = SIZE, added: int = 16_000_000, start: float = 0.15
) -> Stores:
    """A run in which curl took a second, and a model from a claim half of one."""
    return Stores(
        date="2026-11-28 12:00 UTC",
        commit="abc",
        quick=False,
        machine=MACHINE,
        rates=[
            Rate(store="s3", size=SIZE, discarded=[0.5], written=[1.0], pulled=[pulled], cpu=[1.5], mib=[mib])
        ],
        killed=[Killed(store="s3", size=SIZE, reached=[SIZE // 2], crossed=crossed)],
        image=Image(total=10**8, added={"obstore": added}),
        starts=[
            Start(place="a claim", pulled=[0.1], served=[0.4]),
            Start(place="s3", pulled=[start], served=[0.4]),
        ],
    )


def test_every_target_is_judged() -> None:
    assert [one.met for one in verdicts(found())] == [True] * 5
    worst = found(pulled=1.3, mib=101, crossed=SIZE * 12 // 10, added=21_000_000, start=0.3)
    assert [one.met for one in verdicts(worst)] == [False] * 5


def test_the_report_has_its_place_in_the_document() -> None:
    said = report(found())
    assert "| s3 | 2,000 (2,000-2,000) | 1,000 (1,000-1,000) | 833 (833-833) |" in said
    assert said in placed(DOCUMENT.read_text(), said, MARKS)
