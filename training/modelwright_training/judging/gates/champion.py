"""Compares the candidate with the champion: both files are scored now, on the same rows, and drawn again together.

Never two stored numbers: those would be of other rows, and the noise of two hold-outs would hide what is asked. A
champion that cannot be compared never ends the step; the evidence says why."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from modelwright_training import documents, memory
from modelwright_training.documents import Artifact, Dataset, Feature, Gate
from modelwright_training.errors import InputError, OutsideError, StepError, listing, storage
from modelwright_training.judging.gates import comparing, overlap
from modelwright_training.judging.gates.evidence import Evidence, Unmeasurable
from modelwright_training.judging.gates.overlap import Origin
from modelwright_training.judging.gates.world import Champion, World, score
from modelwright_training.judging.loaded import Loaded
from modelwright_training.onnxfile import feeding, modelfile, predictions, session
from modelwright_training.onnxfile.modelfile import ModelFile
from modelwright_training.onnxfile.session import Model

NO_CHAMPION, NOT_COMPARABLE, OVERLAP = "NoChampion", "NotComparable", "HoldoutOverlap"
CLAIM = "pvc://"
# What the champion may take to answer all rows. The candidate has no such bound: its run has a deadline.
SECONDS = 300
# Bytes of memory that it may take, though the step has less left of what the pod may use: most models need less.
LEAST = 64 << 20


def measure(gate: Gate, world: World) -> Evidence:
    """The metric of the candidate less that of the champion, or with maxRatio their ratio."""
    champion = compared(world)
    assert champion.scored is not None  # noqa: S101 (`compared` has checked it)
    other_file = champion.model is not None and champion.model.file.digest != world.model.file.digest
    try:
        found = comparing.measure(gate, world, champion.scored, champion.name, other_file=other_file)
    except comparing.NoReferenceError as lack:
        raise Unmeasurable(NOT_COMPARABLE, f"{champion.name} has no {gate.metric}: {lack}") from lack
    message = "; ".join(part for part in (champion.message, found.message) if part)
    return replace(found, reason=champion.reason, message=message or None)


def compared(world: World) -> Champion:
    """The champion of a run, loaded and scored.

    Raises: Unmeasurable NoChampion if there is none, NotComparable if it cannot be compared."""
    champion = world.champion
    if champion is None:
        raise Unmeasurable(NO_CHAMPION, "there is no version yet to compare with")
    if champion.scored is None:
        raise Unmeasurable(champion.reason or NOT_COMPARABLE, champion.message or "it cannot be compared")
    return champion


@dataclass(frozen=True)
class Place:
    """How the file of a champion is read. `folder`: where the volume is mounted if it is on the candidate's claim.

    `own`: the uri of the candidate, or of its store."""

    folder: Path
    read: Callable[[Artifact], ModelFile]
    own: str


def rival(champion: documents.Champion, place: Place, origin: Origin) -> Callable[[World], Champion]:
    """Gives a function that loads the champion and scores it on the hold-out. It raises nothing."""

    def load(world: World) -> Champion:
        try:
            with memory.bounded(max(memory.limit() - memory.used(), LEAST), champion.name):
                return _scored(champion, place, origin, world)
        except StepError as error:
            again = " Run again to compare with it." if isinstance(error, OutsideError) else ""
            message = f"{champion.name} cannot be compared: {error.message}{again}"
            return Champion(champion.name, reason=NOT_COMPARABLE, message=message)

    return load


def _scored(champion: documents.Champion, place: Place, origin: Origin, world: World) -> Champion:
    if champion.artifact.uri.startswith(CLAIM):
        _check_mounted(champion.artifact.uri, place)
    file = place.read(champion.artifact)
    modelfile.check(file)
    model = session.load(file)
    _check_task(model, world.model.dataset)
    dataset, assumed = _columns(model, world)
    classes = predictions.classes_of(model, dataset)
    known = world.model.classes
    if known is not None and classes is not None and set(classes) != set(known):
        raise _not(f"it knows the classes {_listed(classes)}, the candidate {_listed(known)}")
    with session.limited(model, SECONDS) as bounded:
        loaded = Loaded(file, bounded, feeding.feeder(bounded, dataset), dataset, classes)
        frame = _filled(world.frame, dataset)
        loaded = loaded.row_by_row(frame)
        predicted = loaded.predict(frame)
    if predicted.labels is not None and classes is not None:
        strange = sorted(set(predicted.labels.tolist()) - set(classes))
        if strange:
            raise _not(f"it answers the classes {_listed(strange)}, which the candidate does not know")
    loaded = Loaded(file, model, loaded.feed, dataset, classes, loaded.alone)
    scored = score(loaded, world.frame, predicted, world.learnt, world.rows)
    doubt = overlap.warning(champion, dataset.names, origin)
    message = "; ".join(part for part in (doubt, assumed) if part) or None
    return Champion(champion.name, loaded, scored, OVERLAP if doubt else None, message)


def _check_mounted(uri: str, place: Place) -> None:
    with storage(f"Looking for {uri}"):
        if place.folder.is_dir():
            return
    if place.own.startswith(CLAIM):
        raise _not(f"its file is {uri}, and only the claim of the candidate is mounted ({place.own})")
    raise _not(
        f"its file is {uri}, and no claim is mounted, for the candidate is kept outside the cluster ({place.own})"
    )


def _check_task(model: Model, dataset: Dataset) -> None:
    task = model.properties.get("dev.modelwright.task")
    if task is not None and task != dataset.task:
        raise _not(f"it is a model for {task.lower()}, the candidate one for {dataset.task.lower()}")


def _columns(model: Model, world: World) -> tuple[Dataset, str | None]:
    """The data set as the champion takes it: its columns in its order; and what had to be assumed of them."""
    dataset = world.model.dataset
    target, known = dataset.target.name, {feature.name: feature for feature in dataset.features}
    there = {
        str(name): known.get(str(name)) or _feature(world.frame, str(name))
        for name in world.frame.columns
        if name != target
    }
    inputs, assumed = [tensor.name for tensor in model.inputs], None
    if len(inputs) == 1 and inputs[0] not in there:
        names = session.listed(model, "features")
        if names is None:
            names, width = dataset.names, model.inputs[0].shape[-1]
            if len(model.inputs[0].shape) != 2 or width not in (-1, len(names)):
                raise _not(
                    f"it takes one input {inputs[0]!r} of shape {list(model.inputs[0].shape)} and does not name its "
                    f"columns; the data has {len(names)} features"
                )
            assumed = f"it does not name its columns: they are taken to be {listing(names, 8)}"
    else:
        names = inputs
    missing = [str(name) for name in names if name not in there]
    if missing:
        raise _not(
            f"it takes {_some('column', missing)}, which the hold-out does not have"
            f"{' but as the target' if target in missing else ': name them in data.holdout.extraColumns'}"
        )
    features = [there[name] for name in names]
    for tensor in model.inputs:
        feature = there.get(tensor.name)
        written = None if feature is None else feature.format
        if feature is not None and tensor.format and written and tensor.format != written:
            raise _not(f"it reads dates of {tensor.name!r} as {tensor.format}, the data writes {written}")
    return dataset.model_copy(update={"features": features}), assumed


def _feature(frame: pd.DataFrame, name: str) -> Feature:
    """A column that only the hold-out has."""
    numeric = pd.api.types.is_numeric_dtype(frame[name])
    return Feature(name=name, kind="numeric" if numeric else "categorical")


def _filled(frame: pd.DataFrame, dataset: Dataset) -> pd.DataFrame:
    """The rows with "" for missing texts, as features have it; columns of the hold-out alone have nothing there."""
    texts = [feature.name for feature in dataset.features if feature.kind != "numeric"]
    return frame.assign(**{name: frame[name].fillna("") for name in texts})


def _some(what: str, names: Sequence[str]) -> str:
    return f"the {what}{'s' if len(names) > 1 else ''} {listing(list(names), 8)}"


def _listed(classes: Sequence[documents.Class]) -> str:
    return listing([str(label)[:60] for label in classes], 8)


def _not(message: str) -> InputError:
    return InputError(NOT_COMPARABLE, message)
