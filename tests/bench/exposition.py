"""Reads our server's metrics as Prometheus would."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families


def answers(text: str) -> dict[str, float]:
    """Inference requests answered, by `protocol code`."""
    return {
        f"{sample.labels['protocol']} {sample.labels['code']}": sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "modelwright_requests_total"
    }
