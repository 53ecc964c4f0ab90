"""The command line: its commands and options, and the result of parsing them."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal, TypeAlias

from modelwright.api.base import DNS_LABEL, DNS_SUBDOMAIN
from modelwright.api.inferenceservice import NAME_LENGTH
from modelwright.api.requests import Action

PREFIXES = ("inferenceservice", "inferenceservices", "mwisvc", "inferenceservices.modelwright.dev")
UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}
LONGEST = 7 * 86400
WAIT = 30.0

ABOUT: dict[Action, str] = {
    "promote": "take the next step without a verdict; after the last one the canary takes over",
    "abort": "roll the canary back",
    "pause": "keep the canary at its step",
    "resume": "let a paused canary go on",
    "retry": "try a revision again that was rolled back, aborted or undone",
    "undo": "give the traffic back to the revision before, while it still runs; again: to the newer one",
}
EXITS = """exit codes:
  0    done; with --watch: the rollout ended well
  1    refused, or done by nobody; with --watch: it was rolled back
  2    the command line is wrong
  3    there is no such InferenceService, or Modelwright is not installed
  4    no kubeconfig, no permission, or no answer from the cluster
  5    not done in time: by the operator, or with --watch by the rollout
  130  ended by Ctrl-C
"""


Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


@dataclass(frozen=True)
class Place:
    """Names an InferenceService, and the cluster it is on."""

    name: str
    namespace: str | None = None
    context: str | None = None
    kubeconfig: Path | None = None


@dataclass(frozen=True)
class Show:
    """The command `status`: show a rollout, once or until it ends."""

    place: Place
    watch: bool = False
    output: Literal["text", "json"] = "text"
    timeout: float | None = None


@dataclass(frozen=True)
class Ask:
    """The other commands: write a request, and wait until the operator has handled it."""

    place: Place
    action: Action
    revision: str | None = None
    wait: bool = True
    timeout: float = WAIT


def parse(program: str, arguments: Sequence[str] | None = None) -> Show | Ask:
    """Returns the command. A wrong command line ends the process with a message and code 2."""
    given = parser(program).parse_args(arguments)
    place = Place(given.name, given.namespace, given.context, given.kubeconfig)
    if given.command == "status":
        return Show(place, given.watch, given.output, given.timeout)
    full = given.command == "promote" and given.full
    action: Action = "promote-full" if full else given.command
    return Ask(place, action, given.revision, given.wait, given.timeout)


def parser(program: str) -> argparse.ArgumentParser:
    """Returns the parser of the whole command line."""
    top = argparse.ArgumentParser(
        program,
        description="Shows and steers rollouts of Modelwright's InferenceServices.",
        epilog=EXITS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=version("modelwright"))
    groups = top.add_subparsers(required=True, metavar="rollout")
    rollout = groups.add_parser("rollout", help="show and steer a rollout", description="Rollouts.")
    commands = rollout.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _status(_command(commands, "status", "show how a rollout stands"))
    for action, about in ABOUT.items():
        _ask(_command(commands, action, about), action)
    return top


def _command(commands: Commands, name: str, about: str) -> argparse.ArgumentParser:
    """Adds a command with the arguments that all commands have."""
    command = commands.add_parser(
        name,
        help=about,
        description=f"{about[0].upper()}{about[1:]}.",
        epilog=EXITS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("name", metavar="NAME", type=_name, help="name of the InferenceService")
    command.add_argument("-n", "--namespace", type=_namespace, help="default: the context's, as with kubectl")
    command.add_argument("--context", help="context of the kubeconfig (default: the current one)")
    command.add_argument("--kubeconfig", type=Path, help="default: $KUBECONFIG, else ~/.kube/config")
    return command


def _status(command: argparse.ArgumentParser) -> None:
    command.add_argument("-w", "--watch", action="store_true", help="go on until the rollout ends")
    command.add_argument("-o", "--output", choices=("text", "json"), default="text", help="default: text")
    command.add_argument(
        "--timeout", type=_seconds, help="with --watch: give up after so long (30s, 5m, 1h); default: never"
    )


def _ask(command: argparse.ArgumentParser, action: Action) -> None:
    if action == "promote":
        command.add_argument("--full", action="store_true", help="past all steps, not just the next one")
    command.add_argument(
        "--revision", type=_revision, help="only if this is the revision that it would be done to"
    )
    command.add_argument(
        "--no-wait", dest="wait", action="store_false", help="do not wait for the operator to do it"
    )
    command.add_argument(
        "--timeout", type=_seconds, default=WAIT, help="how long to wait for it (default: 30s)"
    )


def _name(text: str) -> str:
    kind, slash, name = text.rpartition("/")
    if slash and kind not in PREFIXES:
        raise argparse.ArgumentTypeError(f"{kind!r} is no InferenceService: a rollout is one of those")
    if not re.fullmatch(DNS_SUBDOMAIN, name) or len(name) > 253:
        raise argparse.ArgumentTypeError(
            f"{name!r} cannot be a name: small letters, digits and dashes, at most {NAME_LENGTH}"
        )
    return name


def _namespace(text: str) -> str:
    return _label(text, "a namespace")


def _revision(text: str) -> str:
    return _label(text, "a revision")


def _label(text: str, what: str) -> str:
    if not re.fullmatch(DNS_LABEL, text) or len(text) > 63:
        raise argparse.ArgumentTypeError(f"{text!r} cannot be {what}: small letters, digits and dashes")
    return text


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)([smh]?)", text)
    if match is None or not 0 < float(match[1]) * UNITS[match[2]] <= LONGEST:
        raise argparse.ArgumentTypeError(f"{text!r} is no time: 30s, 5m or 1h, at most a week")
    return float(match[1]) * UNITS[match[2]]
