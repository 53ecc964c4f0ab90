"""The suite can fail: where one thing is broken, the checks of that thing fail, and no others."""

from collections.abc import Iterator
from contextlib import AbstractContextManager

import pytest
from unit.serving.harness import NAME, Served, serving

from conformance import samples
from conformance.catalogue import checks
from conformance.faults import GRPC, HTTP, GrpcFault, HttpFault
from conformance.faulty import grpc_proxy, http_proxy
from conformance.run import Outcome, run
from conformance.target import discover


@pytest.fixture(scope="module")
def sample() -> samples.Sample:
    return samples.classifier()


@pytest.fixture(scope="module")
def served(sample: samples.Sample, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(sample.written(tmp_path_factory.mktemp("model")), "--model-version", "7") as found:
        yield found.wait_ready()


def _failed(http: str, grpc: str | None, request: bytes | None) -> set[str]:
    protocol = "grpc" if grpc else "http"
    results = run(discover(http, grpc, NAME, request), [one for one in checks() if one.protocol == protocol])
    return {each.check.id for each in results if each.outcome is Outcome.FAILED}


def _through_http(served: Served, fault: HttpFault) -> AbstractContextManager[str]:
    return http_proxy(served.http_port, fault.fault, fault.alter)


def _through_grpc(served: Served, fault: GrpcFault) -> AbstractContextManager[str]:
    return grpc_proxy(served.grpc_port, fault.change, fault.codes)


def test_a_proxy_that_breaks_nothing_is_not_seen(served: Served, sample: samples.Sample) -> None:
    with _through_http(served, HttpFault(())) as http, _through_grpc(served, GrpcFault(())) as grpc:
        assert _failed(http, None, sample.request) | _failed(http, grpc, sample.request) == set()


@pytest.mark.parametrize("fault", HTTP)
def test_an_http_fault_is_seen_by_its_checks(served: Served, sample: samples.Sample, fault: str) -> None:
    with _through_http(served, HTTP[fault]) as http:
        assert _failed(http, None, sample.request) == set(HTTP[fault].seen_by)


@pytest.mark.parametrize("fault", GRPC)
def test_a_grpc_fault_is_seen_by_its_checks(served: Served, sample: samples.Sample, fault: str) -> None:
    with _through_grpc(served, GRPC[fault]) as grpc:
        http = f"http://127.0.0.1:{served.http_port}"
        assert _failed(http, grpc, sample.request) == set(GRPC[fault].seen_by)
