"""The command line: its commands and options, and the result of parsing them."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal, TypeAlias

from modelwright.api.base import DNS_LABEL, DNS_SUBDOMAIN, FILE_URI
from modelwright.api.inferenceservice import NAME_LENGTH
from modelwright.api.requests import Action

PREFIXES = ("inferenceservice", "inferenceservices", "mwisvc", "inferenceservices.modelwright.dev")
JOB_PREFIXES = ("trainingjob", "trainingjobs", "tj", "trainingjobs.modelwright.dev")
VERSION_PREFIXES = ("modelversion", "modelversions", "mv", "modelversions.modelwright.dev")
UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}
LONGEST = 7 * 86400
WAIT = 30.0
POD_WAIT = 120.0
MOST_REASON = 1024

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
  3    there is no such object, or Modelwright is not installed
  4    no kubeconfig, no permission, or no answer from the cluster
  5    not done in time: by the operator, or with --watch by the rollout
  130  ended by Ctrl-C
"""


Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


@dataclass(frozen=True)
class Place:
    """Names an object, and the cluster it is on."""

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


@dataclass(frozen=True)
class Put:
    """The command `data put`: copy a file to a claim, the name of the place."""

    place: Place
    file: Path
    path: str
    image: str | None = None
    timeout: float = POD_WAIT


@dataclass(frozen=True)
class Try:
    """The command `try`: run the steps of a TrainingJob on this machine.

    `data`, `holdout`: what lies on the claim or in the ConfigMap. `train`: how the user's own program runs here.
    """

    files: tuple[Path, ...]
    name: str | None = None
    data: Path | None = None
    holdout: Path | None = None
    train: str | None = None
    folder: Path | None = None


@dataclass(frozen=True)
class Models:
    """The command `models`: the families of a namespace, one of them, or some of its versions side by side."""

    place: Place
    family: str | None = None
    compare: tuple[str, ...] = ()
    output: Literal["text", "json", "yaml"] = "text"


@dataclass(frozen=True)
class Card:
    """The command `card`: what is known of a version, as Markdown, as a page or as a bill of materials."""

    place: Place
    form: Literal["markdown", "html", "bom"] = "markdown"


@dataclass(frozen=True)
class Reproduce:
    """The command `reproduce`: the TrainingJob that makes the model of a version again."""

    place: Place


@dataclass(frozen=True)
class Decide:
    """The commands `approve` and `reject`: say it of a version, and wait for what follows."""

    place: Place
    decision: Literal["Approve", "Reject"]
    reason: str | None = None
    override: bool = False
    wait: bool = True
    timeout: float = WAIT


@dataclass(frozen=True)
class RunNow:
    """The command `run`: ask for a run, and wait for nothing, the decision, or the end of the run.

    `timeout`: None waits as long as it takes.
    """

    place: Place
    until: Literal["Written", "Decided", "Ended"] = "Decided"
    timeout: float | None = WAIT


Command: TypeAlias = Show | Ask | Put | Try | Models | Card | Reproduce | Decide | RunNow


def parse(program: str, arguments: Sequence[str] | None = None) -> Command:
    """Returns the command. A wrong command line ends the process with a message and code 2."""
    top = parser(program)
    given = top.parse_args(arguments)
    if given.command in {"approve", "reject"}:
        return _decide(top, given)
    if given.command in {"models", "card", "reproduce", "run"}:
        return _of_versions(given) if given.command != "run" else _run_now(given)
    if given.command == "try":
        return Try(tuple(given.files), given.name, given.data, given.holdout, given.train, given.folder)
    if given.command == "put":
        claim, path = given.uri
        place = Place(claim, given.namespace, given.context, given.kubeconfig)
        return Put(place, given.file, path, given.image, given.timeout)
    place = Place(given.name, given.namespace, given.context, given.kubeconfig)
    if given.command == "status":
        return Show(place, given.watch, given.output, given.timeout)
    full = given.command == "promote" and given.full
    action: Action = "promote-full" if full else given.command
    return Ask(place, action, given.revision, given.wait, given.timeout)


def _run_now(given: argparse.Namespace) -> RunNow:
    timeout = WAIT if given.timeout is None and given.until != "Ended" else given.timeout
    place = Place(given.name, given.namespace, given.context, given.kubeconfig)
    return RunNow(place, given.until, timeout)


def _of_versions(given: argparse.Namespace) -> Command:
    place = Place(given.name or "", given.namespace, given.context, given.kubeconfig)
    if given.command == "models":
        return Models(place, given.name, tuple(given.compare), given.output)
    return Card(place, given.form) if given.command == "card" else Reproduce(place)


def _decide(top: argparse.ArgumentParser, given: argparse.Namespace) -> Decide:
    if given.override and given.reason is None:
        top.error("--override needs --reason: it is shown from then on")
    place = Place(given.name, given.namespace, given.context, given.kubeconfig)
    decision: Literal["Approve", "Reject"] = "Approve" if given.command == "approve" else "Reject"
    return Decide(place, decision, given.reason, given.override, given.wait, given.timeout)


def parser(program: str) -> argparse.ArgumentParser:
    """Returns the parser of the whole command line."""
    top = argparse.ArgumentParser(
        program,
        description="Tries TrainingJobs on this machine, brings data to claims, shows and steers rollouts, lists, "
        "compares and documents the versions of models.",
        epilog=EXITS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=version("modelwright"))
    groups = top.add_subparsers(required=True, metavar="GROUP")
    rollout = groups.add_parser("rollout", help="show and steer a rollout", description="Rollouts.")
    commands = rollout.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _status(_command(commands, "status", "show how a rollout stands"))
    for action, about in ABOUT.items():
        _ask(_command(commands, action, about), action)
    data = groups.add_parser("data", help="bring data to a claim", description="Data.")
    _put(data.add_subparsers(dest="command", required=True, metavar="COMMAND"))
    _try(groups)
    _run(groups)
    _models(groups)
    _card(groups)
    _reproduce(groups)
    _approve(groups)
    _reject(groups)
    return top


def _group(groups: Commands, name: str, about: str) -> argparse.ArgumentParser:
    """Adds a command that is its own group."""
    command = _parser(groups, name, about)
    command.set_defaults(command=name)
    return command


def _parser(commands: Commands, name: str, about: str) -> argparse.ArgumentParser:
    """Adds a command without arguments."""
    return commands.add_parser(
        name,
        help=about,
        description=f"{about[0].upper()}{about[1:]}.",
        epilog=EXITS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _run(groups: Commands) -> None:
    command = _group(groups, "run", "run a TrainingJob now")
    command.add_argument("name", metavar="NAME", type=_job_name, help="name of the TrainingJob")
    until = command.add_mutually_exclusive_group()
    until.add_argument(
        "--wait", dest="until", action="store_const", const="Ended", help="wait until the run has ended"
    )
    until.add_argument(
        "--no-wait",
        dest="until",
        action="store_const",
        const="Written",
        help="do not wait for the operator's decision",
    )
    command.set_defaults(until="Decided")
    command.add_argument(
        "--timeout",
        type=_seconds,
        help="how long to wait (default: 30s; with --wait as long as it takes)",
    )
    _add_cluster(command)


def _models(groups: Commands) -> None:
    command = _group(groups, "models", "list the versions of models, or compare some")
    command.add_argument(
        "name", metavar="FAMILY", nargs="?", type=_family, help="only this family; default: all"
    )
    command.add_argument(
        "--compare",
        metavar="NAME",
        nargs="+",
        default=[],
        type=_version_name,
        help="two versions or more, side by side",
    )
    command.add_argument(
        "-o", "--output", choices=("text", "json", "yaml"), default="text", help="default: text"
    )
    _add_cluster(command)


def _card(groups: Commands) -> None:
    command = _group(groups, "card", "print all that is known of a version, as Markdown")
    command.add_argument("name", metavar="NAME", type=_version_name, help="name of the ModelVersion")
    form = command.add_mutually_exclusive_group()
    form.add_argument(
        "--html", dest="form", action="store_const", const="html", help="as one page that needs nothing else"
    )
    form.add_argument(
        "--bom",
        dest="form",
        action="store_const",
        const="bom",
        help="as a bill of materials, CycloneDX 1.6 in JSON",
    )
    command.set_defaults(form="markdown")
    _add_cluster(command)


def _reproduce(groups: Commands) -> None:
    command = _group(groups, "reproduce", "print the TrainingJob that makes the model of a version again")
    command.add_argument("name", metavar="NAME", type=_version_name, help="name of the ModelVersion")
    _add_cluster(command)


def _approve(groups: Commands) -> None:
    command = _group(groups, "approve", "approve a version, in your own name")
    command.add_argument(
        "--override",
        action="store_true",
        help="although a gate has not passed; shown from then on, and needs --reason",
    )
    _saying(command, required=False)


def _reject(groups: Commands) -> None:
    command = _group(groups, "reject", "reject a version, in your own name")
    command.set_defaults(override=False)
    _saying(command, required=True)


def _saying(command: argparse.ArgumentParser, *, required: bool) -> None:
    """Adds the arguments that approve and reject share."""
    command.add_argument("name", metavar="NAME", type=_version_name, help="name of the ModelVersion")
    command.add_argument(
        "--reason", type=_reason, required=required, metavar="TEXT", help="why; it stands in the status"
    )
    command.add_argument(
        "--no-wait", dest="wait", action="store_false", help="do not wait for what the operator makes of it"
    )
    command.add_argument(
        "--timeout", type=_seconds, default=WAIT, help="how long to wait for it (default: 30s)"
    )
    _add_cluster(command)


def _put(commands: Commands) -> None:
    command = commands.add_parser(
        "put",
        help="copy a file to a claim",
        description="Copies a file to a PersistentVolumeClaim, through a pod that mounts it.",
        epilog=EXITS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("file", metavar="FILE", type=Path, help="file on this machine")
    command.add_argument("uri", metavar="pvc://CLAIM/PATH", type=_claim, help="where it goes")
    command.add_argument(
        "--image", help="image of the pod, with Python; default: the operator's training image"
    )
    command.add_argument(
        "--timeout", type=_seconds, default=POD_WAIT, help="how long to wait for the pod (default: 2m)"
    )
    _add_cluster(command)


def _try(groups: Commands) -> None:
    command = groups.add_parser(
        "try",
        help="run the steps of a TrainingJob on this machine, without a cluster",
        description="Runs fetch, train and publish of a TrainingJob on this machine, as its pod does.",
        epilog=EXITS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(command="try")
    command.add_argument(
        "files",
        metavar="FILE",
        type=Path,
        nargs="+",
        help="manifests: the TrainingJob, ConfigMaps of its data, and Secrets of its stores",
    )
    command.add_argument("--name", help="which TrainingJob, if the files hold several")
    command.add_argument(
        "--data",
        type=Path,
        help="the file or folder that data.uri names, if it is on a claim, or that data.source writes",
    )
    command.add_argument("--holdout", type=Path, help="the same for data.holdout.uri")
    command.add_argument("--train", help="how the program of your own image runs here: 'python train.py'")
    command.add_argument(
        "--folder", type=Path, help="where the run leaves its files; default: a new temporary folder"
    )


def _add_cluster(command: argparse.ArgumentParser) -> None:
    """Adds the arguments that name a namespace and a cluster."""
    command.add_argument("-n", "--namespace", type=_namespace, help="default: the context's, as with kubectl")
    command.add_argument("--context", help="context of the kubeconfig (default: the current one)")
    command.add_argument("--kubeconfig", type=Path, help="default: $KUBECONFIG, else ~/.kube/config")


def _command(commands: Commands, name: str, about: str) -> argparse.ArgumentParser:
    """Adds a command with the arguments that all commands have."""
    command = _parser(commands, name, about)
    command.add_argument("name", metavar="NAME", type=_name, help="name of the InferenceService")
    _add_cluster(command)
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
    return _object_name(name)


def _job_name(text: str) -> str:
    kind, slash, name = text.rpartition("/")
    if slash and kind not in JOB_PREFIXES:
        raise argparse.ArgumentTypeError(f"{kind!r} is no TrainingJob")
    return _object_name(name)


def _version_name(text: str) -> str:
    kind, slash, name = text.rpartition("/")
    if slash and kind not in VERSION_PREFIXES:
        raise argparse.ArgumentTypeError(f"{kind!r} is no ModelVersion")
    return _object_name(name)


def _object_name(name: str) -> str:
    if not re.fullmatch(DNS_SUBDOMAIN, name) or len(name) > 253:
        raise argparse.ArgumentTypeError(
            f"{name!r} cannot be a name: small letters, digits and dashes, at most {NAME_LENGTH}"
        )
    return name


def _claim(text: str) -> tuple[str, str]:
    """The claim and the path in a uri."""
    if not text.startswith("pvc://") or not re.fullmatch(FILE_URI, text):
        raise argparse.ArgumentTypeError(f"{text!r} is no place for a file: pvc://CLAIM/PATH")
    claim, _, path = text.removeprefix("pvc://").partition("/")
    return claim, path


def _family(text: str) -> str:
    return _label(text, "a family")


def _namespace(text: str) -> str:
    return _label(text, "a namespace")


def _revision(text: str) -> str:
    return _label(text, "a revision")


def _label(text: str, what: str) -> str:
    if not re.fullmatch(DNS_LABEL, text) or len(text) > 63:
        raise argparse.ArgumentTypeError(f"{text!r} cannot be {what}: small letters, digits and dashes")
    return text


def _reason(text: str) -> str:
    if not text.strip() or len(text) > MOST_REASON:
        raise argparse.ArgumentTypeError(f"a reason has 1 to {MOST_REASON:,} characters")
    return text


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)([smh]?)", text)
    if match is None or not 0 < float(match[1]) * UNITS[match[2]] <= LONGEST:
        raise argparse.ArgumentTypeError(f"{text!r} is no time: 30s, 5m or 1h, at most a week")
    return float(match[1]) * UNITS[match[2]]
