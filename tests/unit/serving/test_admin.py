"""What the admin port shows to Prometheus and to the kubelet."""

from prometheus_client.parser import text_string_to_metric_families
from unit.serving import models
from unit.serving.harness import Served, matrix

LABELS = {"model": "churn", "version": "7"}


def test_the_event_loop_is_seen_to_be_alive(server: Served) -> None:
    reply = server.call("GET", "/healthz", port=server.admin_port)
    assert (reply.status, reply.document) == (200, {"status": "ok"})


def test_other_paths_say_what_there_is(server: Served) -> None:
    reply = server.call("GET", "/", port=server.admin_port)
    assert reply.status == 404
    assert "/metrics" in reply.error


def test_metrics_can_be_read_by_prometheus(server: Served, cancer: models.Cancer) -> None:
    server.infer(matrix(cancer.rows[:3]))
    reply = server.call("GET", "/metrics", port=server.admin_port)
    assert reply.headers["content-type"].startswith("text/plain")
    families = {family.name: family for family in text_string_to_metric_families(reply.body.decode())}
    kinds = {name: family.type for name, family in families.items() if name.startswith("modelwright_")}
    assert kinds == {
        "modelwright_requests": "counter",
        "modelwright_request_duration_seconds": "histogram",
        "modelwright_requests_in_flight": "gauge",
        "modelwright_requests_refused": "counter",
        "modelwright_rows": "counter",
        "modelwright_batch_rows": "histogram",
        "modelwright_queue_length": "gauge",
        "modelwright_queue_duration_seconds": "histogram",
        "modelwright_run_duration_seconds": "histogram",
        "modelwright_decode_seconds": "counter",
        "modelwright_encode_seconds": "counter",
        "modelwright_memory_bytes": "gauge",
        "modelwright_model_ready": "gauge",
        "modelwright_model_load_duration_seconds": "gauge",
        "modelwright_model_info": "gauge",
        "modelwright_delegated_requests": "counter",
        "modelwright_delegated_duration_seconds": "histogram",
        "modelwright_shadow_requests": "counter",
        "modelwright_shadow_uncompared": "counter",
        "modelwright_shadow_labelled_requests": "counter",
        "modelwright_shadow_agreement": "counter",
        "modelwright_shadow_difference": "histogram",
        "modelwright_shadow_non_finite_requests": "counter",
        "modelwright_traffic_weight": "gauge",
        "modelwright_traffic_rule_errors": "counter",
        "modelwright_unseen_requests": "counter",
        "modelwright_unseen_request_duration_seconds": "histogram",
    }
    for name in kinds:
        for sample in families[name].samples:
            assert LABELS.items() <= sample.labels.items(), sample
    assert "process_cpu_seconds" in families


def test_each_answer_is_counted_once_under_its_code(server: Served, cancer: models.Cancer) -> None:
    good = 'modelwright_requests_total{code="200",model="churn",protocol="http",version="7"}'
    bad = 'modelwright_requests_total{code="400",model="churn",protocol="http",version="7"}'
    durations = "modelwright_request_duration_seconds_count"
    before = [server.metric(sample) for sample in (good, bad, durations, "modelwright_rows_total")]
    server.infer(matrix(cancer.rows[:3]))
    server.infer({})
    server.call("POST", "/v2/models/other/infer", {})
    server.get("/v2/health/ready")
    after = [server.metric(sample) for sample in (good, bad, durations, "modelwright_rows_total")]
    assert [late - early for early, late in zip(before, after, strict=True)] == [1, 1, 2, 3]


def test_nothing_is_in_flight_when_nothing_happens(server: Served) -> None:
    assert server.metric("modelwright_requests_in_flight") == 0
    assert server.metric("modelwright_queue_length") == 0
