"""What the API server's refusals say to a user."""

from __future__ import annotations

import json

import pytest

from modelwright.cli.errors import (
    Complaint,
    Conflict,
    Exit,
    Expired,
    NoAccess,
    NotFound,
    Refused,
    Unreachable,
)
from modelwright.cli.refusals import Attempt, complaint_of, not_there

GET = Attempt("get", "shop", name="churn")


def status(message: str) -> str:
    return json.dumps({"kind": "Status", "message": message})


@pytest.mark.parametrize(
    ("code", "body", "kind", "said"),
    [
        (0, "", Unreachable, "TLS"),
        (401, status("no"), NoAccess, "log in again"),
        (404, status("gone"), NotFound, "'churn' is not in namespace shop"),
        (404, "404 page not found\n", NotFound, "Modelwright is not installed"),
        (404, "[]", NotFound, "Modelwright is not installed"),
        (409, status("changed"), Conflict, "changed"),
        (410, "", Expired, "why"),
        (422, status("bad"), Refused, r"refuses to get .* \(422\): bad"),
        (503, "<html>", Unreachable, r"\(503\): why"),
    ],
)
def test_each_answer_is_told_in_the_users_words(
    code: int, body: str, kind: type[Complaint], said: str
) -> None:
    with pytest.raises(kind, match=said) as told:
        raise complaint_of(GET, code, "why", body)
    assert type(told.value) is kind


def test_a_missing_permission_is_named_with_the_commands_that_grant_it() -> None:
    message = 'inferenceservices.modelwright.dev "churn" is forbidden: User "jane" cannot patch resource'
    told = str(complaint_of(Attempt("patch", "shop", name="churn"), 403, "Forbidden", status(message)))
    assert "jane may not patch inferenceservices.modelwright.dev in namespace shop" in told
    role = "--verb=get,list,watch,patch --resource=inferenceservices.modelwright.dev"
    assert f"kubectl create role rollouts -n shop {role}" in told
    assert "kubectl create rolebinding rollouts -n shop --role=rollouts --user=jane" in told


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (None, "there is no InferenceService churn in namespace shop"),
        ([], "nor any other: is it another namespace (-n)?"),
        (["chrun", "fraud"], "Is it chrun?"),
        (["fraud", "ads"], "There are: ads, fraud"),
        ([f"x{i:02}" for i in range(12)], "x09 and 2 more"),
    ],
)
def test_a_name_that_is_not_there_is_told_with_those_that_are(names: list[str] | None, said: str) -> None:
    told = not_there("churn", "shop", names)
    assert str(told).endswith(said)
    assert told.code == Exit.NOT_FOUND
