"""Writes a card as a bill of materials: CycloneDX 1.6 as JSON, with the model, its data, libraries and images. Pure.

https://cyclonedx.org/docs/1.6/json/. The serial number follows from the content, so that the same object gives the same
document.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from modelwright.api.modelversion import Metric
from modelwright.view.card.limits import limits
from modelwright.view.version import JudgedGate, Version, approval_phrase

Json = dict[str, Any]
SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"
MODEL = "model"
# Serial numbers of our documents are UUIDs of version 5 in this namespace.
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "modelwright.dev")


def bom(version: Version) -> Json:
    """Returns the document."""
    datasets, libraries, images = list(_datasets(version)), list(_libraries(version)), list(_images(version))
    components = [*datasets, *libraries, *images]
    content: Json = {
        "metadata": {
            **({"timestamp": version.made} if version.made else {}),
            "component": _model(version, [each["bom-ref"] for each in datasets]),
        },
        "components": components,
        "dependencies": [
            {"ref": MODEL, "dependsOn": [each["bom-ref"] for each in components]},
            *({"ref": each["bom-ref"]} for each in components),
        ],
    }
    serial = uuid.uuid5(NAMESPACE, json.dumps(content, sort_keys=True))
    return {
        "$schema": SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        **content,
    }


def _model(version: Version, datasets: list[str]) -> Json:
    artifact, code = version.spec.artifact, version.lineage.code
    references = [{"type": "distribution", "url": _iri(artifact.uri), "hashes": _hashes(artifact.digest)}]
    if code is not None:
        references.append({"type": "vcs", "url": _iri(code.repository), "comment": code.revision})
    return {
        "type": "machine-learning-model",
        "bom-ref": MODEL,
        "group": version.spec.model,
        "name": version.name,
        "version": version.digest,
        "hashes": _hashes(artifact.digest),
        "externalReferences": references,
        "modelCard": _card(version, datasets),
        "properties": list(_properties(version)),
    }


def _card(version: Version, datasets: list[str]) -> Json:
    """The model card inside the document."""
    signature, task = version.status.signature, version.status.task
    parameters: Json = {
        "approach": {"type": "supervised"},
        **({"task": task.lower()} if task else {}),
        **({"modelArchitecture": version.lineage.estimator} if version.lineage.estimator else {}),
        "datasets": [{"ref": ref} for ref in datasets],
    }
    if signature is not None:
        parameters["inputs"] = [{"format": f"{each.name}: {each.datatype}"} for each in signature.inputs]
        parameters["outputs"] = [{"format": f"{each.name}: {each.datatype}"} for each in signature.outputs]
    considerations: Json = {"technicalLimitations": limits(version)}
    groups = list(_groups(version))
    if groups:
        considerations["fairnessAssessments"] = groups
    return {
        "modelParameters": parameters,
        "quantitativeAnalysis": {"performanceMetrics": list(_performance(version))},
        "considerations": considerations,
    }


def _performance(version: Version) -> Iterator[Json]:
    """The metrics, then what gates measured on a part of the rows."""
    for metric in version.status.metrics:
        yield _metric(metric)
    for gate in version.gates():
        found, demand = gate.found, gate.demand
        if found is None or found.value is None or demand is None or not demand.slice:
            continue
        part = " and ".join(f"{column} is {value}" for column, value in demand.slice.items())
        yield {
            "type": found.metric,
            "value": f"{found.value:.6g}",
            "slice": part,
            **_ends(found.low, found.high),
        }


def _metric(metric: Metric) -> Json:
    about = {"slice": f"class {metric.positive_class}"} if metric.positive_class is not None else {}
    reported = "" if metric.source == "Measured" else " (reported)"
    name = f"{metric.name}{reported}"
    return {"type": name, "value": f"{metric.value:.6g}", **about, **_ends(metric.low, metric.high)}


def _ends(low: float | None, high: float | None) -> Json:
    if low is None or high is None:
        return {}
    return {"confidenceInterval": {"lowerBound": f"{low:.6g}", "upperBound": f"{high:.6g}"}}


def _groups(version: Version) -> Iterator[Json]:
    """What was measured of each group of a sensitive feature."""
    for table in version.status.fairness:
        for group in table.groups:
            measured = group.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"group"})
            words = ", ".join(f"{name} {value:.6g}" for name, value in measured.items())
            yield {
                "groupAtRisk": f"{table.feature} = {group.group}",
                "harms": f"not assessed; measured: {words}",
            }


def _properties(version: Version) -> Iterator[Json]:
    """What CycloneDX has no field for: the state, gates, approvals, aliases, seeds and parameters."""
    ready, lineage = version.ready, version.lineage
    rows = version.rows or (None, None)
    known = {
        "namespace": version.namespace,
        "ready": f"{ready.status} {ready.reason}" if ready else None,
        "aliases": ", ".join(version.status.aliases),
        "trainingJob": lineage.training_job,
        "run": lineage.run,
        "author": lineage.author,
        "seed": lineage.seed,
        "parameters": json.dumps(lineage.parameters, sort_keys=True) if lineage.parameters else None,
        "recipe": json.dumps(lineage.recipe, sort_keys=True) if lineage.recipe else None,
        "champion": f"{lineage.champion.name} {lineage.champion.digest}" if lineage.champion else None,
        "trainRows": rows[0],
        "holdoutRows": rows[1],
        "parity": version.status.parity.verdict if version.status.parity else None,
    }
    pairs = [(name, str(value)) for name, value in known.items() if value is not None and value != ""]
    pairs += [
        (f"dvc:{source.dvc.path}", f"md5 {source.dvc.md5}")
        for source in lineage.data or ()
        if source.dvc is not None
    ]
    pairs += [(f"gate:{gate.name}", _verdict(gate)) for gate in version.gates()]
    pairs += [(f"approval:{each.by}", approval_phrase(each)) for each in version.status.approvals]
    pairs += [(f"importance:{each.feature}", f"{each.value:.6g}") for each in version.status.importance]
    yield from ({"name": f"modelwright:{name}", "value": value} for name, value in pairs)


def _verdict(gate: JudgedGate) -> str:
    found = gate.found
    if found is None:
        return "Inconclusive: it was not judged"
    value = "" if found.value is None else f" {found.metric} {found.value:.6g}"
    limit = "" if found.threshold is None else f", limit {found.threshold:.6g}"
    return f"{found.verdict} ({found.reason}){value}{limit}"


def _datasets(version: Version) -> Iterator[Json]:
    for number, source in enumerate(version.lineage.data or (), start=1):
        yield {
            "type": "data",
            "bom-ref": f"data-{number}",
            "name": source.uri,
            **({"hashes": _hashes(source.digest)} if source.digest else {}),
            "data": [{"type": "dataset", "name": source.uri, "contents": {"url": _iri(source.uri)}}],
        }


def _libraries(version: Version) -> Iterator[Json]:
    for name, number in sorted((version.lineage.libraries or {}).items()):
        yield {
            "type": "library",
            "bom-ref": f"library-{name}",
            "name": name,
            "version": number,
            "purl": f"pkg:pypi/{quote(name.lower().replace('_', '-'))}@{quote(number)}",
        }


def _images(version: Version) -> Iterator[Json]:
    for number, image in enumerate(version.lineage.images or (), start=1):
        digest = re.search(r"sha256:[0-9a-f]{64}$", image.image_id or "")
        yield {
            "type": "container",
            "bom-ref": f"image-{number}",
            "name": image.image,
            **({"hashes": _hashes(digest[0])} if digest else {}),
            "properties": [
                {"name": "modelwright:step", "value": image.step},
                {"name": "modelwright:imageID", "value": image.image_id or "unknown"},
            ],
        }


def _hashes(digest: str) -> list[Json]:
    return [{"alg": "SHA-256", "content": digest.removeprefix("sha256:")}]


def _iri(uri: str) -> str:
    """A reference that is valid whatever is in it."""
    return quote(uri, safe=":/?#@!$&'()*+,;=%-._~")
