"""Counts what the server does, cheaply per request, and renders it for Prometheus when it is scraped."""

from collections import Counter
from collections.abc import Callable, Iterator
from time import time
from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from modelwright_serving.feedback.feedback import Feedback, Outcome
from modelwright_serving.histogram import DURATION_BOUNDS, FINE_DURATION_BOUNDS, Histogram
from modelwright_serving.memory import Memory
from modelwright_serving.oip.documents import Totals
from modelwright_serving.traffic.counts import TrafficCounts
from modelwright_serving.watching.predicted import Predicted

ROW_BOUNDS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0)
_LABELS = ("model", "version")
# Every bound that a request can meet, by its name in `OipError.reason`.
REFUSALS = ("QueueFull", "QueueAge", "RunTime", "Rows", "DocumentSize", "AnswerSize", "ModelMemory")
# Shown from the first scrape on: Prometheus sees no increase in a series that begins with 1.
SHOWN_CODES = {
    "http": ("200", "500", "503", "504"),
    "grpc": ("OK", "DEADLINE_EXCEEDED", "INTERNAL", "UNAVAILABLE"),
}

Code = TypeVar("Code", int, str)


class ProtocolMetrics(Generic[Code]):
    """What one protocol's transport counts; a code is an HTTP status or the name of a gRPC status."""

    __slots__ = (
        "codes",
        "durations",
        "failed_seconds",
        "in_flight",
        "success",
        "unseen",
        "unseen_durations",
        "unseen_requests",
    )

    def __init__(self, success: Code) -> None:
        self.success: Code = success
        self.codes: Counter[Code] = Counter()
        self.durations = Histogram(FINE_DURATION_BOUNDS, DURATION_BOUNDS)
        self.failed_seconds = 0.0
        self.in_flight = 0
        # Those of `codes` and `durations` whose answers no caller got.
        self.unseen: Counter[Code] = Counter()
        self.unseen_requests = 0
        self.unseen_durations = Histogram(DURATION_BOUNDS)

    @property
    def succeeded(self) -> int:
        return self.codes[self.success]

    def done(self, code: Code, seconds: float) -> None:
        self.in_flight -= 1
        self.codes[code] += 1
        self.durations.observe(seconds)
        if code != self.success:
            self.failed_seconds += seconds

    def refused(self, code: Code) -> None:
        """Answered without having been let in."""
        self.codes[code] += 1

    def remained_unseen(self, code: Code, seconds: float | None = None) -> None:
        """What was `done` in so many seconds, or `refused`, was for another server of the model alone."""
        self.unseen[code] += 1
        self.unseen_requests += 1
        if seconds is not None:
            self.unseen_durations.observe(seconds)

    def abandoned(self) -> None:
        """The caller went away before its answer: neither a success nor a failure."""
        self.in_flight -= 1


def _start(process: ProcessCollector) -> float:
    """When this process began: Unix time. 0 if the system does not say."""
    samples = (sample for metric in process.collect() for sample in metric.samples)
    return next((sample.value for sample in samples if sample.name == "process_start_time_seconds"), 0.0)


class Metrics(Collector):
    """All numbers of this process. Everything runs on the event loop, so nothing is locked."""

    def __init__(self, model: str, version: str) -> None:
        self._labels = (model, version)
        self.http = ProtocolMetrics(200)
        self.grpc = ProtocolMetrics("OK")
        self.batch_rows = Histogram(ROW_BOUNDS)
        self.waits = Histogram(DURATION_BOUNDS)
        self.run_durations = Histogram(DURATION_BOUNDS)
        self.decoding = 0.0  # seconds
        self.encoding = 0.0
        self.infer_seconds = 0.0  # of each request's run, summed over the requests
        self.inferred = 0
        self.rows = 0
        self.last_run = 0.0
        self.refusals: Counter[str] = Counter(dict.fromkeys(REFUSALS, 0))
        self.traffic = TrafficCounts(dict(zip(_LABELS, self._labels, strict=True)))
        self.memory = Memory(0)
        self.feedback = Feedback(wanted=False, max_age_seconds=0)
        self.predicted = Predicted()
        self.digest = ""
        self.load_seconds: float | None = None
        self.queue_length: Callable[[], int] = lambda: 0
        self.ready: Callable[[], bool] = lambda: False
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        self.started = _start(ProcessCollector(registry=self._registry))

    def render(self) -> bytes:
        return generate_latest(self._registry)

    def waited(self, requests: int, seconds: float) -> None:
        """Requests that began together have waited so long, all in all."""
        self.waits.observe(seconds / requests, requests)

    def ran(self, rows: int, requests: int, seconds: float) -> None:
        """One run of the model, for so many requests."""
        self.rows += rows
        self.batch_rows.observe(rows)
        self.run_durations.observe(seconds)
        self.infer_seconds += requests * seconds
        self.inferred += requests
        self.last_run = time()

    def durations(self) -> Histogram:
        """Those of all requests, whatever their protocol."""
        return self.http.durations + self.grpc.durations

    def totals(self) -> Totals:
        """Everything so far, over all protocols."""
        protocols = (self.http, self.grpc)
        succeeded = sum(counted.succeeded for counted in protocols)
        failed_seconds = sum(counted.failed_seconds for counted in protocols)
        return Totals(
            succeeded=succeeded,
            succeeded_seconds=sum(counted.durations.total for counted in protocols) - failed_seconds,
            failed=sum(counted.codes.total() for counted in protocols) - succeeded,
            failed_seconds=failed_seconds,
            rows=self.rows,
            runs=self.batch_rows.count,
            queued=self.waits.count,
            queue_seconds=self.waits.total,
            inferred=self.inferred,
            decode_seconds=self.decoding,
            infer_seconds=self.infer_seconds,
            encode_seconds=self.encoding,
            last_run=self.last_run,
        )

    def collect(self) -> Iterator[Metric]:
        yield from self._requests()
        yield from self._batches()
        yield from self._model()
        yield from self.traffic.collect()
        if self.feedback.wanted:
            yield self._feedback()

    def _requests(self) -> Iterator[Metric]:
        total = CounterMetricFamily(
            "modelwright_requests",
            "Inference requests answered, by HTTP status or gRPC status name.",
            labels=(*_LABELS, "protocol", "code"),
        )
        durations = HistogramMetricFamily(
            "modelwright_request_duration_seconds",
            "From the last byte of an inference request to its answer.",
            labels=(*_LABELS, "protocol"),
        )
        in_flight = GaugeMetricFamily(
            "modelwright_requests_in_flight",
            "Inference requests read in full and not answered yet.",
            labels=(*_LABELS, "protocol"),
        )
        unseen = CounterMetricFamily(
            "modelwright_unseen_requests",
            "Of modelwright_requests, those whose answers no caller got: copies for comparison, and requests of "
            "another revision that this one failed.",
            labels=(*_LABELS, "protocol", "code"),
        )
        unseen_durations = HistogramMetricFamily(
            "modelwright_unseen_request_duration_seconds",
            "Of modelwright_request_duration_seconds, those whose answers no caller got.",
            labels=(*_LABELS, "protocol"),
        )
        for protocol, counted in (("http", self.http), ("grpc", self.grpc)):
            labels = (*self._labels, protocol)
            for family, codes in ((total, counted.codes), (unseen, counted.unseen)):
                counts = dict.fromkeys(SHOWN_CODES[protocol], 0) | {str(c): n for c, n in codes.items()}
                for code, count in sorted(counts.items()):
                    family.add_metric((*labels, code), count)
            counted.durations.add_to(durations, labels)
            counted.unseen_durations.add_to(unseen_durations, labels)
            in_flight.add_metric(labels, counted.in_flight)
        yield from (total, durations, unseen, unseen_durations, in_flight)

    def _batches(self) -> Iterator[Metric]:
        rows = CounterMetricFamily("modelwright_rows", "Rows that the model has predicted.", labels=_LABELS)
        rows.add_metric(self._labels, self.rows)
        yield rows
        batches = HistogramMetricFamily(
            "modelwright_batch_rows", "Rows per run of the model.", labels=_LABELS
        )
        self.batch_rows.add_to(batches, self._labels)
        yield batches
        yield from self._times()
        refusals = CounterMetricFamily(
            "modelwright_requests_refused",
            "Inference requests answered without a run because the server was too busy, by reason.",
            labels=(*_LABELS, "reason"),
        )
        for reason, count in (*self.refusals.items(), ("Memory", self.memory.refused)):
            refusals.add_metric((*self._labels, reason), count)
        yield refusals
        yield self._plain(
            "modelwright_queue_length", "Inference requests that wait for a run.", self.queue_length()
        )
        yield self._plain("modelwright_memory_bytes", "What callers make the server hold.", self.memory.used)

    def _times(self) -> Iterator[Metric]:
        waits = HistogramMetricFamily(
            "modelwright_queue_duration_seconds",
            "From the acceptance of an inference request to the decoding or the run that it waited for.",
            labels=_LABELS,
        )
        self.waits.add_to(waits, self._labels)
        runs = HistogramMetricFamily("modelwright_run_duration_seconds", "Runs of the model.", labels=_LABELS)
        self.run_durations.add_to(runs, self._labels)
        yield from (waits, runs)
        for name, what, seconds in (
            ("decode", "Decoding inference requests.", self.decoding),
            ("encode", "Encoding answers and handing them over.", self.encoding),
        ):
            total = CounterMetricFamily(f"modelwright_{name}_seconds", what, labels=_LABELS)
            total.add_metric(self._labels, seconds)
            yield total

    def _model(self) -> Iterator[Metric]:
        yield self._plain("modelwright_model_ready", "1 while the model takes traffic.", int(self.ready()))
        if self.load_seconds is not None:
            yield self._plain(
                "modelwright_model_load_duration_seconds",
                "Reading, checking and warming up.",
                self.load_seconds,
            )
        if self.digest:
            info = GaugeMetricFamily(
                "modelwright_model_info", "The model's bytes.", labels=(*_LABELS, "digest")
            )
            info.add_metric((*self._labels, self.digest), 1)
            yield info

    def _feedback(self) -> Metric:
        total = CounterMetricFamily(
            "modelwright_feedback",
            "Prediction tokens that came back with the truth, by what became of them.",
            labels=(*_LABELS, "outcome"),
        )
        for outcome in Outcome:
            total.add_metric((*self._labels, outcome.value), self.feedback.totals[outcome])
        return total

    def _plain(self, name: str, documentation: str, value: float) -> GaugeMetricFamily:
        gauge = GaugeMetricFamily(name, documentation, labels=_LABELS)
        gauge.add_metric(self._labels, value)
        return gauge
