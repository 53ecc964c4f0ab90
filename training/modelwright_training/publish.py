"""The step `publish`: judges the model that was trained on rows it has not seen, and keeps it if it holds.

What is scored here is the file that will be served, in the library that will serve it."""

import json
import logging
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from modelwright_training import libraries
from modelwright_training.documents import (
    Dataset,
    RunDocument,
    SourceFacts,
    load_dataset,
    load_run,
    load_source_facts,
)
from modelwright_training.errors import InputError, storage
from modelwright_training.features import frames
from modelwright_training.judging import card, golden, parity, tables
from modelwright_training.judging import reference as references
from modelwright_training.judging.account import account
from modelwright_training.judging.gates import champion
from modelwright_training.judging.gates.overlap import Origin
from modelwright_training.judging.gates.world import Champion, World, look
from modelwright_training.judging.loaded import Loaded, load
from modelwright_training.judging.metrics import Rows
from modelwright_training.judging.profile import document as profiles
from modelwright_training.judging.profile.document import Profile
from modelwright_training.judging.reported import load_reported
from modelwright_training.judging.trained import Training, load_training
from modelwright_training.message import Json
from modelwright_training.onnxfile import modelfile, session
from modelwright_training.paths import SIGNATURE, Paths
from modelwright_training.signing import bundle, keys
from modelwright_training.storing import artifact, stores
from modelwright_training.storing.layout import MODEL, PROFILE, REPORT, mark_of
from modelwright_training.storing.stores import Store

log = logging.getLogger(__name__)

# Environment variable: what the key to sign with is called; absent if there is none.
SIGN = "MODELWRIGHT_SIGN"
UNCOUNTED = (
    "no profile.json: counting the hold-out failed, the log of publish says where; drift cannot be watched"
)
SKIPPED = {"verdict": "Skipped", "compared": 0}


def run(environ: Mapping[str, str], paths: Paths) -> Json:
    """Judge the model of the run and put it into the artifact store."""
    document = load_run(paths.run)
    key = keys.private_key(paths.key, environ[SIGN]) if SIGN in environ else None
    store = stores.store_of(document.artifacts.uri, "artifacts.uri", environ, paths)
    dataset, source = load_dataset(paths.dataset), load_source_facts(paths.source_facts)
    candidate = load(modelfile.read(paths.model_file), dataset)
    trained = frames.load_rows(paths.train_rows, dataset)
    holdout = frames.load_rows(paths.holdout_rows, dataset, extra=True)
    candidate = candidate.row_by_row(holdout)
    log.info("Scoring %d bytes of model on %d rows", candidate.file.size, len(holdout))
    rows, reported = _drawn(candidate.file.digest, source, paths), load_reported(paths.reported)
    rival = _rival(document, source, dataset, environ, paths)
    world = look(candidate, holdout, trained, rows, rival, reported)
    scored = account(world, document.gates)
    compared = _compare(candidate, paths, trained)
    log.info("Parity: %s over %d rows", compared["verdict"], compared["compared"])
    facts = _facts(trained, dataset)
    training, uri = load_training(paths.training), store.uri_of(candidate.file.digest)
    profile = _profile(world)
    counted = {"profile": {"digest": profile.digest, "rows": profile.rows}} if profile else {}
    measured = {**scored, **counted, "features": facts, "parity": compared}
    report = _report(document, uri, source, candidate, measured, training)
    files = {
        MODEL: candidate.file.content,
        REPORT: _text(report),
        "golden.json": _text(golden.make(candidate.model, candidate.feed, trained, dataset)),
        **({PROFILE: profile.content} if profile else {}),
        "card.md": card.card(report),
    }
    signed, unsigned = _kept(document, candidate.file.digest, files, key, store)
    judged = ("metrics", "evaluation", "parity", "gates", "importance", "fairness", "profile")
    kept = ("artifact", "task", *judged, "signature", "libraries")
    result = _with_note({name: report[name] for name in kept if name in report}, unsigned)
    return _with_note(result, None if profile else UNCOUNTED) | signed


def _profile(world: World) -> Profile | None:
    """The hold-out in counts; None if it cannot be counted: a defect there must not cost a trained model."""
    try:
        return profiles.make(world.model, world.frame, world.predicted)
    except Exception:
        log.exception("The hold-out cannot be counted")
        return None


def _kept(
    document: RunDocument,
    digest: str,
    files: Mapping[str, bytes],
    key: EllipticCurvePrivateKey | None,
    store: Store,
) -> tuple[Json, str | None]:
    """Keep the model, signed if there is a key; the name of the key, if the signature that is kept is of it, else what
    is to be said of it. What may pass is tried again: the model would have to be trained again."""
    mark = mark_of(document.namespace, document.training_job, document.run, document.uid)
    called = store.uri_of(digest)
    signature = {} if key is None else {SIGNATURE: bundle.sign(MODEL, digest, key)}
    fresh = stores.patiently(lambda: store.put(digest, {**files, **signature}, mark))
    log.info("%s %s", "Published" if fresh else "Already published:", called)
    if key is None:
        return {}, None
    found = stores.patiently(lambda: store.add(digest, SIGNATURE, signature[SIGNATURE]))
    return _signed(found, digest, key)


def _signed(signature: bytes, digest: str, key: EllipticCurvePrivateKey) -> tuple[Json, str | None]:
    public = key.public_key()
    try:
        bundle.verify(signature, MODEL, digest, public)
    except InputError as why:
        log.info("%s was there before and is left as it is: %s", SIGNATURE, why.message)
        what = "is of another key" if why.reason == "WrongKey" else "is no signature of it"
        return {}, (
            f"not signed with the key of spec.signing: {SIGNATURE} beside the file {what} and was left as it is; "
            "delete it and run again, or write a ModelVersion with verification by its key"
        )
    log.info("Signed with the key %s", keys.hint(public))
    return {"signedBy": keys.hint(public)}, None


def _with_note(result: Json, note: str | None) -> Json:
    """The result with one more note, before the others: messages show the first ones."""
    if note is None:
        return result
    evaluation = result["evaluation"]
    return {**result, "evaluation": {**evaluation, "notes": [note, *evaluation["notes"]]}}


def _drawn(digest: str, source: SourceFacts, paths: Paths) -> Rows:
    """How the hold-out is drawn again for intervals: from a seed that the model's digest gives."""
    if source.group is None:
        return Rows.of(digest)
    with storage(f"Reading {paths.holdout_rows}"):
        column = pd.read_parquet(paths.holdout_rows, columns=[source.group])[source.group]
    return Rows.of(digest, pd.factorize(column, use_na_sentinel=False)[0].astype(np.int64), source.group)


def _rival(
    document: RunDocument, source: SourceFacts, dataset: Dataset, environ: Mapping[str, str], paths: Paths
) -> Callable[[World], Champion] | None:
    """What loads the champion, once a gate asks for it; None if there is none."""
    if document.champion is None:
        return None
    own = None if source.holdout is None else source.holdout.digest
    sampled = document.data.sample is not None
    origin = Origin(source.digest, document.data.holdout, dataset.names, sampled, own)
    own, there = document.artifacts.uri, document.champion.artifact.uri
    reader = artifact.reader_of_champion(there, own, environ, paths)
    place = champion.Place(paths.champion, reader.read, own)
    return champion.rival(document.champion, place, origin)


def _compare(candidate: Loaded, paths: Paths, trained: pd.DataFrame) -> Json:
    reference = references.load(paths.reference, candidate.dataset)
    if reference is None:
        return SKIPPED
    rows = trained.iloc[reference.rows]
    outcome = parity.compare(reference, candidate.predict(rows), candidate.classes)
    if outcome.faults:
        raise InputError(
            "ParityFailed",
            f"The ONNX model does not predict what the trainer's own library predicts for the same "
            f"{len(rows)} rows: {'; '.join(outcome.faults)}. {parity.cause(rows, candidate.dataset)}"
            f"Use another estimator or other parameters; numbers: {outcome.summary()}",
        )
    return outcome.document()


def _facts(trained: pd.DataFrame, dataset: Dataset) -> list[Json]:
    """Each feature's kind, and the share of training rows in which it is missing."""
    found = []
    for feature in dataset.features:
        column = trained[feature.name]
        missing = column.isna() if feature.kind == "numeric" else column.isna() | (column == "")
        found.append(
            {"name": feature.name, "kind": feature.kind, "missing": tables.rounded(float(missing.mean()))}
        )
    return found


def _report(
    document: RunDocument,
    uri: str,
    source: SourceFacts,
    candidate: Loaded,
    measured: Json,
    training: Training | None,
) -> Json:
    dataset, digest = candidate.dataset, candidate.file.digest
    features = None if candidate.feed.by_column else dataset.names
    return {
        "model": document.model,
        "trainingJob": document.training_job,
        "namespace": document.namespace,
        "artifact": {"uri": uri, "digest": digest, "size": candidate.file.size},
        "task": dataset.task,
        "data": {
            **source.model_dump(by_alias=True, exclude_none=True, exclude={"format", "class_counts"}),
            "target": dataset.target.name,
        },
        **measured,
        "signature": session.signature(candidate.model, features, candidate.classes),
        "training": training.model_dump(by_alias=True, exclude_none=True) if training else None,
        "seed": document.seed,
        "libraries": {**(training.libraries if training else {}), **libraries.versions(libraries.SCORING)},
    }


def _text(document: Json) -> bytes:
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False).encode()
