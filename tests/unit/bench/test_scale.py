"""The scale bench counts the operator's requests, judges what was measured and shows it; kwok's pods report."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from bench.document import DOCUMENT, placed
from bench.scale.__main__ import MARKS, kept
from bench.scale.audit import counted, longest_lease_gap, refused, requests, work
from bench.scale.objects import ready_status, service, verified, version
from bench.scale.process import metric
from bench.scale.report import report
from bench.scale.results import Canaries, Convergence, Crowd, Idle, Measured, Phase, Scale, Start
from bench.scale.stages import NODE_STAGES, POD_STAGES, stages
from bench.scale.targets import strains, verdicts
from unit.bench.given import MACHINE

from modelwright.api.inferenceservice import InferenceServiceSpec
from modelwright.api.modelversion import ModelVersionSpec
from modelwright.common.report import FileReport

MEASURED = Measured(date="2026-11-28 01:00 UTC", commit="abc", load_before=0.5, load_after=2.0)
STAGE = """
metadata: {name: pod-complete}
spec:
  next:
    statusTemplate: |
      containerStatuses:
      {{ range .spec.containers }}
      - name: {{ .name | Quote }}
        state:
          terminated:
            exitCode: 0
            reason: Completed
      {{ end }}
"""


def entry(
    verb: str, resource: str, name: str = "", *, second: float = 0, code: int = 200, **more: Any
) -> str:
    part, _, sub = resource.partition("/")
    reference = {"resource": part, "name": name, **({"subresource": sub} if sub else {})}
    return json.dumps(
        {
            "verb": verb,
            "objectRef": reference,
            "responseStatus": {"code": code},
            "requestReceivedTimestamp": f"2026-11-28T00:00:{second:09.6f}Z",
            **more,
        }
    )


def test_requests_are_counted_by_verb_and_resource_about_the_objects_of_a_phase() -> None:
    found = list(
        requests(
            [
                entry("patch", "inferenceservices/status", "service-1"),
                entry("patch", "inferenceservices/status", "service-2"),
                entry("create", "events", "service-1.abc"),
                entry("patch", "modelversions/status", "version-1"),
                entry("update", "leases", "modelwright-operator"),
                entry("watch", "pods"),
                entry("list", "pods"),
            ]
        )
    )

    assert counted(found, "service-") == {"patch inferenceservices/status": 2, "create events": 1}
    assert counted(found)["patch modelversions/status"] == 1
    assert [request.what for request in work(found) if request.writes] == [
        "patch inferenceservices/status",
        "patch inferenceservices/status",
        "create events",
        "patch modelversions/status",
    ]


def test_requests_for_no_resource_are_left_out() -> None:
    assert list(requests([json.dumps({"verb": "get", "requestURI": "/version"})])) == []


def test_refused_requests_are_counted_by_code() -> None:
    found = requests(
        [entry("patch", "services", code=409), entry("patch", "services"), entry("get", "jobs", code=404)]
    )

    assert refused(found) == {"patch services 409": 1, "get jobs 404": 1}


def test_the_longest_time_without_a_renewal_of_the_lease_is_found() -> None:
    renewals = [entry("update", "leases", second=second) for second in (0, 5, 13, 18)]
    lost = entry("update", "leases", second=9, code=409)

    assert longest_lease_gap(requests([*renewals, lost])) == 8.0
    assert longest_lease_gap([]) == 0.0


def test_a_metric_is_summed_over_its_labels() -> None:
    text = (
        'modelwright_samples_total{fact="a",outcome="answered"} 2.0\n'
        'modelwright_samples_total{fact="b"} 3.0\n'
    )

    assert metric(text, "modelwright_samples_total") == 5
    assert metric(text, r'modelwright_samples_total\{fact="a",outcome="(?:answered)"\}') == 2
    assert metric(text, "modelwright_samples") == 0


def test_a_completed_pod_of_a_job_leaves_the_report_where_the_operator_reads_it(tmp_path: Path) -> None:
    given_stages(tmp_path, STAGE)

    (stage,) = (
        s
        for s in yaml.safe_load_all(stages(tmp_path, verified()))
        if s.get("metadata") == {"name": "pod-complete"}
    )

    template = re.sub(r"^ *\{\{.*\n", "", stage["spec"]["next"]["statusTemplate"], flags=re.MULTILINE)
    (container,) = yaml.safe_load(re.sub(r"\{\{.*?\}\}", "verify", template))["containerStatuses"]
    assert container["state"]["terminated"]["message"] == verified()


def test_a_stage_of_kwok_that_looks_otherwise_is_an_error(tmp_path: Path) -> None:
    given_stages(tmp_path, STAGE.replace("exitCode: 0", "exitCode: 1"))

    with pytest.raises(ValueError, match="exit code"):
        stages(tmp_path, verified())


def test_the_report_and_the_objects_are_valid() -> None:
    assert FileReport.model_validate(json.loads(verified())["result"]).task == "Classification"
    ModelVersionSpec.model_validate(version("ns", "version-1", "model")["spec"])
    InferenceServiceSpec.model_validate(service("ns", "service-1", {"version": "version-1"})["spec"])


def test_a_status_is_given_on_without_who_uses_the_version() -> None:
    written = {"status": {"task": "Classification", "conditions": [{"type": "Ready"}, {"type": "InUse"}]}}

    assert ready_status(written) == {"task": "Classification", "conditions": [{"type": "Ready"}]}


def test_targets_are_judged_by_what_was_measured() -> None:
    met = {verdict.what: verdict.met for verdict in verdicts(scale(thousand=convergence(requests_each=5.0)))}
    missed = {
        verdict.what: verdict.met for verdict in verdicts(scale(thousand=convergence(requests_each=5.01)))
    }

    assert met["requests to converge, each service"] is True
    assert missed["requests to converge, each service"] is False


def test_many_services_are_to_cost_what_each_of_a_thousand_costs() -> None:
    few = convergence(count=1000, cpu=30)

    def growth(cpu: float) -> bool | None:
        found = verdicts(scale(thousand=few, many=convergence(count=5000, cpu=cpu)))
        return next(verdict.met for verdict in found if "CPU for each" in verdict.what)

    assert growth(5 * 30 * 1.2) is True
    assert growth(5 * 30 * 1.3) is False


def test_the_bound_that_is_nearest_breaks_first() -> None:
    by_memory = convergence(highest=500, lease_gap=6)
    by_lease = convergence(highest=100, lease_gap=12)

    assert strains(by_memory)[0].what.startswith("memory")
    assert strains(by_lease)[0].what.startswith("renewal of the Lease")


def test_the_report_shows_each_scenario_that_was_measured() -> None:
    text = report(whole())

    assert "| services | 60 | 30.0 | 30.0 | 5.00 | 5.00 patch inferenceservices/status |" in text
    assert "### One namespace: 1,000 services that track a model each, 10,001 versions" in text
    assert "### 50 canaries at once" in text
    assert "### What breaks first" in text
    assert "### One namespace" not in report(scale(thousand=convergence()))


def test_the_document_has_the_last_run_of_each_scenario(tmp_path: Path) -> None:
    kept(tmp_path, MACHINE, {"thousand": convergence(), "many": convergence(count=5000)})

    both = kept(tmp_path, MACHINE, {"thousand": convergence(count=999)})

    assert both.thousand is not None
    assert both.thousand.services == 999
    assert both.many == convergence(count=5000)
    assert "Not measured: ten thousand versions" in report(both)
    assert "Not measured" not in report(whole())
    assert report(both) in placed(DOCUMENT.read_text(), report(both), MARKS)


def given_stages(folder: Path, complete: str) -> None:
    for name in (*NODE_STAGES, *POD_STAGES):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(complete if path.stem == "pod-complete" else f"metadata: {{name: {path.stem}}}\n")


def phase(objects: int, cpu: float, each: float = 5.0) -> Phase:
    made = {"patch inferenceservices/status": round(objects * each)}
    return Phase(objects=objects, seconds=60, cpu_seconds=cpu, requests=made, others={}, refused={})


def start() -> Start:
    return Start(
        ready_seconds=2,
        quiet_seconds=4,
        cpu_seconds=3,
        writes=0,
        reads=30,
        longest_block=0.06,
        longest_busy=0.04,
        resident_mib=120,
    )


def convergence(
    *,
    count: int = 1000,
    cpu: float = 30,
    requests_each: float = 5.0,
    highest: float = 200,
    lease_gap: float = 5,
) -> Convergence:
    return Convergence(
        services=count,
        versions=count,
        namespaces=10,
        version_phase=phase(count, cpu, 4.0),
        service_phase=phase(count, cpu, requests_each),
        resident_mib=150,
        highest_mib=highest,
        idle=Idle(seconds=120, cpu_seconds=0.5, writes=0, reads=0),
        start=start(),
        change_seconds=[0.1, 0.3, 0.2],
        lease_gap_seconds=lease_gap,
        measured=MEASURED,
    )


def whole() -> Scale:
    return scale(
        thousand=convergence(),
        crowd=Crowd(
            services=1000,
            versions=10_001,
            first_start=start(),
            service_phase=phase(1000, 30),
            start=start(),
            service_event_ms=1.5,
            version_event_ms=1.0,
            resident_mib=250,
            measured=MEASURED,
        ),
        canaries=Canaries(
            services=50,
            pods=200,
            seconds=60,
            cpu_share=0.08,
            quiet_share=0.01,
            answers=6000,
            unanswered=0,
            rounds=30,
            exposition_bytes=4000,
            writes=3,
            measured=MEASURED,
        ),
        many=convergence(count=5000, cpu=150),
    )


def scale(**found: Any) -> Scale:
    return Scale(quick=False, machine=MACHINE, **found)
