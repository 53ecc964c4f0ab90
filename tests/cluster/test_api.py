"""The API server, with our CRDs, refuses what cannot work and says what to do."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from support import resources
from support.kubectl import Kubectl

pytestmark = pytest.mark.cluster

DIGEST = "sha256:" + "a" * 64

TRAINING_JOB: dict[str, Any] = {
    "apiVersion": "modelwright.dev/v1alpha1",
    "kind": "TrainingJob",
    "metadata": {"name": "churn"},
    "spec": {
        "data": {"uri": "sklearn://breast_cancer", "target": "target"},
        "trainer": {"sklearn": {"estimator": "sklearn.ensemble.RandomForestClassifier"}},
    },
}
MODEL_VERSION: dict[str, Any] = {
    "apiVersion": "modelwright.dev/v1alpha1",
    "kind": "ModelVersion",
    "metadata": {"name": "churn-1"},
    "spec": {"model": "churn", "artifact": {"uri": "pvc://models/churn/model.onnx", "digest": DIGEST}},
}
INFERENCE_SERVICE: dict[str, Any] = {
    "apiVersion": "modelwright.dev/v1alpha1",
    "kind": "InferenceService",
    "metadata": {"name": "churn"},
    "spec": {"model": {"version": "churn-1"}},
}


def changed(manifest: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The manifest with one field set (None removes it)."""
    result = copy.deepcopy(manifest)
    *parents, last = path.split(".")
    node = result
    for parent in parents:
        node = node.setdefault(parent, {})
    if value is None:
        node.pop(last)
    else:
        node[last] = value
    return result


SECRET = {"secretRef": {"name": "keys"}}
CA = {"name": "corp-ca", "key": "ca.crt"}
DVC = {"configMapRef": {"name": "repo", "key": "dvc.lock"}, "path": "data/churn.csv"}
ROLE = {"roleArn": "arn:aws:iam::1:role/models"}
CLIENT = {"clientId": "c", "tenantId": "t"}
POOL = {"workloadIdentityProvider": "projects/1/locations/global/workloadIdentityPools/a/providers/b"}


TRIGGERS = {
    "schedule": "0 3 * * MON-FRI",
    "timeZone": "America/Argentina/Buenos_Aires",
    "startingDeadlineSeconds": 3600,
    "onDataChange": {"intervalSeconds": 60},
    "onDrift": {"serviceRef": {"name": "churn"}, "consecutive": 2, "minNewSamples": 2000, "force": True},
    "onScore": {"serviceRef": {"name": "churn"}},
}
BRAKES = {
    "cooldownSeconds": 86400,
    "maxRunsPerDay": 4,
    "concurrencyPolicy": "Replace",
    "suspendAfterFailures": 0,
    "budgetSeconds": 36000,
}


def data(uri: str, store: dict[str, Any]) -> dict[str, Any]:
    """Data in a store."""
    return {"uri": uri, "target": "y", "store": store}


def rollout(*weights: int, **more: Any) -> dict[str, Any]:
    """A canary with these steps."""
    return {"strategy": "Canary", "steps": [{"weight": weight, **more} for weight in weights]}


def queries(*given: dict[str, Any]) -> dict[str, Any]:
    """An analysis with these queries."""
    return {"queries": [{"name": "complaints", "query": "up", **query} for query in given]}


def scored(*metrics: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Feedback with these scores."""
    return {"feedback": {"secretRef": {"name": "feedback"}, "metrics": list(metrics), **more}}


MONITORING = {
    "drift": {"windowSeconds": 20, "alpha": 0.001, "effect": 0},
    **scored({"name": "roc_auc", "min": 0.85, "minLabels": 10}, {"name": "log_loss", "max": 1}),
    "slo": {"availability": 0.999, "latencySeconds": 0.05, "latencyTarget": 0.99, "windowDays": 30},
}
ASKING = changed(
    INFERENCE_SERVICE,
    "spec.rollout.analysis",
    queries({"query": 'sum(rate(x{r="$(revision)",$n=~"$"}[$(seconds)s]))', "max": 0.5, "min": 0.5}),
)
CANARY = changed(INFERENCE_SERVICE, "spec.rollout", rollout(0, 5, 5, 100))
TABLE = {
    "uri": "pvc://lake/2026-*.csv.gz",
    "target": "churned",
    "exclude": ["id"],
    "weight": "importance",
    "positiveClass": 1,
    "sample": {"rows": 1000},
    "leakCheck": {"onLeak": "Refuse"},
    "schema": {"joined": {"type": "date"}, "remark": {"type": "text"}},
    "holdout": {"split": "Stable", "key": "customer"},
}
BOOSTED = {"estimator": "lightgbm.LGBMClassifier", "earlyStopping": {"rounds": 10}}
REFUSED: list[tuple[dict[str, Any], str, Any, str | None]] = [
    (TRAINING_JOB, "spec.data.uri", "ftp://lake/x.csv", "spec.data.uri"),
    (TRAINING_JOB, "spec.data.uri", "s3://Lake/x.csv", "spec.data.uri"),
    (TRAINING_JOB, "spec.data.uri", "oci://registry", "spec.data.uri"),
    (TRAINING_JOB, "spec.data.uri", "http://example.org/x.csv", "spec.data.uri"),
    (TRAINING_JOB, "spec.data.uri", "pvc://claim/../secrets", None),
    (TRAINING_JOB, "spec.data.uri", None, "set exactly one of uri, configMapRef and source"),
    (TRAINING_JOB, "spec.data.configMapRef", {"name": "a", "key": "b"}, "set exactly one of uri, configMapRef and"),
    (TRAINING_JOB, "spec.data.source", {"image": "mine:1"}, "set exactly one of uri, configMapRef and source"),
    (TRAINING_JOB, "spec.data", {"target": "y", "source": {"image": "mine:1"}, "dvc": DVC}, "dvc needs uri"),
    (TRAINING_JOB, "spec.data.dvc", {"path": "data/x.csv"}, "spec.data.dvc.configMapRef: Required"),
    (TRAINING_JOB, "spec.data.store", SECRET, "store is for s3://, gs://, az://, https:// and oci://; remove it"),
    (TRAINING_JOB, "spec.data", {"target": "y", "source": {"image": "mine:1"}, "store": SECRET}, "store is for s3"),
    (TRAINING_JOB, "spec.data", data("s3://lake/a", {**SECRET, "identity": ROLE}), "at most one of secretRef and"),
    (TRAINING_JOB, "spec.data", data("s3://lake/a", {"identity": {}}), "set exactly one of roleArn"),
    (TRAINING_JOB, "spec.data", data("s3://lake/a", {"identity": {**ROLE, **CLIENT}}), "set exactly one of roleArn"),
    (TRAINING_JOB, "spec.data", data("az://lake/a", {"identity": {"clientId": "c"}}), "clientId and tenantId go"),
    (TRAINING_JOB, "spec.data", data("s3://l/a", {"identity": {**ROLE, "serviceAccount": "x"}}), "serviceAccount goes"),
    (TRAINING_JOB, "spec.data", data("az://lake/a", {"identity": ROLE}), "roleArn is for s3://, clientId for az://"),
    (TRAINING_JOB, "spec.data", data("https://a.example/a", {"identity": ROLE}), "roleArn is for s3://, clientId"),
    (TRAINING_JOB, "spec.data", data("s3://lake/a", {"endpoint": "s3.corp:9000"}), "spec.data.store.endpoint"),
    (TRAINING_JOB, "spec.data", data("https://a.example/a", {"endpoint": "https://b"}), "store.endpoint is for s3://"),
    (TRAINING_JOB, "spec.data", data("gs://lake/a", {"region": "europe-west1"}), "store.region is for s3://"),
    (TRAINING_JOB, "spec.data.uri", "s3://lake", "only a remote of dvc may be"),
    (TRAINING_JOB, "spec.data.uri", "pvc://lake", "only a remote of dvc may be"),
    (TRAINING_JOB, "spec.data.holdout", {"uri": "s3://lake"}, "spec.data.holdout.uri"),
    (TRAINING_JOB, "spec.data", data("s3://lake/a", {"endpoint": "https://me:pass@s3.corp"}), "store.endpoint"),
    (TRAINING_JOB, "spec.data", data("s3://lake/a", {"endpoint": "https://s3.corp?x=1"}), "store.endpoint"),
    (TRAINING_JOB, "spec.data", data("s3://l/a", {"identity": {**ROLE, "stsEndpoint": "http://sts"}}), "stsEndpoint"),
    (TRAINING_JOB, "spec.data", data("s3://lake/a", {"secretRef": {"name": "A_B"}}), "spec.data.store.secretRef.name"),
    (
        TRAINING_JOB, "spec.data",
        {**data("https://a.example/a", {"caConfigMapRef": CA}), "caConfigMapRef": CA},
        "at most one of caConfigMapRef and store.caConfigMapRef",
    ),
    (TRAINING_JOB, "spec.data.target", None, "spec.data.target: Required"),
    (TRAINING_JOB, "spec.data.features", ["age", "target"], "features must not contain the target"),
    (TRAINING_JOB, "spec.data.digest", "sha256:short", "spec.data.digest"),
    (TRAINING_JOB, "spec.data.holdout", {"fraction": 1.5}, "spec.data.holdout.fraction"),
    (TRAINING_JOB, "spec.data.schema", {"age": {"min": 2, "max": 1}}, "min must not be above max"),
    (TRAINING_JOB, "spec.data.schema", {"plan": {"type": "string", "min": 1}}, "min and max are for columns"),
    (TRAINING_JOB, "spec.data.caConfigMapRef", {"name": "ca", "key": "ca.crt"}, "caConfigMapRef is for https"),
    (TRAINING_JOB, "spec.trainer", {}, "set exactly one of sklearn and image"),
    (TRAINING_JOB, "spec.trainer.image", "mine:1", "set exactly one of sklearn and image"),
    (TRAINING_JOB, "spec.trainer.command", ["sh"], "command, args and env go with image"),
    (TRAINING_JOB, "spec.trainer.sklearn.estimator", "os.system", "spec.trainer.sklearn.estimator"),
    (TRAINING_JOB, "spec.trainer.sklearn.estimator", "catboost.CatBoostClassifier", "spec.trainer.sklearn.estimator"),
    (TRAINING_JOB, "spec.trainer.sklearn.estimator", "lightgbm.basic.Booster", "spec.trainer.sklearn.estimator"),
    (TRAINING_JOB, "spec.trainer.sklearn.earlyStopping", {"rounds": 0}, "earlyStopping.rounds"),
    (TRAINING_JOB, "spec.trainer.preprocess", [{"impute": "Mean"}], "set exactly one of columns and kind"),
    (TRAINING_JOB, "spec.trainer.preprocess", [{"kind": "number"}], "spec.trainer.preprocess[0].kind"),
    (TRAINING_JOB, "spec.trainer", {"image": "mine:1", "preprocess": [{"kind": "date"}]}, "preprocess goes with"),
    (TRAINING_JOB, "spec.data.exclude", ["id", "target"], "exclude must not contain the target"),
    (TRAINING_JOB, "spec.data.sample", {"rows": 1}, "spec.data.sample.rows"),
    (TRAINING_JOB, "spec.data.leakCheck", {"threshold": 0.2}, "spec.data.leakCheck.threshold"),
    (TRAINING_JOB, "spec.data.holdout", {"group": "a", "uri": "sklearn://iris"}, "at most one of after, group"),
    (TRAINING_JOB, "spec.data.holdout", {"split": "Stable", "uri": "sklearn://iris"}, "split Stable goes with"),
    (TRAINING_JOB, "spec.data.holdout", {"key": "id"}, "key is for split Stable"),
    (
        TRAINING_JOB,
        "spec.data.holdout",
        {"key": "id", "group": "id", "split": "Stable"},
        "set at most one of key and group",
    ),
    (
        TRAINING_JOB,
        "spec.gates",
        [{"metric": "rmse", "against": "Champion", "maxRatio": 1.2, "maxChange": 0.1}],
        "a ratio and a change are different numbers",
    ),
    (TRAINING_JOB, "spec.artifacts", {"uri": "https://models.example/x"}, "spec.artifacts.uri"),
    (TRAINING_JOB, "spec.artifacts", {"uri": "oci://registry.corp/models:1"}, "spec.artifacts.uri"),
    (TRAINING_JOB, "spec.artifacts", {"store": SECRET}, "store is for s3://"),
    (TRAINING_JOB, "spec.artifacts", {"uri": "pvc://models", "store": SECRET}, "store is for s3://"),
    (
        TRAINING_JOB, "spec.artifacts",
        {"uri": "oci://registry.corp/models", "deletionPolicy": "Delete"}, "a registry deletes by its own rules",
    ),
    (TRAINING_JOB, "spec.artifacts", {"deletionPolicy": "Recycle"}, "spec.artifacts.deletionPolicy"),
    (TRAINING_JOB, "spec.versionsHistoryLimit", 0, "spec.versionsHistoryLimit"),
    (TRAINING_JOB, "spec.versionsHistoryLimit", 1001, "spec.versionsHistoryLimit"),
    (TRAINING_JOB, "spec.triggers", {"schedule": "0 3 * *"}, "spec.triggers.schedule"),
    (TRAINING_JOB, "spec.triggers", {"schedule": "0 0 3 * * 1"}, "spec.triggers.schedule"),
    (TRAINING_JOB, "spec.triggers", {"schedule": "@reboot"}, "spec.triggers.schedule"),
    (TRAINING_JOB, "spec.triggers", {"schedule": "CRON_TZ=UTC 0 3 * * 1"}, "spec.triggers.schedule"),
    (TRAINING_JOB, "spec.triggers", {"schedule": "@daily", "timeZone": "../UTC"}, "spec.triggers.timeZone"),
    (TRAINING_JOB, "spec.triggers", {"timeZone": "Europe/Berlin"}, "timeZone is for schedule; remove it"),
    (TRAINING_JOB, "spec.triggers", {"startingDeadlineSeconds": 60}, "startingDeadlineSeconds is for schedule"),
    (TRAINING_JOB, "spec.triggers", {"onDataChange": {"intervalSeconds": 59}}, "onDataChange.intervalSeconds"),
    (TRAINING_JOB, "spec.triggers", {"onDrift": {"consecutive": 2}}, "onDrift.serviceRef: Required"),
    (TRAINING_JOB, "spec.brakes", {"concurrencyPolicy": "Allow"}, "spec.brakes.concurrencyPolicy"),
    (TRAINING_JOB, "spec.brakes", {"maxRunsPerDay": 0}, "spec.brakes.maxRunsPerDay"),
    (TRAINING_JOB, "spec.brakes", {"cooldownSeconds": "1h"}, "spec.brakes.cooldownSeconds"),
    (
        changed(TRAINING_JOB, "spec.triggers", {"onDataChange": {}}), "spec.data",
        {"target": "y", "source": {"image": "mine:1"}}, "onDataChange cannot look into a container",
    ),
    (
        changed(TRAINING_JOB, "spec.triggers", {"onDataChange": {}}), "spec.data.digest",
        DIGEST, "data.digest admits no other data",
    ),
    (TRAINING_JOB, "spec.backoffLimit", -1, "spec.backoffLimit"),
    (TRAINING_JOB, "spec.activeDeadlineSeconds", 0, "spec.activeDeadlineSeconds"),
    (TRAINING_JOB, "metadata.name", "a" * 51, "the name must be a DNS label of at most 50 characters"),
    (TRAINING_JOB, "metadata.name", "with.dots", "the name must be a DNS label of at most 50 characters"),
    (MODEL_VERSION, "spec.artifact.uri", "http://example.org/model.onnx", "spec.artifact.uri"),
    (MODEL_VERSION, "spec.artifact.uri", "https://example.org/model.onnx?sig=x", "spec.artifact.uri"),
    (MODEL_VERSION, "spec.artifact.uri", "s3://models", "spec.artifact.uri"),
    (MODEL_VERSION, "spec.artifact.store", SECRET, "store is for s3://"),
    (MODEL_VERSION, "spec.artifact.digest", "md5:123", "spec.artifact.digest"),
    (MODEL_VERSION, "spec.model", "Not A Label", "spec.model"),
    (INFERENCE_SERVICE, "spec.model", {}, "set exactly one of version and name"),
    (INFERENCE_SERVICE, "spec.model", {"version": "a", "name": "b", "track": "Latest"}, "set exactly one of"),
    (INFERENCE_SERVICE, "spec.model", {"name": "churn"}, "name and track go together"),
    (INFERENCE_SERVICE, "spec.model", {"name": "churn", "track": "Newest"}, "spec.model.track"),
    (INFERENCE_SERVICE, "spec.replicas", -1, "spec.replicas"),
    (INFERENCE_SERVICE, "spec.autoscaling", {}, "spec.autoscaling.maxReplicas: Required"),
    (INFERENCE_SERVICE, "spec.autoscaling", {"minReplicas": 0, "maxReplicas": 2}, "spec.autoscaling.minReplicas"),
    (INFERENCE_SERVICE, "spec.autoscaling", {"minReplicas": 3, "maxReplicas": 2}, "minReplicas must not be above"),
    (
        changed(INFERENCE_SERVICE, "spec.autoscaling", {"maxReplicas": 2}), "spec.resources",
        {"requests": {"memory": "96Mi"}}, "set resources.requests.cpu",
    ),
    (INFERENCE_SERVICE, "spec.rollout", {"strategy": "BigBang"}, "spec.rollout.strategy"),
    (INFERENCE_SERVICE, "spec.rollout", {"strategy": "Canary"}, "strategy Canary needs steps"),
    (INFERENCE_SERVICE, "spec.rollout", {"steps": [{"weight": 5}]}, "strategy Canary needs steps"),
    (INFERENCE_SERVICE, "spec.rollout", rollout(50, 10), "weights have to grow from step to step"),
    (INFERENCE_SERVICE, "spec.rollout", rollout(50, 101), "spec.rollout.steps[1].weight"),
    (INFERENCE_SERVICE, "spec.rollout", rollout(5, holdSeconds="5m"), "spec.rollout.steps[0].holdSeconds"),
    (INFERENCE_SERVICE, "spec.rollout", rollout(5, mirror=-1), "spec.rollout.steps[0].mirror"),
    (INFERENCE_SERVICE, "spec.rollout.analysis", {"maxErrorRate": 2}, "spec.rollout.analysis.maxErrorRate"),
    (INFERENCE_SERVICE, "spec.rollout.analysis", {"falseAlarmRate": 0}, "spec.rollout.analysis.falseAlarmRate"),
    (INFERENCE_SERVICE, "spec.rollout.analysis", {"falseAlarmRate": 0.6}, "spec.rollout.analysis.falseAlarmRate"),
    (INFERENCE_SERVICE, "spec.rollout.analysis", {"maxDifference": 2e6}, "spec.rollout.analysis.maxDifference"),
    (INFERENCE_SERVICE, "spec.rollout.analysis", {"maxPredictionShift": 2}, "analysis.maxPredictionShift"),
    (INFERENCE_SERVICE, "spec.rollout.analysis", {"maxScoreDrop": {"metric": "accuracy"}}, "change: Required"),
    (
        INFERENCE_SERVICE, "spec.rollout.analysis",
        {"maxScoreDrop": {"metric": "accuracy", "change": 0.02}}, "maxScoreDrop needs labels",
    ),
    (INFERENCE_SERVICE, "spec.rollout.analysis", {"onNoData": "Guess"}, "spec.rollout.analysis.onNoData"),
    (INFERENCE_SERVICE, "spec.rollout.analysis", queries({}), "set max, min or both"),
    (INFERENCE_SERVICE, "spec.rollout.analysis", queries({"min": 2, "max": 1}), "min must not be above max"),
    (INFERENCE_SERVICE, "spec.rollout.analysis", queries({"max": 1}, {"max": 2}), "duplicate entries for key"),
    (INFERENCE_SERVICE, "spec.rollout.analysis", queries({"max": 1, "name": "a b"}), "queries[0].name"),
    (INFERENCE_SERVICE, "spec.rollout.analysis", queries({"max": 1, "query": ""}), "queries[0].query"),
    (
        INFERENCE_SERVICE, "spec.rollout.analysis",
        queries({"max": 1, "query": 'a{r="$(revision)",s="$(steps)"}'}), "$(steps) means nothing: only $(revision)",
    ),
    (INFERENCE_SERVICE, "spec.rollout.analysis", queries({"max": 1, "query": "$$(x"}), "$(x means nothing"),
    (
        INFERENCE_SERVICE, "spec.rollout.analysis",
        queries(*({"max": 1, "name": f"n{n}"} for n in range(11))), "at most 10 items",
    ),
    (INFERENCE_SERVICE, "spec.rollout.traffic", {"sticky": "a b"}, "spec.rollout.traffic.sticky"),
    (INFERENCE_SERVICE, "spec.monitoring", {}, "set at least one of drift, feedback and slo"),
    (INFERENCE_SERVICE, "spec.monitoring", {"drift": {"windowSeconds": 9}}, "spec.monitoring.drift.windowSeconds"),
    (INFERENCE_SERVICE, "spec.monitoring", {"drift": {"minSamples": 49}}, "spec.monitoring.drift.minSamples"),
    (INFERENCE_SERVICE, "spec.monitoring", {"drift": {"alpha": 0}}, "spec.monitoring.drift.alpha"),
    (INFERENCE_SERVICE, "spec.monitoring", {"drift": {"effect": -1}}, "spec.monitoring.drift.effect"),
    (INFERENCE_SERVICE, "spec.monitoring", {"drift": {"consecutive": 25}}, "spec.monitoring.drift.consecutive"),
    (INFERENCE_SERVICE, "spec.monitoring", {"feedback": {}}, "spec.monitoring.feedback.secretRef: Required"),
    (INFERENCE_SERVICE, "spec.monitoring", scored(maxAgeSeconds=1), "spec.monitoring.feedback.maxAgeSeconds"),
    (INFERENCE_SERVICE, "spec.monitoring", scored({"name": "accuracy"}), "set max, min or both"),
    (INFERENCE_SERVICE, "spec.monitoring", scored({"name": "mae", "min": 2, "max": 1}), "min must not be above max"),
    (INFERENCE_SERVICE, "spec.monitoring", scored({"name": "luck", "min": 1}), "spec.monitoring.feedback.metrics[0]"),
    (INFERENCE_SERVICE, "spec.monitoring", scored(*[{"name": "mae", "max": 1}] * 2), "duplicate entries for key"),
    (INFERENCE_SERVICE, "spec.monitoring", {"slo": {}}, "set availability, latencySeconds or both"),
    (INFERENCE_SERVICE, "spec.monitoring", {"slo": {"availability": 1}}, "spec.monitoring.slo.availability"),
    (INFERENCE_SERVICE, "spec.monitoring", {"slo": {"latencySeconds": 0.3}}, "it must be one of 0.001, 0.0025, 0.005"),
    (INFERENCE_SERVICE, "spec.monitoring", {"slo": {"latencySeconds": 3}}, "it must be one of 0.001, 0.0025, 0.005"),
    (
        INFERENCE_SERVICE, "spec.monitoring",
        {"slo": {"availability": 0.9, "latencyTarget": 0.9}}, "latencyTarget goes with latencySeconds",
    ),
    (INFERENCE_SERVICE, "metadata.name", "a" * 45, "the name must be a DNS label of at most 44 characters"),
    (INFERENCE_SERVICE, "metadata.name", "1st-model", "the name must begin with a letter"),
    *((TRAINING_JOB, "spec.resources", refused, said) for refused, said in resources.REFUSED),
    (TRAINING_JOB, "spec.resources", {"limits": {"memory": "lots"}}, "correct the amount"),
    (INFERENCE_SERVICE, "spec.resources", *resources.REFUSED[0]),
]  # fmt: skip
TAKEN = [
    TRAINING_JOB, MODEL_VERSION, INFERENCE_SERVICE, CANARY, ASKING,
    changed(changed(changed(TRAINING_JOB, "spec.triggers", TRIGGERS), "spec.brakes", BRAKES), "spec.suspend", True),
    changed(TRAINING_JOB, "spec.triggers", {"schedule": "@weekly"}),
    changed(TRAINING_JOB, "spec.data", data("s3://lake/*.csv", {**SECRET, "endpoint": "http://[::1]:9000/x"})),
    changed(TRAINING_JOB, "spec.data", data("az://lake/a.csv", {"identity": CLIENT})),
    changed(TRAINING_JOB, "spec.data", data("https://a.example/a.csv?x=1", {**SECRET, "caConfigMapRef": CA})),
    changed(TRAINING_JOB, "spec.data", {**data("https://a.example/a.csv", SECRET), "caConfigMapRef": CA}),
    changed(TRAINING_JOB, "spec.data", {**data("gs://remote/dvc", {"identity": POOL}), "dvc": DVC}),
    changed(TRAINING_JOB, "spec.data", {"uri": "pvc://remote/dvc", "target": "y", "dvc": DVC}),
    changed(TRAINING_JOB, "spec.data", {"uri": "s3://remote", "target": "y", "dvc": DVC, "store": SECRET}),
    changed(TRAINING_JOB, "spec.data", {"target": "y", "source": {"image": "mine:1", **SECRET}}),
    changed(TRAINING_JOB, "spec.artifacts", {"uri": "s3://models", "store": {"identity": ROLE}}),
    changed(TRAINING_JOB, "spec.artifacts", {"uri": "oci://registry.corp:5000/models", "store": SECRET}),
    changed(MODEL_VERSION, "spec.artifact", {"uri": "oci://registry.corp/m:1", "digest": DIGEST, "store": SECRET}),
    changed(MODEL_VERSION, "spec.artifact", {"uri": "https://a.example/m.onnx", "digest": DIGEST}),
    *(changed(TRAINING_JOB, "spec.resources", taken) for taken in resources.TAKEN),
    changed(INFERENCE_SERVICE, "spec.resources", resources.TAKEN[-1]),
    changed(TRAINING_JOB, "metadata.name", "1st-model"),
    changed(TRAINING_JOB, "spec.data", TABLE),
    changed(TRAINING_JOB, "spec.trainer", {"sklearn": BOOSTED, "preprocess": [{"kind": "date", "drop": True}]}),
    changed(MODEL_VERSION, "metadata.name", "1st-model"),
    changed(INFERENCE_SERVICE, "metadata.name", "a" * 44),
    changed(INFERENCE_SERVICE, "spec.monitoring", MONITORING),
    changed(INFERENCE_SERVICE, "spec.monitoring", {"drift": {}}),
]  # fmt: skip


@pytest.mark.parametrize("manifest", TAKEN, ids=lambda m: m["kind"])
@pytest.mark.usefixtures("crds")
def test_what_is_right_is_taken(cluster: Kubectl, manifest: dict[str, Any]) -> None:
    cluster.apply(manifest, dry_run=True)


@pytest.mark.parametrize(
    ("manifest", "path", "value", "said"),
    REFUSED,
    ids=lambda part: str(part)[:40] if isinstance(part, str) else "",
)
@pytest.mark.usefixtures("crds")
def test_what_cannot_work_is_refused(
    cluster: Kubectl, manifest: dict[str, Any], path: str, value: Any, said: str | None
) -> None:
    error = cluster.refuses(changed(manifest, path, value))

    assert (said or path) in error


@pytest.mark.parametrize(
    "manifest", [TRAINING_JOB, MODEL_VERSION, INFERENCE_SERVICE], ids=lambda m: m["kind"]
)
@pytest.mark.usefixtures("crds")
def test_an_object_that_no_operator_has_seen_yet_says_so(cluster: Kubectl, manifest: dict[str, Any]) -> None:
    made = cluster.run("create", "--dry-run=server", "-o", "json", "-f", "-", given=json.dumps(manifest))

    assert json.loads(made)["status"] == {"observedGeneration": -1}


def test_a_model_version_never_changes(kubectl: Kubectl) -> None:
    kubectl.apply(MODEL_VERSION)

    error = kubectl.refuses(changed(MODEL_VERSION, "spec.artifact.digest", "sha256:" + "b" * 64))

    immutable = (
        "spec is immutable but for approvals and artifact.store: a ModelVersion is a fact; write a new one"
    )
    assert immutable in error


def test_how_the_store_of_a_model_version_is_reached_may_change_and_its_file_may_not(
    kubectl: Kubectl,
) -> None:
    artifact = {"uri": "s3://models/m.onnx", "digest": DIGEST, "size": 10}
    version = changed(MODEL_VERSION, "spec.artifact", artifact)
    kubectl.apply(version)

    for store in (SECRET, {"identity": ROLE, "endpoint": "https://s3.corp"}, None):
        kubectl.apply(changed(version, "spec.artifact", {**artifact, **({"store": store} if store else {})}))
    for field, value in (("uri", "s3://models/n.onnx"), ("size", 11), ("digest", "sha256:" + "b" * 64)):
        assert "spec is immutable" in kubectl.refuses(changed(version, f"spec.artifact.{field}", value))
    assert "spec is immutable" in kubectl.refuses(changed(version, "spec.artifact.size", None))


@pytest.mark.parametrize(
    "field", ["trainingjob.spec.data.uri", "modelversion.spec.artifact.digest", "mwisvc.spec.rollout"]
)
@pytest.mark.usefixtures("crds")
def test_kubectl_explain_teaches(cluster: Kubectl, field: str) -> None:
    text = cluster.run("explain", field)

    assert "DESCRIPTION:" in text
    assert "<empty>" not in text


def test_the_category_and_the_short_names_find_them(kubectl: Kubectl) -> None:
    kubectl.apply(MODEL_VERSION)

    for name in ("modelwright", "mv"):
        assert "churn-1" in kubectl.run("get", name)
