"""Measures how long the candidate takes to answer a request, alone or beside the champion in the same pod.

In ONNX Runtime on one thread, as the server runs it; what the server adds to it is left out. Requests are measured in
blocks, and the block in the middle counts, so that a moment in which the machine was busy does not. The blocks of both
models take turns. Six is the least number of blocks whose extremes are a 95 % interval of the median, whatever the
distribution (David and Nagaraja, Order Statistics, 2003, section 7.1: 1 - 2 (1/2)^6 = 97 %; of five it is 94 %)."""

import gc
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

import numpy as np

from modelwright_training import memory
from modelwright_training.documents import Gate
from modelwright_training.errors import listing
from modelwright_training.judging.gates import champion, slices
from modelwright_training.judging.gates.evidence import Evidence, Unmeasurable
from modelwright_training.judging.gates.world import World
from modelwright_training.judging.loaded import Loaded
from modelwright_training.judging.scorers import Floats
from modelwright_training.onnxfile import session

SUFFIX = "_latency_seconds"
# The percentiles, and the requests that a block needs for one: fewer have no such percentile but their slowest.
PERCENTILES = {
    f"p50{SUFFIX}": (50, 5),
    f"p90{SUFFIX}": (90, 10),
    f"p95{SUFFIX}": (95, 20),
    f"p99{SUFFIX}": (99, 100),
}
BLOCKS, MOST_REQUESTS = 6, 1000
# Seconds of one gate: about so many, and at most.
USUAL, MOST = 1.5, 4.0
WARM_UP = 3
# Requests differ, as those of callers do, within this many rows in all.
REQUESTS, ROWS = 16, 20_000

Clock = Callable[[], float]
Ask = Callable[[], None]

SHARED = (
    "measured in the pod of the run, which shares its machine with others: compare it with the champion's "
    "(against: Champion, maxRatio), which is measured beside it"
)


@dataclass(frozen=True)
class Timed:
    """The percentile of each block: a row per model, a column per block. `requests`: of each block."""

    table: Floats
    requests: int


def measure(gate: Gate, world: World, clock: Clock = time.perf_counter) -> Evidence:
    """A percentile of the seconds that a request takes; against the champion the change, or with maxRatio the ratio."""
    if gate.metric not in PERCENTILES:
        raise Unmeasurable(
            "UnknownMetric", f"{gate.metric} is not measured: use one of {listing([*PERCENTILES])}"
        )
    if gate.sensitive_feature is not None or gate.split == "Train" or gate.against == "Baseline":
        raise Unmeasurable("MetricUndefined", "a latency can be compared with that of the Champion only")
    models, name = [world.model], None
    if gate.against is not None:
        rival = champion.compared(world)
        models, name = [*models, *([rival.model] if rival.model else [])], rival.name
    with ExitStack() as stack:
        stack.enter_context(memory.bounded(memory.BYTES, "A request"))
        asks = [_ask(stack.enter_context(_bounded(model)), gate, world) for model in models]
        found = blocks(asks, *PERCENTILES[gate.metric], clock)
    own, samples = found.table[0], BLOCKS * found.requests
    if name is None:
        low, value, high = _ends(own)
        return Evidence(gate.name, gate.metric, value, low, high, samples=samples, message=SHARED)
    other = found.table[1]
    low, value, high = _ends(own / other if gate.max_ratio is not None else own - other)
    return Evidence(
        gate.name,
        gate.metric,
        value,
        low,
        high,
        measured=float(np.median(own)),
        reference=float(np.median(other)),
        against=name,
        samples=samples,
    )


def blocks(asks: Sequence[Ask], percentile: int, least: int, clock: Clock) -> Timed:
    """The percentile of each block of requests to each model. `least`: requests that a block needs.

    Raises: Unmeasurable if that would take too long."""
    for ask in asks:
        ask()
    one = sum(float(np.median([_seconds(ask, clock) for _ in range(WARM_UP)])) for ask in asks)
    if one * BLOCKS * least > MOST:
        raise Unmeasurable(
            "TooSlow",
            f"a request takes about {one / len(asks):.3g} s: {BLOCKS * least} of them, which it takes to measure the "
            f"{percentile}th percentile, are more than {MOST:g} s. Use a lower percentile or fewer rows",
        )
    requests = int(np.clip(USUAL / (BLOCKS * max(one, 1e-9)), least, MOST_REQUESTS))
    table = np.empty((len(asks), BLOCKS))
    collecting = gc.isenabled()
    gc.disable()
    try:
        for block in range(BLOCKS):
            # Each model is first in every other block.
            for place in range(len(asks))[:: -1 if block % 2 else 1]:
                times = [_seconds(asks[place], clock) for _ in range(requests)]
                table[place, block] = np.percentile(times, percentile)
    finally:
        if collecting:
            gc.enable()
    return Timed(table, requests)


def _seconds(ask: Ask, clock: Clock) -> float:
    began = clock()
    ask()
    return clock() - began


def _ends(numbers: Floats) -> tuple[float, float, float]:
    low, middle, high = np.quantile(numbers, [0, 0.5, 1])
    return float(low), float(middle), float(high)


@contextmanager
def _bounded(model: Loaded) -> Iterator[Loaded]:
    """The model, whose runs end soon after the time of a gate is over."""
    with session.limited(model.model, 2 * MOST) as limited:
        yield replace(model, model=limited)


def _ask(model: Loaded, gate: Gate, world: World) -> Ask:
    """A function that sends the model the next request, of as many rows as the gate says."""
    if gate.rows > 1 and any(tensor.shape[0] == 1 for tensor in model.feed.inputs):
        raise Unmeasurable("RowsUnsupported", f"a model takes one row at once, not {gate.rows}: remove rows")
    mask = slices.rows_of(gate, world)
    frame = world.frame if mask is None else world.frame[mask]
    requests = max(1, min(REQUESTS, ROWS // gate.rows))
    rows = np.arange(requests * gate.rows) % len(frame)
    feeds = [model.feed.feed(frame.iloc[part]) for part in np.split(rows, requests)]
    model.model.run(feeds[0])
    run, turns = model.model.session.run, itertools.cycle(feeds)

    def ask() -> None:
        try:
            run(None, next(turns))
        except session.FAULTS as error:
            raise Unmeasurable("ModelFailed", f"a model cannot answer a request: {error}") from error

    return ask
