"""What answers over HTTP mean: each refusal has its error, in the words of the API server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from fakes.objects import MAPS, map_key
from kubernetes.aio.client import Configuration

from modelwright.engine import connection
from modelwright.engine.client import Client, error_of
from modelwright.engine.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    Forbidden,
    Invalid,
    NamespaceTerminating,
    NotFound,
    TooManyRequests,
    Unavailable,
)


def status(reason: str = "", **cause: str) -> dict[str, Any]:
    return {"kind": "Status", "message": "why", "reason": reason, "details": {"causes": [cause]}}


@pytest.mark.parametrize(
    ("code", "answer", "error"),
    [
        (400, status(), Invalid),
        (401, status(), Unavailable),
        (403, status(), Forbidden),
        (
            403,
            {**status(), "details": {"causes": [{"reason": "NamespaceTerminating"}]}},
            NamespaceTerminating,
        ),
        (404, status(), NotFound),
        (409, status("AlreadyExists"), AlreadyExists),
        (409, status("Conflict"), Conflict),
        (422, status("Invalid", field="spec.replicas"), Invalid),
        (422, status("Invalid", field="metadata.uid"), Conflict),
        (429, status(), TooManyRequests),
        (500, status(), Unavailable),
        (503, status(), Unavailable),
    ],
)
def test_each_refusal_has_its_error_and_keeps_its_words(
    code: int, answer: dict[str, Any], error: type[ApiError]
) -> None:
    found = error_of(code, answer, {})

    assert type(found) is error
    assert str(found) == "why"


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7), ("0.5", 0.5), ("99999", 300), ("-1", 0), ("Wed, 21 Oct", 0), (None, 0)]
)
def test_the_pause_that_the_api_server_asks_for_is_kept_within_reason(
    header: str | None, seconds: float
) -> None:
    error = error_of(429, status(), {"Retry-After": header} if header else {})

    assert isinstance(error, TooManyRequests)
    assert error.retry_after == seconds


class Desk:
    """An HTTP server that gives the answers it was given, the last one for ever."""

    def __init__(self, *answers: web.Response) -> None:
        self.url = ""
        self.answers = list(answers)
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append((request.method, request.path_qs, dict(request.headers), await request.read()))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return web.Response(status=answer.status, body=answer.body, content_type=answer.content_type)


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    """A server whose answers a test sets."""
    desk = Desk(web.Response(text="{}"))
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", desk.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    desk.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield desk
    await runner.cleanup()


@pytest.fixture
async def client(desk: Desk) -> AsyncIterator[Client]:
    client = Client(Configuration(host=desk.url))
    yield client
    await client.close()


async def test_an_apply_says_by_whom_and_that_it_means_it(desk: Desk, client: Client) -> None:
    await client.apply(map_key(), {"data": {"a": "1"}}, manager="modelwright")

    ((method, path, headers, body),) = desk.asked
    assert method == "PATCH"
    assert path == "/api/v1/namespaces/shop/configmaps/churn?fieldManager=modelwright&force=true"
    assert headers["Content-Type"] == "application/apply-patch+yaml"
    assert headers["User-Agent"] == "modelwright-operator"
    assert body == b'{"data": {"a": "1"}}'


async def test_a_note_goes_to_the_status_which_takes_no_spec(desk: Desk, client: Client) -> None:
    await client.patch_status(map_key(), {"metadata": {"annotations": {"a": "1"}}})

    ((method, path, headers, _),) = desk.asked
    assert method == "PATCH"
    assert path == "/api/v1/namespaces/shop/configmaps/churn/status?fieldManager=modelwright"
    assert headers["Content-Type"] == "application/merge-patch+json"


@pytest.mark.parametrize("text", ["<html>busy</html>", "not json", ""])
async def test_a_refusal_that_is_no_json_is_still_understood(desk: Desk, client: Client, text: str) -> None:
    desk.answers = [web.Response(status=404, text=text)]
    with pytest.raises(NotFound):
        await client.get(map_key())


async def test_an_answer_that_is_no_json_may_be_better_next_time(desk: Desk, client: Client) -> None:
    desk.answers = [web.Response(text="<html>")]
    with pytest.raises(Unavailable, match="is no JSON"):
        await client.get(map_key())


async def test_no_answer_may_be_one_next_time() -> None:
    client = Client(Configuration(host="http://127.0.0.1:9"))
    try:
        with pytest.raises(Unavailable, match="no answer from the API server") as caught:
            await client.get(map_key())
    finally:
        await client.close()

    assert isinstance(caught.value.__cause__, aiohttp.ClientError)


async def test_requests_are_counted_by_verb_and_code(desk: Desk) -> None:
    seen: list[tuple[str, int]] = []
    desk.answers = [web.Response(text="{}"), web.Response(status=503)]
    client = Client(Configuration(host=desk.url), lambda *request: seen.append(request))
    await client.get(map_key())
    with pytest.raises(Unavailable):
        await client.get(map_key())
    await client.close()

    assert seen == [("GET", 200), ("GET", 503)]


async def test_a_renewed_token_is_used_at_once(desk: Desk) -> None:
    configuration = Configuration(host=desk.url)
    tokens = iter(["old", "new"])

    def renew(configuration: Configuration) -> None:
        configuration.api_key["BearerToken"] = f"Bearer {next(tokens)}"

    configuration.api_key["BearerToken"] = "Bearer none"
    configuration.refresh_api_key_hook = renew  # type: ignore[assignment]
    client = Client(configuration)
    for _ in range(2):
        await client.get(map_key())
    await client.close()

    assert [headers["Authorization"] for _, _, headers, _ in desk.asked] == ["Bearer old", "Bearer new"]


async def test_a_session_waits_out_a_401(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "Forever", lambda: [0.0] * 5)
    desk.answers = [web.Response(status=401), web.Response(status=401), web.Response(text="{}")]
    configuration = Configuration(host=desk.url, api_key={"BearerToken": "Bearer t"})
    where = configuration.host + MAPS.path(None)
    async with connection.session(configuration) as session, session.get(where) as answer:
        assert answer.status == 200

    assert [headers["Authorization"] for _, _, headers, _ in desk.asked] == ["Bearer t"] * 3
