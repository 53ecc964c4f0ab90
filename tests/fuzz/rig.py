"""The server's real parts in one process, without sockets and without a clock."""

from __future__ import annotations

import asyncio
import tempfile
import time
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import cast

from fuzz import counted
from fuzz.engine import Finding
from fuzz.transport import Recorder
from fuzz.turns import Turns
from modelwright_serving import settings
from modelwright_serving.batch import Executor
from modelwright_serving.feedback.keys import Key, Keys
from modelwright_serving.host import Host
from modelwright_serving.limits import Limits
from modelwright_serving.model import LoadedModel, load
from modelwright_serving.pace import Pace
from modelwright_serving.predictions import Predictions
from modelwright_serving.server import Server

MODEL = "churn"


class Here(Pace):
    """Every run happens on the event loop."""

    def is_quick(self, rows: int) -> bool:
        return True


class Elsewhere(Pace):
    """Every run is the worker's."""

    def is_quick(self, rows: int) -> bool:
        return False


class Rig:
    """A server that has loaded a model; time passes and work is done only when told to.

    Private parts of the server are used so that the wiring that is fuzzed is the wiring that is served.
    """

    def __init__(self, model: bytes, *options: str, by_worker: bool = False) -> None:
        self.turns = Turns()
        self.loop = cast("asyncio.AbstractEventLoop", self.turns)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            path.write_bytes(model)
            chosen = settings.parse(["--model", str(path), "--name", MODEL, *options])
            self._server = Server(chosen, self.loop)
            # How long a run takes must not decide where it happens: inputs would not be the same twice.
            self.model: LoadedModel = replace(load(path, None), pace=Elsewhere() if by_worker else Here())
        with redirect_stdout(StringIO()):
            self._server._install(self.model, 0.0, counted.reading(path, self.model.signature))
        self._server._watch.asked(None)
        for host in (self._server._http, self._server._grpc, self._server._admin):
            host.stop()

    def take_feedback(self, key: bytes, predictions: Predictions) -> None:
        """Takes tokens that are signed with this key, for predictions that are read so. The option is needed, too."""
        feedback, signing = self._server._feedback, Key(key, MODEL)
        feedback.use(Keys(signing, (signing,)))
        feedback.follow(self.model.digest, predictions)

    @property
    def limits(self) -> Limits:
        """Those that the options have set."""
        return self._server._http.limits

    def http(self, limits: Limits) -> Host:
        """An HTTP port."""
        return Host(self._server._http._make, limits, self.loop)

    def grpc(self, limits: Limits) -> Host:
        """A gRPC port."""
        return Host(self._server._grpc._make, limits, self.loop)

    def settle(self) -> None:
        """Does all work, the worker's too."""
        self.turns.settle()
        while self._server._metrics.queue_length() or self._executor.busy_seconds():
            time.sleep(0.0001)
            self.turns.settle()

    @property
    def watchers(self) -> int:
        """Callers that want to hear when the server's health changes."""
        return len(self._server._rpc._health._watchers)

    def lose(self, host: Host, *connections: tuple[asyncio.Protocol, Recorder]) -> None:
        """The network takes connections away; Finding if the server keeps anything of them."""
        for connection, transport in connections:
            transport.closed = transport.ended = True
            connection.connection_lost(None)
        self.settle()
        host.stop()
        counted.check(self._server._watch)
        if host.memory.used != 0:
            raise Finding(f"{host.memory.used} bytes of bodies stay counted")
        if len(host):
            raise Finding("a connection is not forgotten")
        if self.watchers:
            raise Finding("a watcher is not forgotten")
        for protocol in (self._server._metrics.http, self._server._metrics.grpc):
            if protocol.in_flight != 0:
                raise Finding(f"{protocol.in_flight} requests stay in flight")

    @property
    def _executor(self) -> Executor:
        serving = self._server._state.serving
        assert serving is not None
        return serving.executor
