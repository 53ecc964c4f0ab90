"""Modelwright's server conforms: every check passes, for models that between them make every check apply."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from unit.serving.harness import NAME, serving

from conformance import samples
from conformance.catalogue import checks
from conformance.checks import Citation
from conformance.run import Outcome, Result, run
from conformance.target import discover


def _results(sample: samples.Sample, folder: Path) -> list[Result]:
    with serving(sample.written(folder), "--model-version", "7") as served:
        served.wait_ready()
        target = discover(
            f"http://127.0.0.1:{served.http_port}", f"127.0.0.1:{served.grpc_port}", NAME, sample.request
        )
        return run(target, checks())


def test_no_check_fails_and_each_applies_to_some_model(tmp_path_factory: pytest.TempPathFactory) -> None:
    found = {name: _results(make(), tmp_path_factory.mktemp(name)) for name, make in samples.ALL.items()}
    everything = [(name, each) for name, results in found.items() for each in results]
    assert [
        (name, each.check.id, each.detail) for name, each in everything if each.outcome is Outcome.FAILED
    ] == []
    passed = {each.check.id for _, each in everything if each.outcome is Outcome.PASSED}
    assert {check.id for check in checks()} - passed == set()


def test_no_two_checks_share_an_id() -> None:
    ids = [check.id for check in checks()]
    assert len(ids) == len(set(ids))


def _citations() -> Iterator[tuple[str, Citation]]:
    yield from ((check.id, check.citation) for check in checks())


def test_every_check_cites_a_sentence() -> None:
    assert [id_ for id_, citation in _citations() if not citation.source or len(citation.text) < 10] == []
