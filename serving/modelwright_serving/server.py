"""Puts the parts together and walks through a server's life: listen, load, serve, drain."""

import asyncio
import gc
import signal
import threading
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from time import perf_counter

from modelwright_serving import __version__, admin, golden, logs, termination
from modelwright_serving.batch import Bounds, Executor
from modelwright_serving.drain import ServedPort, drain
from modelwright_serving.feedback.feedback import Feedback
from modelwright_serving.feedback.keys import KeysWatch
from modelwright_serving.host import Host
from modelwright_serving.http import inference, paths
from modelwright_serving.http.connection import Connection
from modelwright_serving.http.feedback import FeedbackEndpoint
from modelwright_serving.limits import ADMIN, Limits
from modelwright_serving.listening import Port
from modelwright_serving.memory import Memory
from modelwright_serving.metrics import Metrics
from modelwright_serving.model import LoadedModel, load
from modelwright_serving.predictions import Predictions
from modelwright_serving.rpc.decoding import Target
from modelwright_serving.rpc.delegated import PATH
from modelwright_serving.rpc.service import RpcService
from modelwright_serving.settings import Settings
from modelwright_serving.state import Serving, State
from modelwright_serving.traffic.default_time import DefaultTime
from modelwright_serving.traffic.delegation import Traffic
from modelwright_serving.traffic.watch import Watch
from modelwright_serving.watching import reading
from modelwright_serving.watching.reading import Reading
from modelwright_serving.watching.watch import Watch as RowWatch
from modelwright_serving.worker import Worker

_ENDING = (signal.SIGTERM, signal.SIGINT)


async def serve(settings: Settings) -> bool:
    """Run until SIGTERM has been obeyed; StepError if the model cannot be served, OSError if a port cannot.

    False if ONNX Runtime is still at work on a thread.
    """
    server = Server(settings, asyncio.get_running_loop())
    await server.run()
    return server.quiet


class Server:
    """One process, one model."""

    def __init__(self, settings: Settings, loop: asyncio.AbstractEventLoop) -> None:
        self._settings = settings
        self._loop = loop
        self._state = State(settings.stuck_seconds)
        self._metrics = Metrics(settings.name, settings.version)
        self._metrics.ready = lambda: self._state.ready
        self._feedback = Feedback(
            wanted=settings.feedback_keys is not None, max_age_seconds=settings.feedback_max_age
        )
        self._metrics.feedback = self._feedback
        tokens = self._feedback.tokens if self._feedback.wanted else None
        self._infer = inference.Inference(
            self._state, settings.name, settings.version, self._metrics.http, tokens
        )
        routes = paths.routes(
            self._state,
            self._infer,
            FeedbackEndpoint(self._state, self._feedback, loop),
            self._metrics,
            settings.name,
            settings.version,
            __version__,
        )
        memory = Memory(settings.memory)
        self._metrics.memory = memory
        self._http = Host(partial(Connection, routes), _limits(settings), loop, memory)
        self._rpc = RpcService(
            self._state,
            Target(settings.name, settings.version),
            __version__,
            self._metrics,
            _limits(settings),
            tokens,
        )
        self._grpc = Host(self._rpc.connections(), _limits(settings), loop, memory, "grpc")
        self._watch = RowWatch(loop, self._feedback, (self._metrics.http, self._metrics.grpc))
        self._feedback.window = self._watch.window
        admin_routes = admin.routes(self._metrics, self._state, self._watch, loop)
        self._admin = Host(partial(Connection, admin_routes), ADMIN, loop)
        self._traffic = Traffic(
            loop, self._metrics.traffic, memory, DefaultTime(self._metrics.durations).seconds
        )
        self._traffic.subscribe(self._infer.follow)
        self._traffic.subscribe(self._rpc.follow)
        routes.post(PATH.decode(), self._rpc.connect())
        self._stopping = asyncio.Event()
        self._loaded_or_stopped = asyncio.Event()
        self._loading = False

    async def run(self) -> None:
        """Listen, load, serve, and drain once told to stop."""
        with ExitStack() as stack:
            http = await self._open(self._http, self._settings.http_port, stack)
            grpc = await self._open(self._grpc, self._settings.grpc_port, stack)
            admin_port = await self._open(self._admin, self._settings.admin_port, stack)
            for number in _ENDING:
                self._loop.add_signal_handler(number, self._stop)
                stack.callback(self._loop.remove_signal_handler, number)
            # Whatever started this process may have blocked them, and a program inherits that.
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
            logs.event(
                "listening",
                http_port=http.number,
                grpc_port=grpc.number,
                admin_port=admin_port.number,
            )
            if self._settings.traffic:
                watch = Watch(
                    self._loop,
                    self._settings.traffic,
                    self._traffic.follow,
                    self._metrics.traffic.count_rule_error,
                )
                stack.callback(watch.stop)
                watch.start()
            if self._settings.feedback_keys is not None:
                keys = KeysWatch(
                    self._loop, self._settings.feedback_keys, self._settings.name, self._feedback.use
                )
                stack.callback(keys.stop)
                keys.start()
            await self._load_unless_stopped()
            await self._stopping.wait()
            logs.event("draining")
            finished = await drain(
                (ServedPort(self._http, http), ServedPort(self._grpc, grpc)),
                self._settings.drain_delay_seconds,
                self._settings.drain_seconds,
            )
            termination.leave(self._settings.termination_log, self._watch.last())
            logs.event("stopped", everything_answered=finished)

    @property
    def quiet(self) -> bool:
        """Whether no thread loads or runs the model."""
        serving = self._state.serving
        return not self._loading and (serving is None or serving.executor.busy_seconds() == 0)

    async def _open(self, host: Host, number: int, stack: ExitStack) -> Port:
        port = await Port.open(host, self._settings.host, number)
        stack.callback(host.stop)
        stack.callback(port.drop)
        return port

    def _stop(self) -> None:
        self._state.draining = True
        self._rpc.changed()
        self._stopping.set()
        self._loaded_or_stopped.set()

    async def _load_unless_stopped(self) -> None:
        """Load beside the event loop, which answers health checks meanwhile."""
        started = perf_counter()
        loading = _in_daemon(self._loop, self._settings)
        loading.add_done_callback(lambda _: self._loaded_or_stopped.set())
        await self._loaded_or_stopped.wait()
        self._loading = not loading.done()
        if loading.done():
            model, profile = loading.result()
            self._install(model, perf_counter() - started, profile)

    def _install(self, model: LoadedModel, seconds: float, profile: Reading) -> None:
        settings = self._settings
        model = replace(model, signature=replace(model.signature, max_rows=settings.max_rows))
        executor = Executor(
            model,
            Worker(self._loop),
            self._loop,
            self._metrics,
            Bounds(settings.queue_limit, settings.queue_seconds, settings.run_seconds),
            self._rpc.changed,
            self._watch,
        )
        serving = Serving(model, executor)
        predictions = Predictions.of(model.signature, profile.predictions)
        self._feedback.follow(model.digest, predictions)
        self._metrics.predicted.follow(predictions)
        self._infer.install(serving)
        self._metrics.digest = model.digest
        self._metrics.load_seconds = seconds
        self._metrics.queue_length = lambda: len(executor)
        self._rpc.install(serving)
        self._watch.install(model.digest, profile)
        if profile.problem:
            logs.event("profile ignored", reason=profile.reason, problem=profile.problem)
        self._state.serving = serving
        self._rpc.changed()
        _freeze_heap()
        logs.event(
            "ready",
            digest=model.digest,
            joins_rows=model.joins_rows,
            reason=model.sharing.reason,
            load_seconds=round(seconds, 4),
        )


def _freeze_heap() -> None:
    """Spare the collector what stays until the end: looking through it took 20 ms, in which nothing was answered."""
    gc.collect()
    gc.freeze()


def _in_daemon(
    loop: asyncio.AbstractEventLoop, settings: Settings
) -> asyncio.Future[tuple[LoadedModel, Reading]]:
    """Load on a thread that does not keep the process alive: SIGTERM must not wait for a large model."""
    future: asyncio.Future[tuple[LoadedModel, Reading]] = loop.create_future()

    def settle(result: tuple[LoadedModel, Reading] | Exception) -> None:
        if future.cancelled():
            return
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)

    def work() -> None:
        result: tuple[LoadedModel, Reading] | Exception
        try:
            model = load(
                settings.model,
                settings.digest,
                golden.beside(settings.model),
                memory=settings.model_memory,
                share_rows=settings.share_rows,
            )
            result = model, reading.read(reading.beside(settings.model), model.signature)
        except Exception as failure:  # noqa: BLE001 - a defect of ours ends the process, too, instead of this thread alone
            result = failure
        loop.call_soon_threadsafe(settle, result)

    threading.Thread(target=work, name="load", daemon=True).start()
    return future


def _limits(settings: Settings) -> Limits:
    return Limits(
        body=settings.max_body,
        connections=settings.max_connections,
        idle_seconds=settings.idle_timeout,
        head_seconds=settings.read_timeout,
        body_seconds=6 * settings.read_timeout,
    )
