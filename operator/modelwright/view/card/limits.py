"""What a reader of a card has to know: notes of the run, what was not measured, and what was let through. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from modelwright.view.version import Version


def limits(version: Version) -> list[str]:
    """Returns a sentence for each."""
    parts = (_let_through, _not_judged, _not_measured, _not_known)
    own = [f"{sentence}." for part in parts for sentence in part(version)]
    evaluation = version.status.evaluation
    notes = [f"Noted when it was measured: {note}" for note in (evaluation.notes if evaluation else ())]
    return [*own, *notes]


def _let_through(version: Version) -> Iterator[str]:
    ready = version.ready is not None and version.ready.status == "True"
    effect = "has let it through" if ready else "has approved it, without effect by now,"
    for approval in version.overrides:
        why = approval.reason or "no reason is given"
        yield f"{approval.by} {effect} although a gate had not passed: {why}"
    for approval in version.status.approvals:
        if not approval.verified:
            yield f"The API server has not checked that it was {approval.by} who decided {approval.decision}"
    for gate in version.gates():
        allowed = gate.found.on_inconclusive if gate.found is not None else version.spec.on_inconclusive
        if gate.verdict == "Inconclusive" and allowed == "Allow":
            yield f"The gate {gate.name} could not be decided, and does not keep it from being served (Allow)"


def _not_judged(version: Version) -> Iterator[str]:
    if not version.gates():
        yield "No gate judges it"
    ready = version.ready
    if ready is None or ready.status != "True":
        yield f"It is not Ready{f' ({ready.reason})' if ready else ''}, so no service takes it"
    quarantined = version.condition("Quarantined")
    if quarantined is not None and quarantined.status == "True":
        yield quarantined.message.rstrip(".")
    signed = version.condition("SignatureVerified")
    if signed is None or signed.status != "True":
        yield "No signature of the file was checked"


def _not_measured(version: Version) -> Iterator[str]:
    status = version.status
    reported = [metric.name for metric in status.metrics if metric.source == "Reported"]
    if not status.metrics:
        yield "Nothing was measured of it"
    if reported:
        yield f"Reported by its trainer or its folder, and measured by nothing here: {', '.join(reported)}"
    if status.parity is None or status.parity.verdict == "Skipped":
        yield "Its answers were not compared with the trainer's library"
    elif status.parity.verdict == "Fail":
        yield "Its answers differ from those of the trainer's library"
    if not status.fairness:
        yield "No groups were compared: no gate names a sensitiveFeature"
    if not status.importance:
        yield "No feature importance was measured"
    evaluation = status.evaluation
    if evaluation is not None and (evaluation.intervals is None or not evaluation.intervals.resamples):
        yield "The metrics have no intervals"
    signature = status.signature
    if (evaluation is not None and evaluation.truncated) or (signature is not None and signature.truncated):
        yield "Some tables are cut here; report.json beside the file has all"


def _not_known(version: Version) -> Iterator[str]:
    lineage = version.lineage
    if version.data_digest is None:
        yield "The digest of its data is not known"
    evaluate = version.spec.evaluate
    if evaluate is not None and evaluate.digest is None:
        yield "Nothing pins the data that it was scored on (evaluate.digest)"
    if version.spec.lineage is not None and lineage.recipe is None:
        yield "The recipe is not kept, so `modelwright reproduce` cannot make it again"
    if lineage.estimator is None and lineage.code is None:
        yield "The source code that trained it is not named (trainer.code)"
    without = [each.step for each in lineage.images or () if not each.image_id]
    if without:
        yield f"The digest of the image is not known of: {', '.join(without)}"
    if version.unread:
        shown = ", ".join(version.unread[:10])
        more = f" and {len(version.unread) - 10} more" if len(version.unread) > 10 else ""
        yield f"This program is of another release and does not understand: {shown}{more}. They are not on this page"
