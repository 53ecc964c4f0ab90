"""The server's command line, checked. What the settings mean is left to the modules that get them."""

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modelwright_serving import limits, process_memory, termination
from modelwright_serving.limits import Limits

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
# What can stand in a path without being escaped, so that a target can be looked up as it arrives.
_NAME = re.compile(r"[A-Za-z0-9._~@:+-]+(/[A-Za-z0-9._~@:+-]+)*")

ROW_SHARING = ("auto", "never")


@dataclass(frozen=True)
class Settings:
    """Everything that can be set; times in seconds, sizes in bytes."""

    model: Path
    name: str
    version: str
    digest: str | None
    host: str
    http_port: int
    grpc_port: int
    admin_port: int
    drain_seconds: float
    drain_delay_seconds: float
    termination_log: Path
    max_body: int
    max_rows: int
    memory: int
    model_memory: int
    max_connections: int
    queue_limit: int
    queue_seconds: float
    run_seconds: float
    stuck_seconds: float
    idle_timeout: float
    read_timeout: float
    traffic: tuple[Path, ...]
    share_rows: bool
    feedback_keys: Path | None
    feedback_max_age: int


def parse(arguments: Sequence[str] | None = None) -> Settings:
    """The settings; ends the process with a usage message if they make no sense."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.memory_bytes < 2 * options.max_body_bytes:
        parser.error(
            "--memory-bytes has to be at least twice --max-body-bytes: one address gets at most half of it"
        )
    return Settings(
        model=options.model,
        name=options.name,
        version=options.model_version,
        digest=options.model_digest,
        host=options.host,
        http_port=options.http_port,
        grpc_port=options.grpc_port,
        admin_port=options.admin_port,
        drain_seconds=options.drain_seconds,
        drain_delay_seconds=options.drain_delay_seconds,
        termination_log=options.termination_log,
        max_body=options.max_body_bytes,
        max_rows=options.max_rows,
        memory=options.memory_bytes,
        model_memory=options.model_memory_bytes or process_memory.share_of_model(),
        max_connections=options.max_connections,
        queue_limit=options.queue_limit,
        queue_seconds=options.queue_seconds,
        run_seconds=options.run_seconds,
        stuck_seconds=2 * options.run_seconds if options.stuck_seconds is None else options.stuck_seconds,
        idle_timeout=options.idle_timeout,
        read_timeout=options.read_timeout,
        traffic=tuple(options.traffic),
        share_rows=options.row_sharing == "auto",
        feedback_keys=options.feedback_keys,
        feedback_max_age=options.feedback_max_age_seconds,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="modelwright-serving",
        description="Serves one ONNX model over the Open Inference Protocol V2.",
        epilog="modelwright-serving check MODEL says what the server would make of a model.",
    )
    add = parser.add_argument
    add(
        "--model",
        required=True,
        type=Path,
        metavar="FILE",
        help="the ONNX file; golden.json beside it is checked",
    )
    add("--name", required=True, type=_name, help="the model's name in the protocol")
    add("--model-version", default="1", type=_name, metavar="V", help="default: %(default)s")
    add("--model-digest", type=digest, metavar="sha256:HEX", help="refuse a file with other bytes")
    add("--host", default="", help="address to listen on; default: all")
    add(
        "--http-port",
        type=_port,
        default=8080,
        help="inference and health; 0 picks one; default: %(default)s",
    )
    add("--grpc-port", type=_port, default=8081, help="the same over gRPC; default: %(default)s")
    add("--admin-port", type=_port, default=9090, help="/metrics and /healthz; default: %(default)s")
    add(
        "--traffic",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="the traffic rule of a rollout, read again whenever it changes; of several files the first that exists",
    )
    add(
        "--row-sharing",
        choices=ROW_SHARING,
        default="auto",
        help="whether rows of different callers may share a run of the model: where it is proved that they do not "
        "influence each other, or never; default: %(default)s",
    )
    _add_feedback(parser)
    _add_drain(parser)
    _add_limits(parser)
    add("--termination-log", type=Path, default=termination.DEFAULT_PATH, metavar="PATH")
    return parser


def _add_feedback(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("feedback: predictions that come back with the truth")
    group.add_argument(
        "--feedback-keys",
        type=Path,
        metavar="DIR",
        help="give tokens to predictions whose callers ask for them, and take POST .../feedback; each file in DIR is a "
        "key, `key` signs, all verify; read again whenever they change",
    )
    group.add_argument(
        "--feedback-max-age-seconds",
        type=_positive,
        default=30 * 86400,
        metavar="N",
        help="older tokens are not counted; default: %(default)s",
    )


def _add_drain(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("shutdown, after SIGTERM")
    group.add_argument(
        "--drain-seconds",
        type=_seconds,
        default=25.0,
        help="exit after this time even if something is unanswered; default: %(default)g",
    )
    group.add_argument(
        "--drain-delay-seconds",
        type=_seconds,
        default=5.0,
        help="accept connections for this time, until everybody knows of the shutdown; default: %(default)g",
    )


def _add_limits(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("limits")
    add = group.add_argument
    add("--max-body-bytes", type=_positive, default=Limits.body, help="of a request; default: %(default)s")
    add(
        "--model-memory-bytes",
        type=_positive,
        help="that a run of the model may take beside its weights; default: a quarter of the container's memory "
        "limit, at least 64 MiB, or 1 GiB without a limit",
    )
    add(
        "--memory-bytes",
        type=_positive,
        default=Limits.memory,
        help="of what all callers together make the server hold; default: %(default)s",
    )
    add("--max-rows", type=_positive, default=limits.MAX_ROWS, help="of a request; default: %(default)s")
    add("--max-connections", type=_positive, default=Limits.connections, help="default: %(default)s")
    add(
        "--queue-limit",
        type=_positive,
        default=limits.QUEUE_REQUESTS,
        help="requests that wait for a run; default: %(default)s",
    )
    add(
        "--queue-seconds",
        type=_seconds,
        default=limits.QUEUE_SECONDS,
        help="a request that has waited longer for its run gets 503; default: %(default)g",
    )
    add(
        "--run-seconds",
        type=_seconds,
        default=limits.RUN_SECONDS,
        help="a run of the model that takes longer is ended, and its request gets 504; default: %(default)g",
    )
    add(
        "--stuck-seconds",
        type=_seconds,
        help="a run that cannot be ended and takes longer makes liveness fail; default: twice --run-seconds",
    )
    add(
        "--idle-timeout",
        type=_seconds,
        default=Limits.idle_seconds,
        help="of an unused connection; default: %(default)g s",
    )
    add(
        "--read-timeout",
        type=_seconds,
        default=Limits.head_seconds,
        help="for a request's headers; its body gets six times it",
    )


def digest(text: str) -> str:
    """The digest of a model, as an argument."""
    if not _DIGEST.fullmatch(text):
        raise argparse.ArgumentTypeError("has to look like sha256:<64 hex digits>")
    return text


def _name(text: str) -> str:
    if not _NAME.fullmatch(text) or any(part in {".", ".."} for part in text.split("/")) or len(text) > 253:
        raise argparse.ArgumentTypeError("may hold letters, digits and . _ ~ @ : + - (at most 253 of them)")
    return text


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError("has to be a port number")
    return port


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds <= 86400:
        raise argparse.ArgumentTypeError("has to be a time in seconds")
    return seconds


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("has to be at least 1")
    return number
