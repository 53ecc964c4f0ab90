"""Amounts that the operator's settings hold are measured as the CRDs measure those of users."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support import resources

from modelwright.options import Options, parse

NEEDED = ("--lease-namespace=l", "--serving-image=s", "--training-image=t")


def given(flag: str, amounts: dict[str, Any]) -> Options:
    """The options with these resources."""
    return parse((*NEEDED, f"--{flag}={json.dumps(amounts)}"))


@pytest.mark.parametrize("amounts", resources.TAKEN, ids=json.dumps)
def test_what_a_user_may_ask_for_may_be_a_default(amounts: dict[str, Any]) -> None:
    assert given("training-resources", amounts).settings.training_resources
    assert given("serving-resources", amounts).settings.serving_resources


@pytest.mark.parametrize(("amounts", "message"), resources.REFUSED, ids=json.dumps)
def test_what_no_pod_could_have_is_no_default(
    amounts: dict[str, Any], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        given("serving-resources", amounts)

    assert message in capsys.readouterr().err


def test_headers_to_pass_on_are_names_in_lower_case() -> None:
    assert parse((*NEEDED, "--pass-headers=X-Tenant, baggage,")).settings.passed_headers == (
        "x-tenant",
        "baggage",
    )
    assert parse(NEEDED).settings.passed_headers == ()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("a b", "'a b' is no header that can be passed on"),
        ("Content-Length", "'content-length' is no header"),
        ("modelwright-delegated", "is no header"),
        (",".join(f"x-{number}" for number in range(17)), "at most 16 names"),
    ],
)
def test_headers_that_cannot_be_passed_on_are_refused(
    names: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse((*NEEDED, f"--pass-headers={names}"))

    assert message in capsys.readouterr().err
