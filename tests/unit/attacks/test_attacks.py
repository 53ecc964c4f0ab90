"""The harness of the attacks: a server as its pod runs it, connections that count how they end, and verdicts."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attacks import document
from attacks.answers import COMPARED
from attacks.catalogue import ATTACKS
from attacks.group import MemoryGroup
from attacks.measure import Sample, times
from attacks.pod import Probe, pod, read
from attacks.report import report
from attacks.results import Attacked, Cost, Effect, Times
from attacks.wire import Engine, How, Line
from unit.bench.given import MACHINE


def some(p99: float, *, highest: float = 0.1, **failed: int) -> Times:
    return Times(requests=100, p50=0.001, p99=p99, highest=highest, failed=failed)


def effect(name: str = "rapid-reset", **changed: Any) -> Effect:
    given: dict[str, Any] = {
        "name": name,
        "title": ATTACKS[name].title,
        "model": "narrow",
        "seconds": 3.0,
        "cost": Cost(sent=2_000_000, received=0, connections=1, ends={"closed": 1}),
        "killed": False,
        "resident_before_mib": 70,
        "resident_mib": 80,
        "group_mib": None,
        "cpu_seconds": 1.0,
        "quiet": {"http": some(0.002), "grpc": some(0.002)},
        "during": {"http": some(0.004), "grpc": some(0.004), "liveness": some(0.01)},
    }
    return Effect(**(given | changed))


def attacked(*effects: Effect) -> Attacked:
    return Attacked(
        date="2026-01-01", commit="abc", machine=MACHINE, limit_mib=512, limited=True, effects=list(effects)
    )


@pytest.mark.parametrize(
    ("changed", "broken"),
    [
        ({}, []),
        ({"killed": True, "resident_mib": 301}, ["killed", "memory"]),
        ({"during": {"http": some(0.0101)}}, ["p99"]),
        ({"during": {"grpc": some(0.002, wrong=1)}}, ["failed"]),
        ({"during": {"readiness": some(0.6, highest=0.6)}}, ["probe"]),
        ({"during": {"readiness": some(0.1, timeout=1)}}, ["probe"]),
    ],
)
def test_each_bound_that_is_broken_is_named(changed: dict[str, Any], broken: list[str]) -> None:
    assert effect(**changed).broken() == broken


def test_the_table_shows_what_an_attack_costs_and_does() -> None:
    shown = report(attacked(effect(), effect("gzip-rows", killed=True)))

    assert "| 2 | 1 | closed | 80 | 0.5 | 1.0x 2.0x, 1.0x 2.0x | 0 | 100 | held |" in shown
    assert "the server is killed" in shown
    assert "1 of 2 attacks stay within the bounds" in shown


def test_a_request_counts_where_it_began() -> None:
    samples = [
        Sample("http", 1.0, 5.0, "ok"),
        Sample("http", 2.0, 0.1, "503"),
        Sample("http", 3.0, 0.1, "ok"),
    ]

    assert times(samples, 1.5, 3.0)["http"] == Times(
        requests=1, p50=0.1, p99=0.1, highest=0.1, failed={"503": 1}
    )


def test_only_a_run_of_all_attacks_gets_into_the_document(tmp_path: Path) -> None:
    results, page = tmp_path / "all.json", tmp_path / "serving.md"
    page.write_text("before {} {} after".format(*document.MARKS))
    results.write_text(attacked(effect()).model_dump_json())
    assert document.main(results, page) == 1

    whole = attacked(*map(effect, ATTACKS))
    results.write_text(whole.model_dump_json())
    assert document.main(results, page) == 0
    assert report(whole) in page.read_text()


def test_a_server_gets_the_options_that_its_pod_gives_it() -> None:
    found = pod()

    assert found.options[:1] == ("--model-version",)
    assert not {"--model", "--http-port", "--traffic", "/model/model.onnx"} & set(found.options)
    assert [one.name for one in found.probes] == ["readiness", "liveness"]
    assert found.memory == 512 * 2**20


def test_options_without_a_value_and_other_limits_are_read() -> None:
    probe = {"httpGet": {"port": "admin", "path": "/healthz"}}
    found = read(
        Path(),
        {
            "command": ["modelwright-serving", "--name", "churn", "--quiet", "--max-rows", "9"],
            "readinessProbe": probe,
            "livenessProbe": probe,
            "resources": {"limits": {"memory": "1Gi"}},
        },
    )

    assert found.options == ("--quiet", "--max-rows", "9")
    assert found.probes[1] == Probe("liveness", "admin", "/healthz")
    assert found.memory == 2**30


@pytest.mark.parametrize(("later", "ended"), [(0.30000001, "other bits"), (0.4, "wrong")])
def test_an_answer_that_differs_is_wrong_or_rounded(later: float, ended: str) -> None:
    first, other = (b'{"outputs":[{"name":"y","data":[%f, %.8f]}]}' % (1.0, y) for y in (0.3, later))

    assert COMPARED["http"](first, other) == ended


def test_an_attacker_counts_what_it_sends_and_how_it_ends() -> None:
    """A peer that answers twice, the second time in pieces, and closes."""

    def script(line: Line) -> Iterator[bytes | float]:
        yield b"ask" * 100
        while line.done < 2:
            yield 0.001

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_answers_twice, args=(listener,))
        thread.start()
        engine = Engine(10.0)
        engine.plan(listener.getsockname()[1], script, How())
        engine.run()
        thread.join()

    assert (engine.sent, engine.connections) == (300, 1)
    assert engine.ends["413"] == engine.ends["503"] == engine.ends["closed"] == 1


def _answers_twice(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        assert len(connection.recv(300, socket.MSG_WAITALL)) == 300
        connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\nHTTP/1.1 5")
        connection.sendall(b"03 Busy\r\n\r\n")


def test_a_process_that_takes_more_than_its_group_may_is_killed() -> None:
    group = MemoryGroup.made(32 * 2**20)
    if group is None:
        pytest.skip("no control group can be made here")
    greedy = "data = bytearray(64 * 2**20); data[::4096] = bytes(len(data[::4096]))"
    joining = ["sh", "-c", 'echo $$ > "$0" && exec "$@"', str(group.joined), sys.executable, "-c", greedy]
    try:
        assert subprocess.run(joining, check=False).returncode == -signal.SIGKILL
        assert group.peak_mib() > 30
    finally:
        group.remove()
