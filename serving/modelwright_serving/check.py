"""`modelwright-serving check`: what the server would make of a model, for people and CI. Nothing is served."""

import argparse
import resource
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import orjson

from modelwright_serving import golden, process_memory, settings
from modelwright_serving.failures import StepError
from modelwright_serving.model import LoadedModel, load, neutral
from modelwright_serving.oip.signature import TensorSpec
from modelwright_serving.oip.tensors import Tensor
from modelwright_serving.pace import shortest
from modelwright_serving.runtime import RunFailed

_ROWS = (1, 128)
# Refusals by a check that can be left out, to see what is wrong besides.
_APART = {
    "DigestMismatch": "expected_digest",
    "GoldenMismatch": "golden_file",
    "GoldenUnreadable": "golden_file",
}
_MEBIBYTE = 1024**2


@dataclass(frozen=True)
class _Cost:
    """Seconds for a run, by its rows, and how much further memory has grown at its largest, in bytes."""

    load_seconds: float
    load_bytes: int
    run_seconds: dict[str, float]
    run_bytes: int


def main(arguments: Sequence[str]) -> int:
    """Check a model and report; the result is the exit code: 1 if it would not be served."""
    options = _parser().parse_args(arguments)
    problems: list[StepError] = []
    checks: dict[str, Any] = {
        "expected_digest": options.model_digest,
        "golden_file": options.golden or golden.beside(options.model),
        "memory": options.model_memory_bytes,
    }
    while True:
        memory, started = _peak_bytes(), perf_counter()
        try:
            model = load(options.model, share_rows=options.row_sharing == "auto", **checks)
        except StepError as problem:
            problems.append(problem)
            concerned = _APART.get(problem.reason)
            if concerned is None:
                _report(options, problems, None)
                return 1
            checks[concerned] = None
        else:
            break
    seconds, loaded = perf_counter() - started, _peak_bytes()
    runs = _timed(model, checks["golden_file"])
    cost = _Cost(seconds, loaded - memory, runs, _peak_bytes() - loaded)
    _report(options, problems, _described(model, cost))
    return 1 if problems else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="modelwright-serving check",
        description="Loads a model as the server does, tries it, and says what it found. "
        "The exit code is 1 if the server would refuse it.",
    )
    add = parser.add_argument
    add("model", type=Path, metavar="MODEL", help="the ONNX file")
    add("--golden", type=_file, metavar="FILE", help="default: golden.json beside the model, if there is one")
    add("--model-digest", type=settings.digest, metavar="sha256:HEX", help="refuse a file with other bytes")
    add("--row-sharing", choices=settings.ROW_SHARING, default="auto", help="default: %(default)s")
    add(
        "--model-memory-bytes",
        type=int,
        default=128 * _MEBIBYTE,
        help="that a run may take; default: %(default)s, as in a pod of the default size",
    )
    add("--output", choices=("text", "json"), default="text", help="default: %(default)s")
    return parser


def _file(text: str) -> Path:
    if not (path := Path(text)).is_file():
        raise argparse.ArgumentTypeError("has to be a file")
    return path


def _peak_bytes() -> int:
    """The most memory that this program has had so far; what the operating system accounts to it alone."""
    peak = process_memory.status_bytes("VmHWM")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss if peak is None else peak  # None: not Linux


def _timed(model: LoadedModel, golden_file: Path | None) -> dict[str, float]:
    """Seconds for a run, by its rows; empty if no row is known that the model answers."""
    expectation = golden.read(golden_file, model.signature) if golden_file is not None else None
    sample = [neutral(spec) for spec in model.signature.inputs]
    if expectation is not None:
        sample = expectation.request.tensors(model.signature)
    free = all(spec.shape[:1] == (-1,) for spec in model.signature.inputs)
    found: dict[str, float] = {}
    for rows in _ROWS if free else _ROWS[:1]:
        inputs: list[Tensor] = [np.repeat(part[:1], rows, axis=0) for part in sample] if free else sample
        try:
            found[str(rows)] = shortest(model.run, inputs)
        except RunFailed:
            continue
    return found


def _described(model: LoadedModel, cost: _Cost) -> dict[str, Any]:
    signature = model.signature
    return {
        "digest": model.digest,
        "inputs": [_tensor(spec) for spec in signature.inputs],
        "outputs": [_tensor(spec) for spec in signature.outputs],
        "properties": dict(signature.properties),
        "row_sharing": asdict(model.sharing),
        "cost": asdict(cost),
    }


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": list(spec.shape)}


def _report(options: argparse.Namespace, problems: list[StepError], found: dict[str, Any] | None) -> None:
    if options.output == "json":
        refusals = [{"reason": problem.reason, "message": problem.message} for problem in problems]
        document = {
            "model": str(options.model),
            "servable": not problems,
            "problems": refusals,
            **(found or {}),
        }
        sys.stdout.write(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() + "\n")
        return
    lines = [str(options.model), *(_lines(found) if found else [])]
    lines += [f"  refused    {problem.reason}: {problem.message}" for problem in problems]
    sys.stdout.write(
        "\n".join([*lines, "  it would not be served" if problems else "  it would be served", ""])
    )


def _lines(found: dict[str, Any]) -> list[str]:
    sharing, cost = found["row_sharing"], found["cost"]
    runs = [
        f"a run {1000 * seconds:.3g} ms with rows: {rows}" for rows, seconds in cost["run_seconds"].items()
    ]
    times = ", ".join(runs) or "no row is known that it answers: put a golden.json beside it"
    load, more = cost["load_bytes"] / _MEBIBYTE, cost["run_bytes"] / _MEBIBYTE
    shared = f"up to {sharing['most_rows']} share a run" if sharing["allowed"] else "every request runs alone"
    tensors = [
        f"  {kind:<10} {tensor['name']}: {tensor['datatype']} {tensor['shape']}"
        for kind in ("inputs", "outputs")
        for tensor in found[kind]
    ]
    return [
        f"  digest     {found['digest']}",
        *tensors,
        f"  rows       {shared}: {sharing['reason']}",
        f"  time       {1000 * cost['load_seconds']:.3g} ms to load, {times}",
        f"  memory     {load:.1f} MiB to load, {more:.1f} MiB more to run",
    ]
