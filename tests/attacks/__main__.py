"""Attacks a server on this machine, attack by attack, with honest callers beside. Run by `make attack`.

Prints a table as Markdown and leaves it, and the numbers as JSON, in .cluster/attacks. A bound that an attack breaks
is reported and is no error.
"""

from __future__ import annotations

import argparse
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from attacks.catalogue import ATTACKS
from attacks.group import MemoryGroup
from attacks.measure import effect
from attacks.pod import AttackError, Pod, pod
from attacks.report import line, report
from attacks.results import Attacked, Effect
from bench.machine import commit, machine
from bench.progress import say
from cluster.packages import install_missing
from cluster.paths import LOCAL, REPOSITORY

FOLDER = LOCAL / "attacks"
SECONDS = 3.0


def measure(names: list[str], from_pod: Pod, seconds: float) -> Attacked:
    """These attacks, one after the other."""
    group = MemoryGroup.made(from_pod.memory)
    if group:
        group.remove()
    here = machine()
    effects: list[Effect] = []
    for name in names:
        found = effect(ATTACKS[name], from_pod, seconds)
        say(line(found, found.quiet))
        effects.append(found)
    return Attacked(
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        commit=commit(from_pod.tree),
        machine=here,
        limit_mib=from_pod.memory // 2**20,
        limited=group is not None,
        effects=effects,
    )


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="attacks", description=__doc__)
    parser.add_argument("attacks", nargs="*", metavar="ATTACK", help="default: all; see --list")
    parser.add_argument("--list", action="store_true", help="print the attacks' names")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each attack; default: %(default)g")
    parser.add_argument("--tree", type=Path, default=REPOSITORY, help="the checkout whose server is attacked")
    parser.add_argument("--name", default="", help="of the files in .cluster/attacks")
    options = parser.parse_args()
    if options.list:
        print("\n".join(f"{name:26} {one.title}" for name, one in ATTACKS.items()))
        return 0
    if unknown := set(options.attacks) - set(ATTACKS):
        parser.error(f"no such attack: {', '.join(sorted(unknown))}")
    if (os.cpu_count() or 1) < 2:
        parser.error("two cores are needed: one for the server, one for the attacker")
    install_missing({"taskset": "util-linux"})
    try:
        found = measure(options.attacks or list(ATTACKS), pod(options.tree.resolve()), options.seconds)
    except AttackError as error:
        sys.stderr.write(f"the attacks have failed: {error}\n")
        return 1
    FOLDER.mkdir(parents=True, exist_ok=True)
    name = options.name or ("some" if options.attacks else "all")
    (FOLDER / f"{name}.json").write_text(found.model_dump_json(indent=1))
    (FOLDER / f"{name}.md").write_text(report(found))
    sys.stdout.write(report(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
