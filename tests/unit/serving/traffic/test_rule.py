"""The traffic rule as a file holds it: read in full, or refused with the reason."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.contracts.schemas import defects, schema
from unit.serving.traffic.rollout import SECRET

from modelwright_serving.traffic.rule import Match, Rule, RuleError, parse

SMALLEST = {"revision": "churn-5f7", "host": "churn-canary.models.svc", "port": 8080}


def test_everything_that_a_rule_may_say_is_read() -> None:
    document = {
        **SMALLEST,
        "weight": 5,
        "mirror": 10,
        "refusals": True,
        "headers": [{"name": "X-Version", "value": "next"}],
        "sticky": "X-User",
        "timeoutSeconds": 0.25,
        "patience": 0.8,
        "secret": SECRET,
        "passHeaders": ["baggage", "x-tenant"],
    }
    assert set(document) == set(schema("traffic")["properties"])
    assert not defects("traffic", document)
    assert parse(json.dumps(document).encode()) == Rule(
        "churn-5f7",
        "churn-canary.models.svc",
        8080,
        weight=5,
        mirror=10,
        refusals=True,
        matches=(Match(b"x-version", b"next"),),
        sticky=b"x-user",
        timeout=0.25,
        patience=0.8,
        secret=SECRET,
        passed=(b"baggage", b"x-tenant"),
    )


def test_the_smallest_rule_moves_nothing() -> None:
    defaults = {
        name: part["default"] for name, part in schema("traffic")["properties"].items() if "default" in part
    }
    assert parse(json.dumps(SMALLEST | defaults).encode()) == parse(json.dumps(SMALLEST).encode())
    rule = parse(json.dumps(SMALLEST).encode())
    assert rule == Rule("churn-5f7", "churn-canary.models.svc", 8080)


@pytest.mark.parametrize("content", [b"", b"  \n"])
def test_an_empty_file_is_no_rule(content: bytes) -> None:
    assert parse(content) is None


REFUSED: list[tuple[dict[str, object], str]] = [
    ({"weight": 101}, "weight has to be a number from 0 to 100"),
    ({"weight": True}, "weight has to be a number from 0 to 100"),
    ({"mirror": -1}, "mirror has to be a number from 0 to 100"),
    ({"port": 0}, "port has to be a number from 1 to 65535"),
    ({"host": "a b"}, "host is missing, or not of the form"),
    ({"revision": None}, "revision is missing"),
    ({"sticky": ""}, "sticky is missing, or not of the form"),
    ({"timeoutSeconds": 0}, "timeoutSeconds has to be a number from 0.001 to 3600"),
    ({"timeoutSeconds": "1"}, "timeoutSeconds has to be a number"),
    ({"timeoutSeconds": None}, "timeoutSeconds has to be a number"),
    ({"refusals": 1}, "refusals has to be true or false"),
    ({"refusals": None}, "refusals has to be true or false"),
    ({"patience": 1.5}, "patience has to be a number from 0.001 to 1"),
    ({"headers": [{"name": "a"}]}, "headers[0] has to hold a name and a value"),
    ({"headers": [{"name": "a:", "value": "b"}]}, "headers[0].name has to be the name of a header"),
    ({"headers": [{"name": "a", "value": ""}]}, "headers[0].value has to be a text"),
    ({"headers": [{"name": "a", "value": "b"}] * 17}, "headers has to be a list of at most 16"),
    ({"secret": "5"}, "secret is missing, or not of the form"),
    ({"passHeaders": "baggage"}, "passHeaders has to be a list of at most 16"),
    ({"passHeaders": ["baggage"] * 17}, "passHeaders has to be a list of at most 16"),
    ({"passHeaders": ["a b"]}, "passHeaders has to hold names of headers"),
    ({"passHeaders": ["host"]}, "passHeaders may not hold host"),
    ({"passHeaders": ["content-length"]}, "passHeaders may not hold content-length"),
    ({"passHeaders": ["transfer-encoding"]}, "passHeaders may not hold transfer-encoding"),
    ({"passHeaders": ["modelwright-delegated"]}, "passHeaders may not hold modelwright-delegated"),
    ({"passHeaders": ["te"]}, "passHeaders may not hold te"),
    ({"passHeaders": ["grpc-timeout"]}, "passHeaders may not hold grpc-timeout"),
]


@pytest.mark.parametrize(("change", "complaint"), REFUSED)
def test_a_rule_that_makes_no_sense_is_refused_with_the_reason(
    change: dict[str, object], complaint: str
) -> None:
    document = SMALLEST | change
    with pytest.raises(RuleError) as caught:
        parse(json.dumps(document).encode())
    assert defects("traffic", document)
    assert complaint in str(caught.value)


def test_fields_of_a_later_release_are_ignored_and_named() -> None:
    document = {**SMALLEST, "weight": 5, "burst": [1], "after": None}
    assert parse(json.dumps(document).encode()) == Rule(
        "churn-5f7", "churn-canary.models.svc", 8080, weight=5, unknown=("after", "burst")
    )


@pytest.mark.parametrize("content", [b"{", b"[]", b"5", b" " * 70_000 + b"{}", b"\xff"])
def test_what_is_no_document_is_refused(content: bytes) -> None:
    with pytest.raises(RuleError):
        parse(content)


@given(content=st.binary(max_size=200))
def test_whatever_a_file_holds_is_a_rule_or_refused(content: bytes) -> None:
    with suppress(RuleError):
        assert parse(content) is None or b"revision" in content
