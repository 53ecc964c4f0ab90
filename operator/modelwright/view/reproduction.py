"""Writes the TrainingJob that makes a version's model again, with the same digest. Pure.

The recipe, the digest of the data and that of an own image are pinned. What follows from the cluster cannot be: the
training image of its operator, and the processor. Comments say so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from pydantic import ValidationError

from modelwright.api import API_VERSION
from modelwright.api.modelversion import StepImage
from modelwright.api.rundocument import DEFAULT_GATES
from modelwright.api.trainingjob import NAME_LENGTH, TrainingJobSpec
from modelwright.view.version import Version, mapping

SUFFIX = "-again"
# A reference to an image by its digest, as kubelets report it; Docker's has a scheme.
PINNED = re.compile(r"^(?:docker-pullable://)?(\S+@sha256:[0-9a-f]{64})$")


class NotReproducible(ValueError):  # noqa: N818 - it describes the version
    """The object does not hold all that makes the model; the message says what is missing."""


def manifest(version: Version) -> dict[str, Any]:
    """Returns the TrainingJob. Its family is one of its own, so that no service takes what it makes by itself.

    The gates and approvals of the version are in it: making a model again is no way around them.
    """
    name = f"{version.name[: NAME_LENGTH - len(SUFFIX)].rstrip('-')}{SUFFIX}"
    found = {
        "model": name,
        **_recipe(version),
        **_terms(version),
    }
    try:
        TrainingJobSpec.model_validate(found)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise NotReproducible(
            f"the recipe of {version.name} is none that this release can read: {where}: {fault['msg']}"
        ) from error
    metadata = {"name": name, **({"namespace": version.namespace} if version.namespace else {})}
    return {"apiVersion": API_VERSION, "kind": "TrainingJob", "metadata": metadata, "spec": found}


def lines(version: Version) -> list[str]:
    """Returns the manifest as YAML, with comments on what it can promise. It can be applied as it is printed."""
    made = manifest(version)
    comments = [f"# {_on_one_line(sentence)}" for sentence in _remarks(version)]
    return [*comments, *yaml.safe_dump(made, sort_keys=False, width=10_000).splitlines()]


def _recipe(version: Version) -> dict[str, Any]:
    """The recipe with everything pinned; NotReproducible if that cannot be."""
    recipe = version.lineage.recipe
    if recipe is None:
        raise NotReproducible(_without_recipe(version))
    data, trainer = mapping(recipe.get("data")), mapping(recipe.get("trainer"))
    if version.data_digest is None:
        raise NotReproducible(
            f"{version.name} does not say which digest its data had, so a run on other data would not be noticed"
        )
    pinned: dict[str, Any] = {**recipe, "data": {**data, "digest": version.data_digest}}
    if source := mapping(data.get("source")):
        pinned["data"]["source"] = {**source, "image": _image(version, "source") or source.get("image")}
    if "image" in trainer:
        pinned["trainer"] = {**trainer, "image": _trainer_image(version)}
    return pinned


def _terms(version: Version) -> dict[str, Any]:
    """What decides whether the model may be served. A version has the default gates written out, a TrainingJob not."""
    spec = version.spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    terms: dict[str, Any] = {field: spec[field] for field in ("onInconclusive", "approval") if field in spec}
    if "gates" not in spec and "defaultGates" not in spec:
        return terms
    gates, default = spec.get("gates") or [], list(DEFAULT_GATES)
    if gates[-len(default) :] == default:
        own = gates[: -len(default)]
        return {**({"gates": own} if own else {}), **terms}
    return {**({"gates": gates} if gates else {}), "defaultGates": "Disabled", **terms}


def _without_recipe(version: Version) -> str:
    if version.lineage.training_job is None:
        return f"{version.name} was not made by a run, so nothing says how to make it again"
    return (
        f"{version.name} does not hold its recipe: it has more than 64 kB, or a release before this one made the "
        f"version. The spec of TrainingJob {version.lineage.training_job} may still be the same"
    )


def _image(version: Version, step: str) -> str | None:
    """The image of a step, by its digest; None if the kubelet reported none that a registry knows."""
    image = _of_step(version, step)
    found = PINNED.match((image.image_id or "") if image is not None else "")
    return None if found is None else found[1]


def _trainer_image(version: Version) -> str:
    """The image of the user's own trainer, by its digest."""
    found = _image(version, "train")
    if found is None:
        image = _of_step(version, "train")
        reported = image.image_id if image is not None and image.image_id else "nothing"
        raise NotReproducible(
            f"the image that trained {version.name} has no digest that a registry knows: the kubelet said {reported}. "
            "Push it to a registry, and run the TrainingJob from there"
        )
    return found


def _of_step(version: Version, step: str) -> StepImage | None:
    return next((each for each in version.lineage.images or () if each.step == step), None)


def _remarks(version: Version) -> Iterator[str]:
    """What a person has to know of the manifest."""
    lineage, trainer = version.lineage, mapping(version.recipe.get("trainer"))
    yield f"Makes the model of ModelVersion {version.name} again: {version.spec.artifact.digest}."
    libraries = ", ".join(f"{name} {number}" for name, number in sorted((lineage.libraries or {}).items()))
    image = _of_step(version, "fetch") or _of_step(version, "publish")
    yield (
        "The digest is the same only with the same libraries, and on a processor for which they choose the same "
        "kernels. The training image is that of the operator on this cluster."
    )
    if image is not None:
        yield f"It was made with the training image {image.image} ({image.image_id or 'of an unknown digest'})."
    yield f"It was made with {libraries}." if libraries else "Which libraries it was made with is not known."
    if "image" in trainer:
        yield "Whether your own image gives the same bytes twice depends on its program."
    yield from _missing(version, trainer)
    if version.spec.approval is not None and version.spec.approval.exclude_author:
        yield "Add spec.author, your own name: approval.excludeAuthor needs it."
    if lineage.champion is not None:
        yield f"It was compared with {lineage.champion.name}. In a family of its own it has no Champion."


def _missing(version: Version, trainer: Mapping[str, Any]) -> Iterator[str]:
    """What the recipe does not hold, as it may be secret, or as nothing pins it."""
    data = mapping(version.recipe.get("data"))
    holdout = mapping(data.get("holdout")).get("uri")
    if any(str(uri).startswith("https://") for uri in (data.get("uri"), holdout)):
        yield "Addresses are kept without query and password: add them where the server asks for them."
    if named := [*_named(data), *_named_of_trainer(trainer)]:
        yield f"It needs these objects in its namespace: {', '.join(named)}."
    if source := mapping(data.get("source")):
        yield "The container of data.source has to write the same bytes again: the digest of the data is pinned."
        if _image(version, "source") is None:
            yield f"Its image {source.get('image')} is not pinned: no digest of it is known that a registry knows."
    if holdout:
        yield f"The hold-out is another source, {holdout}, and no digest pins it. It makes no other model."
    lists = (trainer.get("env"), mapping(data.get("source")).get("env"))
    variables = [mapping(each) for env in lists if isinstance(env, list) for each in env]
    names = [str(each.get("name")) for each in variables if "value" not in each and "valueFrom" not in each]
    if names:
        yield f"Values that may be secret are not kept: fill in {', '.join(names)}."


def _named(data: Mapping[str, Any]) -> list[str]:
    """The Secrets and ConfigMaps that the data needs besides those of its uri."""
    store, source, dvc = (mapping(data.get(field)) for field in ("store", "source", "dvc"))
    secrets = [mapping(part.get("secretRef")).get("name") for part in (store, source)]
    maps = [
        mapping(reference).get("name")
        for reference in (store.get("caConfigMapRef"), data.get("caConfigMapRef"), dvc.get("configMapRef"))
    ]
    return [
        *(f"Secret {name}" for name in secrets if name),
        *(f"ConfigMap {name}" for name in maps if name),
    ]


def _named_of_trainer(trainer: Mapping[str, Any]) -> list[str]:
    """The Secrets, ConfigMaps and claims that the trainer's own image is given, each once."""
    named = []
    for variable in map(mapping, trainer.get("env") or ()):
        source = mapping(variable.get("valueFrom"))
        named += [("Secret", mapping(source.get("secretKeyRef")).get("name"))]
        named += [("ConfigMap", mapping(source.get("configMapKeyRef")).get("name"))]
    for source in map(mapping, trainer.get("envFrom") or ()):
        named += [("Secret", mapping(source.get("secretRef")).get("name"))]
        named += [("ConfigMap", mapping(source.get("configMapRef")).get("name"))]
    for volume in map(mapping, trainer.get("volumes") or ()):
        named += [("Secret", mapping(volume.get("secret")).get("secretName"))]
        named += [("ConfigMap", mapping(volume.get("configMap")).get("name"))]
        named += [("PersistentVolumeClaim", mapping(volume.get("persistentVolumeClaim")).get("claimName"))]
    return list(dict.fromkeys(f"{kind} {name}" for kind, name in named if name))


def _on_one_line(sentence: str) -> str:
    """A sentence without characters that would end the comment: its texts are not ours."""
    return "".join(char if char.isprintable() else " " for char in sentence)
