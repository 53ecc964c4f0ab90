"""Runs `modelwright try`: lays the folders out, runs the steps one after the other, and says what came out."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelwright.api.stepdocument import step_document
from modelwright.cli import screen
from modelwright.cli.errors import BadUsage, Refused
from modelwright.cli.options import Try
from modelwright.cli.trial import FOLDERS, Trial, folder_of, gate_lines, trial

PROGRAM = "modelwright-training"


def attempt(command: Try) -> None:
    """Runs fetch, train and publish; Refused if one of them fails."""
    found = trial([_text(file) for file in command.files], command.name)
    if found.own is not None and command.train is None:
        raise BadUsage(
            "this TrainingJob has an image of its own; say how its program runs here, such as --train 'python train.py'"
        )
    program = shutil.which(PROGRAM) or shutil.which(str(Path(sys.executable).with_name(PROGRAM)))
    if program is None:
        raise BadUsage(f"{PROGRAM} is not installed here: pip install PATH-OF-THE-REPOSITORY/training")
    root = command.folder or Path(tempfile.mkdtemp(prefix="modelwright-try-"))
    _lay_out(root, found, {"source": command.data, "source-holdout": command.holdout})
    own = {"MODELWRIGHT_ROOT": str(root.resolve())}
    for step in ("fetch", "train", "publish"):
        screen.show([f"--- {step}"])
        if step == "train" and found.own is not None:
            _run(step, shlex.split(command.train or ""), {**own, **found.own}, root)
        elif step == "fetch":
            _fetch([program, step], {**own, **found.environment}, found.files, root)
        else:
            _run(step, [program, step], own, root)
        if step != "train" or found.own is None:
            screen.show([f"note: {note}" for note in _said(root).get("result", {}).get("notes") or ()])
    _show(root, found.document)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadUsage(f"{file} cannot be read: {error}") from error


def _lay_out(root: Path, found: Trial, given: Mapping[str, Path | None]) -> None:
    """Makes the folders of the pod, with the data and the run document in them."""
    for folder in FOLDERS:
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "etc/modelwright/run/run.json").write_text(found.document, encoding="utf-8")
    for folder, (path, content) in found.sources.items():
        file, target = given[folder], root / folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if file is None and content is None:
            option = "--data" if folder == "source" else "--holdout"
            what = path or "what data.source writes to /out"
            raise BadUsage(f"say where {what} is on this machine: {option} FILE")
        if file is None:
            target.write_bytes(content or b"")
        elif file.is_dir():
            place = root / folder / folder_of(path) if "*" in path else target
            shutil.copytree(file, place, dirs_exist_ok=True)
        elif file.is_file():
            shutil.copyfile(file, target if path else target / file.name)
        else:
            raise BadUsage(f"there is no file {file}")


def _fetch(words: list[str], environment: Mapping[str, str], files: Mapping[str, bytes], root: Path) -> None:
    """Runs fetch with the files that only it may read. They are gone when it has ended."""
    try:
        for path, content in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).unlink(missing_ok=True)
            with os.fdopen(os.open(root / path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(content)
        _run("fetch", words, environment, root)
    finally:
        for path in files:
            (root / path).unlink(missing_ok=True)


def _run(step: str, words: list[str], environment: Mapping[str, str], root: Path) -> None:
    try:
        ended = subprocess.run(words, env={**os.environ, **environment}, check=False)
    except OSError as error:
        raise BadUsage(f"{words[0]} cannot be run: {error.strerror}") from error
    if ended.returncode != 0:
        said = _said(root).get("error") or {}
        why = (
            f"{said['reason']}: {said['message']}" if said else f"it ended with exit code {ended.returncode}"
        )
        raise Refused(f"{step}: {why}")


def _said(root: Path) -> dict[str, Any]:
    """What the last step has left for Kubernetes; empty for a program of the user's."""
    try:
        text = (root / "dev/termination-log").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return {}
    return step_document(text)


def _show(root: Path, document: str) -> None:
    result = _said(root).get("result") or {}
    artifact, evaluation = result.get("artifact") or {}, result.get("evaluation") or {}
    folder = root / "artifacts" / str(artifact.get("digest", "")).replace(":", "-")
    notes = [f"note: {note}" for note in evaluation.get("notes") or ()]
    numbers = [_number(metric) for metric in result.get("metrics") or ()]
    screen.show(["--- measured on the hold-out", *numbers, *notes])
    if gates := list(gate_lines(document, result.get("gates") or ())):
        screen.show(["--- measured for its gates, which the operator judges", *gates])
    screen.show([f"--- the model, its report and its card are in {folder}"])


def _number(metric: Mapping[str, Any]) -> str:
    """A metric in a line: its value, its 95 % interval, its baseline, and the class that it is about."""
    words = f"{metric['name']} {metric['value']:.4g}"
    words += f" ({metric['low']:.4g} to {metric['high']:.4g})" if "low" in metric else ""
    words += f", baseline {metric['baseline']:.4g}" if "baseline" in metric else ""
    return words + (f", of {metric['positiveClass']!r}" if "positiveClass" in metric else "")
