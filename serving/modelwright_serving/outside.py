"""Pulls a model from outside the cluster, and goes on where an earlier container of the pod ended.

Reading stores is left to `modelwright_stores`. What an earlier container reached, and why it ended, is in the folder
`.pull` beside the model: it lives as long as the pod, and the server reads nothing of it.
"""

import hashlib
import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelwright_serving.failures import EXIT_INPUT, EXIT_OUTSIDE, StepError
from modelwright_serving.placing import (
    GOLDEN,
    MAX_GOLDEN_BYTES,
    MAX_MODEL_BYTES,
    MAX_PROFILE_BYTES,
    MODEL,
    PROFILE,
    publish,
)
from modelwright_stores import opening
from modelwright_stores.access import Access, accesses, plain
from modelwright_stores.failures import StoreError
from modelwright_stores.resuming import DIGEST, Downloaded, File, Head, Patience, download, patiently, stream

REFUSED_SECONDS = 300.0
# Reasons of the library that the steps have another word for.
_REASONS = {"DataNotFound": "ArtifactNotFound", "FileTooLarge": "ModelTooLarge"}


@dataclass(frozen=True)
class Wanted:
    """A model outside the cluster, and the folder that gets it."""

    uri: str
    digest: str
    to: Path

    @property
    def model(self) -> Path:
        """Where the server reads it."""
        return self.to / MODEL


@dataclass(frozen=True)
class Pace:
    """How a store that fails is looked at again, in seconds.

    `silent`: how long one look waits for a byte, so that the pod says within ten seconds what is wrong. `first` and
    `longest`: the pauses between looks of one container. `total`: how long it looks. That is more than ten minutes:
    then the kubelet takes the container for a sound one, and starts it again at once rather than ever later.
    """

    silent: float = 8
    first: float = 5
    longest: float = 30
    total: float = 660


def pull(wanted: Wanted, environ: Mapping[str, str], root: Path, pace: Pace = Pace()) -> None:
    """Put the model and, if they are there, its golden request and profile where the server reads them.

    StepError: at once in the first container of a pod, so that the reason can be seen. A container that is started
    again after that ends once the reason has become another one, or `pace` is at an end; credentials that have been
    mended meanwhile work at the next look. OSError of the disk."""
    if not opening.is_outside(wanted.uri):
        schemes = ", ".join(f"{scheme}://" for scheme in ("pvc", *opening.SCHEMES))
        shown = wanted.uri.partition("?")[0]
        raise StepError("UriUnsupported", f"{shown}: the artifact's uri has to begin with one of {schemes}")
    if _digest_of(wanted.model) == wanted.digest:
        return
    record = _Record.of(wanted)
    look = _Look(wanted, environ, root, record.folder, Patience(silent=pace.silent))
    known, began, pause = record.take_failure(), time.monotonic(), pace.first
    while True:
        try:
            look()
            break
        except StepError as failure:
            if _kind(failure) != known or time.monotonic() - began + pause > pace.total:
                record.keep_failure(_kind(failure))
                raise
            sys.stderr.write(f"modelwright-pull: {failure.reason}: {failure.message} Looking again.\n")
        time.sleep(pause)
        pause = min(pause * 1.5, pace.longest)
    record.forget()


def end_at_once_when_asked() -> None:
    """End this process at SIGTERM, also while code that is not Python waits for a server.

    It may be process 1 of its container, which the kernel ends for no signal that the process does not ask for."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

    def wait() -> None:
        signal.sigwait({signal.SIGTERM})
        os._exit(128 + signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


@dataclass(frozen=True)
class _Refused:
    """A file whose bytes were not the model's, why, and when: it is not fetched at each look."""

    head: Head
    failure: StepError
    since: float

    def stands_for(self, head: Head) -> bool:
        """Whether what is there now is the same file. Where nothing would tell another one, that is so for a while."""
        tells = head.etag is not None and not head.etag.startswith(DIGEST)
        return head == self.head and (tells or time.monotonic() - self.since < REFUSED_SECONDS)


@dataclass
class _Look:
    """One try after another to bring the model; credentials are read each time."""

    wanted: Wanted
    environ: Mapping[str, str]
    root: Path
    folder: Path
    patience: Patience
    refused: "_Refused | None" = None

    def __call__(self) -> None:
        try:
            access = self._access()
            # Of a registry it has to be looked up.
            file = patiently(
                lambda: opening.file(self.wanted.uri, access, self.patience.silent), MODEL, self.patience
            )
            self._model(file)
            self._golden(access)
            self._profile(access)
        except StoreError as failure:
            raise _step_error(failure) from failure
        publish(self.folder / MODEL, self.wanted.model)

    def _access(self) -> Access:
        found = accesses(self.environ, self.root).get("artifacts")
        return found or plain(self.environ, "artifact.store", self.root)

    def _model(self, file: File) -> None:
        """Bring the bytes into the folder, and refuse others than those that are asked for."""
        target = self.folder / MODEL
        if _digest_of(target) == self.wanted.digest:
            return
        self._check_head(file)
        try:
            found = self._download(file, target)
        except StoreError as failure:
            if failure.reason == "DigestMismatch":  # a registry sends other bytes than its manifest names
                head = patiently(file.head, MODEL, self.patience)
                self.refused = _Refused(head, _step_error(failure), time.monotonic())
            raise
        if found.digest != self.wanted.digest:
            target.unlink()
            failed = self._mismatch(file, found.digest)
            self.refused = _Refused(found.head, failed, time.monotonic())
            raise failed

    def _check_head(self, file: File) -> None:
        """Refuse what is known to be wrong before a byte of it is read."""
        if self.refused is None and not self.wanted.uri.startswith("oci://"):
            return
        head = patiently(file.head, MODEL, self.patience)
        if head.etag is not None and head.etag.startswith(DIGEST) and head.etag != self.wanted.digest:
            raise self._mismatch(file, head.etag)
        if self.refused is not None and self.refused.stands_for(head):
            raise self.refused.failure

    def _mismatch(self, file: File, found: str) -> StepError:
        return StepError(
            "DigestMismatch",
            f"{file.shown} holds {found}, but {self.wanted.digest} is asked for: the file was replaced",
        )

    def _download(self, file: File, target: Path) -> Downloaded:
        """What is there now, whatever its digest is."""
        part = target.with_name(f"{target.name}.partial")
        resumed = part.exists() and part.stat().st_size > 0
        try:
            found = download(file, target, MAX_MODEL_BYTES, self.patience)
        except StoreError as failure:
            if failure.reason != "DigestMismatch" or not resumed:
                raise
            found = download(file, target, MAX_MODEL_BYTES, self.patience)
        if found.digest != self.wanted.digest and found.fetched < found.size:
            target.unlink()  # the part that an earlier container has left may be what is wrong
            found = download(file, target, MAX_MODEL_BYTES, self.patience)
        return found

    def _golden(self, access: Access) -> None:
        """Before the model gets its name: once `model.onnx` is there, everything that belongs to it is."""
        file = patiently(lambda: opening.sibling(self.wanted.uri, GOLDEN, access), GOLDEN, self.patience)
        if file is None:
            (self.wanted.to / GOLDEN).unlink(missing_ok=True)
            return
        try:
            with stream(file, MAX_GOLDEN_BYTES, self.patience) as reader:
                content = reader.readall() or b""
        except StoreError as failure:
            if failure.reason != "FileTooLarge":
                raise
            message = f"{GOLDEN} beside the model is larger than 1 MiB"
            raise StepError("GoldenUnreadable", message) from failure
        partial = self.folder / GOLDEN
        partial.write_bytes(content)
        publish(partial, self.wanted.to / GOLDEN)

    def _profile(self, access: Access) -> None:
        """What it is like is for the server to judge: without a usable one it serves all the same."""
        final, partial = self.wanted.to / PROFILE, self.folder / PROFILE
        final.unlink(missing_ok=True)
        try:
            file = patiently(
                lambda: opening.sibling(self.wanted.uri, PROFILE, access), PROFILE, self.patience
            )
            if file is None:
                return
            with stream(file, MAX_PROFILE_BYTES, self.patience) as reader:
                partial.write_bytes(reader.readall() or b"")
        except StoreError as failure:
            sys.stderr.write(
                f"modelwright-pull: {PROFILE} is left out: {failure.reason}: {failure.message}\n"
            )
            return
        publish(partial, final)


@dataclass(frozen=True)
class _Record:
    """What is known of earlier containers of the pod that pulled the same model."""

    folder: Path
    wanted: Wanted

    @classmethod
    def of(cls, wanted: Wanted) -> "_Record":
        """The record beside the model; one of another model is thrown away."""
        record = cls(wanted.to / ".pull", wanted)
        if not record._is_of_wanted():
            shutil.rmtree(record.folder, ignore_errors=True)
            record.folder.mkdir()
            record._write(None)
        return record

    def take_failure(self) -> list[str] | None:
        """Why the container before this one ended. It is for this container alone: if it is killed, the one after it
        says again what is wrong."""
        failure = self._read().get("failure")
        self._write(None)
        return failure if isinstance(failure, list) else None

    def keep_failure(self, kind: list[str]) -> None:
        """Why this container ends."""
        self._write(kind)

    def forget(self) -> None:
        """Remove everything: the model is where the server reads it."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _is_of_wanted(self) -> bool:
        read = self._read()
        return (read.get("uri"), read.get("digest")) == (_hashed(self.wanted.uri), self.wanted.digest)

    def _read(self) -> dict[str, Any]:
        try:
            read = json.loads((self.folder / "record.json").read_bytes())
        except (OSError, ValueError):
            return {}
        return read if isinstance(read, dict) else {}

    def _write(self, failure: list[str] | None) -> None:
        document = {"uri": _hashed(self.wanted.uri), "digest": self.wanted.digest, "failure": failure}
        partial = self.folder / "record.json.partial"
        partial.write_text(json.dumps(document))
        partial.replace(self.folder / "record.json")


def _hashed(uri: str) -> str:
    """The server may read this file, and a uri may hold a signature."""
    return hashlib.sha256(uri.encode()).hexdigest()


def _kind(failure: StepError) -> list[str]:
    """What two failures have in common that need the same remedy: of a passing one the reason alone, as its message
    depends on when the connection broke."""
    return [failure.reason] if failure.exit_code == EXIT_OUTSIDE else [failure.reason, failure.message]


def _step_error(failure: StoreError) -> StepError:
    reason = _REASONS.get(failure.reason, failure.reason)
    return StepError(reason, failure.message, EXIT_OUTSIDE if failure.passing else EXIT_INPUT)


def _digest_of(path: Path) -> str | None:
    """The digest of a file; None if there is none."""
    try:
        with path.open("rb") as file:
            return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    except FileNotFoundError:
        return None
