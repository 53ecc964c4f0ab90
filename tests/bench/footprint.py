"""What a server takes: the time from exec to its first inference answer, and memory after the loads."""

from __future__ import annotations

import time
from collections.abc import Mapping

from bench import proc
from bench.bodies import as_json
from bench.contenders import Contender, Starter
from bench.model import Model
from bench.progress import say
from bench.results import Footprint


def start_seconds(start: Starter, model: Model) -> float:
    """From exec to the first answer. Peers are asked whether they are ready every 50 ms, ours every millisecond."""
    first = as_json(model, model.rows[:1])
    began = time.perf_counter()
    with start(model.path, first):
        return time.perf_counter() - began


def footprints(
    model: Model,
    memory: Mapping[str, tuple[float, float]],
    starters: Mapping[str, Starter],
    starts: Mapping[str, int],
) -> list[Footprint]:
    """Start each server so many times more; one that is already in the page cache, as after any first start."""
    found = []
    for name, count in starts.items():
        seconds = [start_seconds(starters[name], model) for _ in range(count)]
        resident, proportional = memory[name]
        say(f"{name}: first answer after {min(seconds):.2f} s, {resident:.0f} MiB")
        found.append(
            Footprint(
                contender=name,
                start_seconds=seconds,
                resident_mib=resident,
                proportional_mib=proportional,
            )
        )
    return found


def memory_of(servers: Mapping[str, Contender]) -> dict[str, tuple[float, float]]:
    """Resident and proportional MiB of each server, now."""
    return {
        name: (proc.resident_mib(server.pid), proc.proportional_mib(server.pid))
        for name, server in servers.items()
    }
