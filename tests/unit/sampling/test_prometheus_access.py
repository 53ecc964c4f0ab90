"""A Prometheus behind TLS and tokens: what is rotated counts at the next query, and what is wrong is said in words."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web
from support.prometheus import running
from support.stores.certificates import Certificates, certificates
from unit.given.questions import ONE, answered, asking, operator, readings, until

from modelwright.common.settings import Prometheus
from modelwright.inferenceservice.analysis.prometheus_result import NoValue
from modelwright.options import parse
from modelwright.sampling.prometheus_access import MOST_TOKEN

NEEDED = ("--lease-namespace=l", "--serving-image=s", "--training-image=t")
URL = "--prometheus-url=https://prometheus"


@dataclass
class Guarded:
    """A server behind TLS that takes one token, and what it was sent."""

    url: str = ""
    token: str = ""
    asked: list[dict[str, str]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(dict(request.headers))
        if self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
            return web.Response(status=401, text="Unauthorized")
        return web.json_response(ONE)


@asynccontextmanager
async def guarded(context: ssl.SSLContext | None, token: str = "") -> AsyncIterator[Guarded]:
    server = Guarded(token=token)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    server.url = f"https://127.0.0.1:{runner.addresses[0][1]}"
    yield server
    await runner.cleanup()


@pytest.fixture
def tls(tmp_path: Path) -> Certificates:
    return certificates(tmp_path, "127.0.0.1")


async def asked(settings: Prometheus) -> float | NoValue:
    (found,) = await answered(asking("up"), settings)
    return found


async def why(settings: Prometheus) -> str:
    """What users read of a query that got no number."""
    service = asking("up")
    (found,) = await answered(service, settings)
    assert isinstance(found, NoValue), found
    assert "127.0.0.1" not in found.message, "the address is the administrator's"
    service.settles()
    assert f"waits for q0: {found.reason} ({found.message})" in service.message
    return f"{found.reason}: {found.message}"


async def test_a_query_goes_to_a_certificate_that_is_trusted_with_token_tenant_and_headers(
    tls: Certificates, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    headers = (("X-Scope-OrgID", "team-a"), ("X-More", "1"))
    async with guarded(tls.context(), "s3cret") as server:
        assert await asked(Prometheus(server.url, tmp_path / "ca.crt", token, headers)) == 1.0
    (sent,) = server.asked
    assert (sent["X-Scope-OrgID"], sent["X-More"], sent["Authorization"]) == ("team-a", "1", "Bearer s3cret")


async def test_an_unknown_authority_is_named_and_gets_neither_query_nor_token(
    tls: Certificates, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("s3cret")
    async with guarded(tls.context()) as server:
        message = await why(Prometheus(server.url, token_file=tmp_path / "token"))
    assert message.startswith("PrometheusUntrusted: its certificate is not trusted: ")
    assert "certificate" in message.partition("trusted: ")[2]
    assert "ask the administrator (prometheus.url, caConfigMapRef, caSecretRef)" in message
    assert server.asked == []


async def test_another_authority_does_not_do(tls: Certificates, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    certificates(tmp_path / "other", "127.0.0.1")
    async with guarded(tls.context()) as server:
        message = await why(Prometheus(server.url, tmp_path / "other/ca.crt"))
    assert message.startswith("PrometheusUntrusted: its certificate is not trusted: ")


@pytest.mark.parametrize("host", ["prometheus.corp", "127.0.0.2"])
async def test_a_certificate_of_another_host_does_not_do(tmp_path: Path, host: str) -> None:
    async with guarded(certificates(tmp_path, host).context()) as server:
        message = await why(Prometheus(server.url, tmp_path / "ca.crt"))
    assert message.startswith("PrometheusUntrusted: its certificate is for another host: ")
    assert host not in message


async def test_what_speaks_no_tls_is_said(tls: Certificates, tmp_path: Path) -> None:
    async with guarded(None) as server:
        message = await why(Prometheus(server.url, tmp_path / "ca.crt"))
    assert message.startswith("PrometheusUntrusted: it does not speak TLS as the operator does: ")


async def test_a_refused_token_and_a_missing_one_are_said(tls: Certificates, tmp_path: Path) -> None:
    ca, token = tmp_path / "ca.crt", tmp_path / "token"
    token.write_text("old")
    async with guarded(tls.context(), "new") as server:
        refused = await why(Prometheus(server.url, ca, token))
        without = await why(Prometheus(server.url, ca))
    assert refused.startswith("PrometheusDenied: it refuses the operator's token (HTTP status 401): ask")
    assert without.startswith(
        "PrometheusDenied: it asks for credentials (HTTP status 401), and the operator has none"
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "the operator has no token for it"),
        (b" \n", "the operator has no token for it"),
        (b"a" * (MOST_TOKEN + 1), "the operator has no token for it"),
        (b"one two", "the operator's token for it is no text of one word"),
        (b"one\r\nX-Evil: 1", "the operator's token for it is no text of one word"),
        ("schlüssel".encode(), "the operator's token for it is no text of one word"),
    ],
)
async def test_a_file_that_is_no_token_is_said_and_nothing_is_sent(
    tls: Certificates, tmp_path: Path, content: bytes | None, said: str
) -> None:
    token = tmp_path / "token"
    if content is not None:
        token.write_bytes(content)
    async with guarded(tls.context()) as server:
        assert (await why(Prometheus(server.url, tmp_path / "ca.crt", token))).startswith(
            f"PrometheusDenied: {said}: "
        )
    assert server.asked == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "the operator has no certificates to check it by"),
        ("", "the operator has no certificates to check it by"),
        ("not PEM", "the operator's certificates to check it by are no certificates (PEM)"),
        ("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n", "are no certificates (PEM)"),
    ],
)
async def test_a_file_that_holds_no_certificates_is_said(
    tls: Certificates, tmp_path: Path, content: str | None, said: str
) -> None:
    path = tmp_path / "given.crt"
    if content is not None:
        path.write_text(content)
    async with guarded(tls.context()) as server:
        message = await why(Prometheus(server.url, path))
    assert message.startswith("PrometheusUntrusted: ")
    assert said in message
    assert server.asked == []


async def test_what_is_rotated_counts_at_the_next_query(tls: Certificates, tmp_path: Path) -> None:
    ca, token = tmp_path / "given.crt", tmp_path / "token"
    token.write_text("old")
    (tmp_path / "other").mkdir()
    certificates(tmp_path / "other", "127.0.0.1")
    ca.write_bytes((tmp_path / "other/ca.crt").read_bytes())
    service = asking("up", interval=10)

    def reason() -> str:
        reading = readings(service).get("q0")
        return str(getattr(reading and reading.result, "reason", reading and reading.result))

    async with guarded(tls.context(), "new") as server, operator(service, Prometheus(server.url, ca, token)):
        await until(lambda: reason() == "PrometheusUntrusted")
        ca.write_bytes((tmp_path / "ca.crt").read_bytes())
        service.world.after(10)
        await until(lambda: reason() == "PrometheusDenied")
        token.write_text("new")
        service.world.after(10)
        await until(lambda: reason() == "1.0")


async def test_a_real_prometheus_answers_over_tls_and_refuses_a_token(
    tls: Certificates, tmp_path: Path
) -> None:
    web_config = {
        "tls_server_config": {"cert_file": str(tls.certificate), "key_file": str(tls.key)},
        # The password is `secret`. Prometheus itself knows no bearer tokens.
        "basic_auth_users": {"modelwright": "$2y$04$iZsxjMX8gwqgsC1CWT0pQOfxILi1SCkWWIqdrTIpr9jvpYpsb2Auu"},
    }
    (tmp_path / "token").write_text("s3cret")
    with running(web=web_config, ca=tmp_path / "ca.crt") as url:
        message = await why(Prometheus(url, tmp_path / "ca.crt", tmp_path / "token"))
        unknown = await why(Prometheus(url))
    assert message.startswith("PrometheusDenied: it refuses the operator's token (HTTP status 401)")
    assert unknown.startswith("PrometheusUntrusted: its certificate is not trusted: ")
    with running(web={key: web_config[key] for key in ("tls_server_config",)}, ca=tmp_path / "ca.crt") as url:
        (found,) = await answered(asking("scalar(vector(0.125))"), Prometheus(url, tmp_path / "ca.crt"))
    assert found == 0.125


def test_the_options_say_how_prometheus_is_reached() -> None:
    more = (
        "--prometheus-ca-file=/ca",
        "--prometheus-token-file=/token",
        "--prometheus-header=X-Scope-OrgID: a|b",
    )
    found = parse([*NEEDED, URL, *more]).prometheus
    assert found == Prometheus("https://prometheus", Path("/ca"), Path("/token"), (("X-Scope-OrgID", "a|b"),))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--prometheus-ca-file=/ca"], "need --prometheus-url"),
        (["--prometheus-header=A: b"], "need --prometheus-url"),
        (["--prometheus-url=http://p", "--prometheus-token-file=/t"], "a token is sent to https:// only"),
        ([URL, "--prometheus-header=A"], "it has to be NAME: VALUE"),
        ([URL, "--prometheus-header=A: b\r\nC: d"], "it has to be NAME: VALUE"),
        (
            [URL, "--prometheus-header=Authorization: Bearer x"],
            "a token belongs into --prometheus-token-file",
        ),
        ([URL, "--prometheus-header=Host: x"], "Host is a header of the operator's own"),
        ([URL, "--prometheus-header=A: b", "--prometheus-header=a: c"], "a header is given twice"),
    ],
)
def test_options_that_cannot_work_are_refused(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse([*NEEDED, *arguments])
    assert said in capsys.readouterr().err
