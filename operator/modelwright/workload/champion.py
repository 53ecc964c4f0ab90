"""The Champion in a pod: what the document of a step says of it, and where the step finds its file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from modelwright.api.storedocument import Use
from modelwright.api.trainingjob import Holdout
from modelwright.common.resources import CLAIMS
from modelwright.engine.cache import View
from modelwright.engine.objects import Body, Key, deleting, name, namespace
from modelwright.workload.podspec import Parts, claim_volume, mount
from modelwright.workload.store import claim_of
from modelwright.workload.stores import version_use

CHAMPION = mount("artifacts", "/champion", read_only=True)
OTHER_CHAMPION = mount("champion", "/champion", read_only=True)


def champion_document(version: Body) -> dict[str, Any]:
    """What a document says of the version that a model is compared with."""
    lineage = version["spec"].get("lineage") or {}
    parts = {
        "name": name(version),
        "artifact": artifact_document(version),
        "data": (lineage.get("data") or [{}])[0].get("digest"),
        "holdout": _holdout((lineage.get("recipe") or {}).get("data")),
    }
    return {key: value for key, value in parts.items() if value is not None}


def artifact_document(version: Body) -> dict[str, Any]:
    """What a document says of the file of a version."""
    artifact = version["spec"]["artifact"]
    return {key: artifact[key] for key in ("uri", "digest", "size") if key in artifact}


def champion_claim(view: View, champion: Body | None) -> str | None:
    """The claim of the Champion's file, if the operator sees that it can be mounted: it sees the default claim only."""
    claim = None if champion is None else claim_of(str(champion["spec"]["artifact"]["uri"]))
    if champion is None or claim is None:
        return None
    found = view.get(Key(CLAIMS, namespace(champion), claim))
    bound = found is not None and not deleting(found) and (found.get("status") or {}).get("phase") == "Bound"
    return claim if bound else None


def champion_parts(champion: Body | None, uri: str, seen: str | None) -> Parts:
    """Where a step finds the file of the Champion, read-only: in the claim of `uri`, which is mounted as `artifacts`, a
    second time; or in the claim `seen`, if `uri` is outside the namespace.

    No other claim is mounted: it may be gone, or be attached to another node than the one of `uri`, and then the pod
    would never start.
    """
    if champion is None:
        return Parts()
    claim, own = claim_of(str(champion["spec"]["artifact"]["uri"])), claim_of(uri)
    if claim is None or claim not in {own, seen}:
        return Parts()
    if own is not None:
        return Parts(mounts=(CHAMPION,)) if claim == own else Parts()
    return Parts((claim_volume("champion", claim, read_only=True),), (OTHER_CHAMPION,))


def champion_uses(champion: Body | None) -> tuple[Use, ...]:
    """The store outside the namespace that a step finds the file of the Champion in."""
    return () if champion is None else (version_use(champion, "champion", "champion.store"),)


def _holdout(data: object) -> dict[str, Any] | None:
    """How rows were held out of the data of a recipe; None if that is not known, as a user may have written it.

    None too for a hold-out with an address of its own: the trainer reads the document, and must not read that. And for
    a random one of a sample of the rows, since which rows were sampled is not in the document.
    """
    if not isinstance(data, Mapping):
        return None
    try:
        holdout = Holdout.model_validate(data.get("holdout") or {})
    except ValidationError:
        return None
    if holdout.uri is not None or (data.get("sample") and holdout.split != "Stable"):
        return None
    return holdout.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"extra_columns"})
