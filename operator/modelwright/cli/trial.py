"""What `modelwright try` runs: the steps of a TrainingJob on this machine, in a folder laid out as its pod. Pure."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import yaml
from pydantic import ValidationError

from modelwright.api.gates import Gate
from modelwright.api.rundocument import (
    DVC_FOLDER,
    run_document,
    source_of,
    source_variables,
    trainer_variables,
)
from modelwright.api.storedocument import (
    FOLDER,
    Resolved,
    described,
    file_sources,
    source_uses,
    store_variables,
)
from modelwright.api.trainingjob import TrainingJobSpec
from modelwright.cli.errors import BadUsage
from modelwright.view.version import measured, shape_of

ARTIFACTS = "pvc://artifacts"
FOLDERS = (
    "etc/modelwright/run", "source", "source-holdout", "data/train", "data/holdout", "model", "artifacts", "dev",
)  # fmt: skip
MOST_FAULTS = 5
# A person's own machine: what it reaches, the person may reach.
EVERY_NETWORK = ("0.0.0.0/0", "::/0")

Manifest = Mapping[str, Any]


@dataclass(frozen=True)
class Trial:
    """A TrainingJob that is tried here.

    `document`: its run document. `sources`: by folder, the file that has to lie there before fetch, with its content if
    a ConfigMap of the manifests has it. `files`: by path, what of Secrets and other ConfigMaps of the manifests only
    fetch may read. `environment`: of fetch. `own`: the environment of the user's own trainer; None for the built-in
    one.
    """

    name: str
    document: str
    sources: Mapping[str, tuple[str, bytes | None]]
    environment: Mapping[str, str]
    files: Mapping[str, bytes]
    own: Mapping[str, str] | None


def trial(texts: Iterable[str], name: str | None) -> Trial:
    """Reads manifests: a TrainingJob (the one called `name`), ConfigMaps of its data and Secrets of its stores. Raises
    BadUsage."""
    manifests = [manifest for text in texts for manifest in _documents(text)]
    job = _job(manifests, name)
    spec = _spec(job)
    called = str(job["metadata"]["name"])
    data = spec["data"]
    document = run_document(spec, namespace="default", name=called, run=1, artifacts=ARTIFACTS)
    uris = {"source": source_of(data), "source-holdout": (data.get("holdout") or {}).get("uri") or ""}
    places = {folder: _mounted(uri, manifests) for folder, uri in uris.items()}
    return Trial(
        name=called,
        document=json.dumps(document),
        sources={folder: place for folder, place in places.items() if place is not None},
        environment={**source_variables(data), **_reached(data)},
        files=dict(_files(data, manifests)),
        own=dict(_own(spec, manifests)) if "image" in spec["trainer"] else None,
    )


def _own(spec: Mapping[str, Any], manifests: Iterable[Manifest]) -> Iterator[tuple[str, str]]:
    """The variables of the user's own trainer. One from a Secret or ConfigMap that the manifests do not hold is left
    out: then the program has that of this shell."""
    elsewhere = {
        each["name"]: each["valueFrom"] for each in spec["trainer"].get("env") or () if each.get("valueFrom")
    }
    for name, value in trainer_variables(spec).items():
        if name not in elsewhere:
            yield name, value
            continue
        for field, kind in (("secretKeyRef", "Secret"), ("configMapKeyRef", "ConfigMap")):
            reference = elsewhere[name].get(field)
            held = reference and _held(kind, reference["name"], reference["key"], manifests)
            if held is not None:
                yield name, held.decode(errors="replace")


def _documents(text: str) -> list[Manifest]:
    try:
        return [found for found in yaml.safe_load_all(text) if isinstance(found, dict)]
    except yaml.YAMLError as error:
        raise BadUsage(f"this is no YAML: {error}") from error


def _job(manifests: Iterable[Manifest], name: str | None) -> Manifest:
    jobs = [found for found in manifests if found.get("kind") == "TrainingJob"]
    fitting = [job for job in jobs if name in (None, job.get("metadata", {}).get("name"))]
    if len(fitting) == 1 and "name" in fitting[0].get("metadata", {}):
        return fitting[0]
    names = ", ".join(str(job.get("metadata", {}).get("name")) for job in jobs) or "none"
    raise BadUsage(f"name one TrainingJob (--name); the files hold: {names}")


def _spec(job: Manifest) -> dict[str, Any]:
    """The spec with its defaults. Of the rules across fields, which the API server checks, it checks only two."""
    given = job.get("spec") or {}
    try:
        checked = TrainingJobSpec.model_validate(given)
    except ValidationError as error:
        faults = [
            f"spec.{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}"
            for fault in error.errors(include_url=False, include_input=False)
        ]
    else:
        known = checked.model_dump(mode="json", by_alias=True)
        faults = [f"{path}: there is no such field" for path in _unknown("spec", given, known)]
        data, trainer = checked.data, checked.trainer
        if [data.uri, data.config_map_ref, data.source].count(None) != 2:
            faults.append("spec.data: set exactly one of uri, configMapRef and source")
        if (trainer.sklearn is None) == (trainer.image is None):
            faults.append("spec.trainer: set exactly one of sklearn and image")
    if faults:
        raise BadUsage(f"the TrainingJob is not valid: {'; '.join(faults[:MOST_FAULTS])}")
    spec: dict[str, Any] = checked.model_dump(mode="json", by_alias=True, exclude_none=True)
    return spec


def _unknown(path: str, given: Any, known: Any) -> Iterator[str]:  # noqa: ANN401 - whatever YAML holds
    """The paths of the fields in `given` that a model has not taken."""
    if isinstance(given, dict) and isinstance(known, dict):
        for key, value in given.items():
            if key not in known:
                yield f"{path}.{key}"
            else:
                yield from _unknown(f"{path}.{key}", value, known[key])
    elif isinstance(given, list) and isinstance(known, list):
        for place, (value, taken) in enumerate(zip(given, known, strict=False)):
            yield from _unknown(f"{path}[{place}]", value, taken)


def _mounted(uri: str, manifests: Iterable[Manifest]) -> tuple[str, bytes | None] | None:
    """The file that the pod would find on a volume, with its content if a ConfigMap of the manifests has it."""
    scheme, _, rest = uri.partition("://")
    owner, _, path = rest.partition("/")
    if scheme == "pvc":
        return path, None
    if scheme == "source":
        return "", None
    return (path, _held("ConfigMap", owner, path, manifests)) if scheme == "configmap" else None


def _held(kind: str, called: str, key: str, manifests: Iterable[Manifest]) -> bytes | None:
    """What a key of a ConfigMap or Secret of the manifests holds; None if they have none."""
    fitting = (found for found in manifests if found.get("kind") == kind)
    held: Manifest = next((m for m in fitting if m.get("metadata", {}).get("name") == called), {})
    plain, coded = ("stringData", "data") if kind == "Secret" else ("data", "binaryData")
    text, binary = (held.get(plain) or {}).get(key), (held.get(coded) or {}).get(key)
    if text is not None:
        return str(text).encode()
    try:
        return None if binary is None else base64.b64decode(str(binary))
    except ValueError as error:
        raise BadUsage(f"key {key} of {kind} {called} is no base64") from error


def _stores(data: Mapping[str, Any]) -> list[Resolved]:
    """The stores of the data, as the spec describes them: there is no administrator here."""
    described_so = ((use, described(use)) for use in source_uses(data, "data.store"))
    return [Resolved(use, store) for use, store in described_so if store is not None]


def _reached(data: Mapping[str, Any]) -> dict[str, str]:
    return store_variables(_stores(data), EVERY_NETWORK if source_uses(data, "data.store") else ())


def _files(data: Mapping[str, Any], manifests: Iterable[Manifest]) -> Iterator[tuple[str, bytes]]:
    """The files that only fetch may read: credentials and certificates of stores, and the file of DVC."""
    wanted = [
        (kind, part.get("name"), item["key"], f"{FOLDER}/{found.use.name}/{item['path']}")
        for found in _stores(data)
        for source in file_sources(found)
        for field, kind in (("secret", "Secret"), ("configMap", "ConfigMap"))
        if (part := source.get(field))
        for item in part["items"]
    ]
    if dvc := data.get("dvc"):
        reference = dvc["configMapRef"]
        wanted.append(("ConfigMap", reference["name"], reference["key"], f"{DVC_FOLDER}/{reference['key']}"))
    for kind, called, key, path in wanted:
        content = _held(kind, called, key, manifests)
        if content is not None:
            yield path.lstrip("/"), content


def gate_lines(document: str, evidence: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yields a line for each gate of a run document: its limit, and what publish measured. The operator judges it."""
    known = {found["name"]: found for found in evidence}
    for written in json.loads(document)["gates"]:
        gate = Gate.model_validate(written)
        found = known.get(written["name"], {})
        yield f"{gate.name}: {shape_of(gate, found.get('metric'))}; {_found(gate, found)}"


def _found(gate: Gate, found: Mapping[str, Any]) -> str:
    if gate.against == "Champion":
        return "there is no Champion here"
    if "value" not in found:
        return f"not measured: {found.get('message') or 'publish says nothing of it'}"
    rows = f", {found['samples']:,} rows" if "samples" in found else ""
    return f"it is {measured(found['value'], found.get('low'), found.get('high'))}{rows}"


def folder_of(path: str) -> str:
    """The folder that holds what a path names: for a pattern, the one that its files are in."""
    return str(PurePosixPath(path).parent)
