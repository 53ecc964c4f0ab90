"""The HTTP/2 layer passes every test of h2spec: the generic ones, RFC 9113's and HPACK's."""

import pytest
from support import h2spec
from unit.serving.harness import Served


@pytest.mark.parametrize(("section", "least"), [("generic", 44), ("http2", 94), ("hpack", 7)])
def test_h2spec_finds_nothing(server: Served, section: str, least: int) -> None:
    report = h2spec.check(server.grpc_port, section)
    assert (report.failed, report.skipped) == (0, 0), report.text
    assert report.passed >= least, report.text
