"""One hostile caller at a real server: it is refused, takes little memory, and callers beside it are answered."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from attacks import questions
from attacks.aim import Aim
from attacks.catalogue import ATTACKS
from attacks.honest import Asker, Grpc, Http, Probing, Sample, ask_on
from attacks.models import MODELS, Victim
from attacks.wire import Engine
from unit.serving.harness import Served, serving

# Of an attack at least, and of one that is never stopped.
SECONDS, PATIENCE = 1.0, 20.0
# Of the budget for what callers make the server hold, and as much again for what is at work on it.
GROWTH_MIB = 220

# How the attacker learns that it goes too far: at least one of these ends.
STOPPED = {
    "gzip-rows": ("413", "503"),
    "gzip-members": ("400", "413"),
    "gzip-noise": ("413", "503"),
    "wide-read": ("200", "413"),
    "rapid-reset": ("GOAWAY 11",),
    "trailers": ("GOAWAY 11",),
    "grpc-gzip": ("grpc-status 8", "gRPC answers"),
    "window-zero": ("RST_STREAM 11", "grpc-status 8", "gRPC answers"),
    "endless-loop": ("504",),
    "outliers": ("200",),
}


@pytest.mark.parametrize("name", list(STOPPED))
def test_an_attacker_is_stopped_and_the_callers_beside_it_are_answered(name: str, tmp_path: Path) -> None:
    def was_stopped() -> bool:
        return any(end.startswith(STOPPED[name]) for end in engine.ends)

    attack = ATTACKS[name]
    victim = MODELS[attack.model]()
    model = tmp_path / "model.onnx"
    model.write_bytes(victim.content)
    with serving(model, "--run-seconds=1") as served:
        served.wait_ready()
        began = time.monotonic()
        engine = Engine(PATIENCE, lambda: time.monotonic() > began + SECONDS and was_stopped())
        attack.plan(Aim(engine, ports(served)))
        before = resident_mib(served, "VmRSS:")
        with beside(served, victim) as found:
            engine.run()
        assert served.process.poll() is None
        assert resident_mib(served, "VmHWM:") - before < GROWTH_MIB

    assert [one for one in found if one[3] != "ok"] == []
    assert {one[0] for one in found} == {"http", "grpc", "probe"}
    assert was_stopped(), engine.ends


@contextmanager
def beside(served: Served, victim: Victim) -> Iterator[list[Sample]]:
    """Honest callers and a kubelet; their last requests are answered when the block has ended."""
    name, row = victim.input_name, victim.rows[:1]
    askers: dict[str, Asker] = {
        "http": Http(served.http_port, [questions.post(questions.document(name, row))]),
        "grpc": Grpc(served.grpc_port, [questions.message(name, row)]),
        "probe": Probing(served.admin_port, "/healthz"),
    }
    over = threading.Event()
    found: list[Sample] = []
    threads = [
        threading.Thread(target=ask_on, args=(who, asker, 0.01, lambda: not over.is_set(), found))
        for who, asker in askers.items()
    ]
    for thread in threads:
        thread.start()
    try:
        yield found
    finally:
        over.set()
        for thread in threads:
            thread.join()


def ports(served: Served) -> dict[str, int]:
    return {"http": served.http_port, "grpc": served.grpc_port, "admin": served.admin_port}


def resident_mib(served: Served, which: str) -> float:
    lines = Path(f"/proc/{served.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(which)) / 1024
