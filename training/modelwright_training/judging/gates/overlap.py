"""Tells whether a champion may have learnt from rows that are held out now: that would favour it. Pure."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from modelwright_training.documents import Champion, Digest, Holdout

# Of the settings of a hold-out, those that choose its rows.
CHOOSING = ("fraction", "seed", "stratify", "split", "key", "after", "group")
REMEDY = "data.holdout.split Stable with the same seed and key keeps the same rows out of every data set"


@dataclass(frozen=True)
class Origin:
    """Where the rows of today's hold-out come from.

    `digest`: of the data. `holdout`: how its rows were chosen; None if all of the data is held out. `features`: the
    columns that are learnt from. `sampled`: only some rows of the data are used. `own`: the digest of the file that the
    hold-out is from, if it is not a part of the data."""

    digest: Digest
    holdout: Holdout | None
    features: Collection[str]
    sampled: bool = False
    own: Digest | None = None


def warning(champion: Champion, takes: Collection[str], now: Origin) -> str | None:
    """Why the champion may have learnt from rows of the hold-out; None if it cannot have.

    `takes`: the columns that the champion predicts from. Stable splits of all columns, and random ones, which keep rows
    with equal features together, depend on which those are."""
    name, then = champion.name, champion.holdout
    same_columns = set(takes) == set(now.features)
    if champion.data is None:
        return (
            f"it is not known what {name} was trained from, so it may have learnt from rows of this hold-out"
        )
    if now.own is not None or now.holdout is None:
        return _of_a_whole_file(name, champion.data, now)
    if then is None:
        return f"it is not known which rows were held out from {name}: it may have learnt from some of this hold-out"
    known = champion.data == now.digest
    if (
        _later(then, now.holdout)
        or _nested(then, now.holdout, same_columns)
        or (known and not now.sampled and _same(then, now.holdout, same_columns))
    ):
        return None
    what = "perhaps with other rows held out" if known else "from other data"
    if not _of_one_zone(then, now.holdout):
        what += " and one of both values of data.holdout.after has a time zone, which cannot be compared"
    return f"{name} was trained {what}, so it may have learnt from rows of this hold-out; {REMEDY}"


def _of_a_whole_file(name: str, data: Digest, now: Origin) -> str | None:
    """The warning where all rows of a file are held out."""
    if data == (now.own or now.digest):
        return f"{name} was trained from the data that is held out now"
    if now.own is not None and data == now.digest:
        return None
    return f"{name} was trained from other data, which may hold rows of this hold-out"


def _same(then: Holdout, now: Holdout, same_columns: bool) -> bool:
    """Whether the same rows of the same data are held out."""
    chosen = [[getattr(holdout, name) for name in CHOOSING] for holdout in (then, now)]
    return chosen[0] == chosen[1] and (same_columns or bool(now.group or now.after))


def _nested(then: Holdout, now: Holdout, same_columns: bool) -> bool:
    """Whether each row that a Stable split holds out now was held out then, if it was there."""
    stable = (then.split, now.split) == ("Stable", "Stable") and not (then.after or now.after)
    same = (then.seed, then.key, then.group) == (now.seed, now.key, now.group)
    by_value = bool(now.key or now.group) or same_columns
    return stable and same and by_value and now.fraction <= then.fraction


def _later(then: Holdout, now: Holdout) -> bool:
    """Whether all rows that are held out now are from a time that was held out then."""
    if then.after is None or now.after is None or then.after.column != now.after.column:
        return False
    if then.after.value == now.after.value:
        return True
    before, after = _point(then.after.value), _point(now.after.value)
    if isinstance(before, float) and isinstance(after, float):
        return before <= after
    return (
        isinstance(before, datetime)
        and isinstance(after, datetime)
        and _zoned(before) == _zoned(after)
        and before <= after
    )


def _of_one_zone(then: Holdout, now: Holdout) -> bool:
    """Whether both begin at moments that can be compared: where only one names its zone, they cannot."""
    if then.after is None or now.after is None:
        return True
    before, after = _point(then.after.value), _point(now.after.value)
    both = isinstance(before, datetime) and isinstance(after, datetime)
    return not both or _zoned(before) == _zoned(after)


def _zoned(moment: float | datetime | None) -> bool:
    return isinstance(moment, datetime) and moment.utcoffset() is not None


def _point(text: str) -> float | datetime | None:
    """A number, or a moment in ISO 8601, with its zone if it has one."""
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError:
        return None
