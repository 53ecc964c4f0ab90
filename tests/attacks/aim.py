"""What an attack aims at, and the list of all attacks, which the modules of attacks add themselves to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from attacks.wire import ATTACKER, Engine, How, Script

PLAIN = How()
AGAIN = How(again=True)
H2 = How(http2=True, again=True)


@dataclass(frozen=True)
class Aim:
    """A server, and the connections that are planned at it."""

    engine: Engine
    ports: Mapping[str, int]

    def http(self, script: Script, how: How = PLAIN, count: int = 1) -> None:
        self.engine.plan(self.ports["http"], script, how, count)

    def grpc(self, script: Script, how: How = H2, count: int = 1) -> None:
        self.engine.plan(self.ports["grpc"], script, how, count)

    def admin(self, script: Script, how: How = PLAIN, count: int = 1) -> None:
        self.engine.plan(self.ports["admin"], script, how, count)


@dataclass(frozen=True)
class Attack:
    """One attack: `plan` prepares its bytes and plans its connections, which are made when it begins."""

    name: str
    title: str
    model: str
    plan: Callable[[Aim], None]


ATTACKS: dict[str, Attack] = {}


def attack(title: str, model: str = "narrow") -> Callable[[Callable[[Aim], None]], Callable[[Aim], None]]:
    """Lists a function as an attack."""

    def listed(plan: Callable[[Aim], None]) -> Callable[[Aim], None]:
        name = plan.__name__.replace("_", "-")
        ATTACKS[name] = Attack(name, title, model, plan)
        return plan

    return listed


def addresses(count: int) -> list[str]:
    """So many addresses of attackers."""
    third, fourth = ATTACKER.split(".")[2:]
    return [f"127.0.{int(third) + 1 + number // 250}.{int(fourth) + number % 250}" for number in range(count)]
