"""Files of a real TLS server on this host: what is trusted, what is bounded, what is worth another try."""

from __future__ import annotations

import socket
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.stores.webserver import Answering, Certificates, Site, raw, status, to

from modelwright_stores.access import Access
from modelwright_stores.failures import StoreError
from modelwright_stores.resuming import Head, Patience, stream
from modelwright_stores.web.file import WebFile

ROWS = b"a,b\n" + b"1,2\n" * 50_000
ONCE = Patience(silent=0, total=60)
SECRET = b"what-the-server-said"
MALFORMED = [
    b"",
    SECRET + b"\r\n\r\n",
    b"HTTP/1.1 " + SECRET + b" OK\r\n\r\n",
    b"HTTP/1.1 99999 " + SECRET + b"\r\n\r\n",
    b"HTTP/1.1 500 " + SECRET + b"\r\nContent-Length: 20\r\n\r\n" + SECRET,
    b"HTTP/1.1 418 " + SECRET + b"\r\nContent-Length: 20\r\n\r\n" + SECRET,
    b"HTTP/1.1 200 OK\r\n" + SECRET * 10_000 + b"\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 1000 + b"\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n" * 1000,
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + SECRET + b"\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\nx,y\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nx,y\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n" + ROWS,
    b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx,y\n",
    b"HTTP/1.1 200 OK\r\n\r\nx,y\n1,2\n",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 202 Accepted\r\nContent-Length: 20\r\n\r\n" + SECRET,
    b"HTTP/1.1 206 Partial Content\r\nContent-Length: 20\r\n\r\n" + SECRET,
    b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes " + SECRET + b"\r\n\r\n",
    b"HTTP/1.1 304 " + SECRET + b"\r\n\r\n",
    b"HTTP/1.1 302 " + SECRET + b"\r\n\r\n",
    b"HTTP/1.1 302 Found\r\nLocation: ftp://" + SECRET + b"\r\n\r\n",
]
Rule = Callable[[Answering], None]
REDIRECTS = [
    "https://[",
    "https://host:port/",
    "https://h\u00f6st\u00ff/",
    "mailto:x",
    "https://user:password@127.0.0.1/x",
    "file:///etc/passwd",
    "",
]


def content(uri: str, access: Access, patience: Patience = ONCE, silence: float = 5) -> bytes:
    """All bytes of a file, as a reader gets them."""
    with stream(WebFile(uri, access, silence), 1 << 30, patience) as body:
        return b"".join(iter(lambda: body.read(1 << 16) or b"", b""))


def refusal(uri: str, access: Access, patience: Patience = ONCE, silence: float = 5) -> StoreError:
    with pytest.raises(StoreError) as refused:
        content(uri, access, patience, silence)
    return refused.value


def test_a_file_is_read(site: Site, issued: Certificates) -> None:
    site.content = ROWS
    file = WebFile(f"{site.url}/2026/rows.csv?signature=secret", issued.access())
    assert content(f"{site.url}/2026/rows.csv?signature=secret", issued.access()) == ROWS
    assert (file.name, file.shown) == ("rows.csv", f"{site.url}/2026/rows.csv")


@pytest.mark.parametrize("says_size", [True, False])
@pytest.mark.parametrize("ranges", [True, False])
def test_an_empty_file_is_read(site: Site, issued: Certificates, *, says_size: bool, ranges: bool) -> None:
    site.ranges, site.says_size = ranges, says_size
    assert content(f"{site.url}/rows.csv", issued.access()) == b""


@pytest.mark.parametrize(
    ("code", "reason", "passing"),
    [
        (404, "DataNotFound", False),
        (410, "DataNotFound", False),
        (401, "NoCredentials", False),
        (403, "AccessDenied", False),
        (407, "AccessDenied", False),
        (400, "StoreAnswerInvalid", False),
        (204, "StoreAnswerInvalid", False),
        (202, "StoreUnavailable", True),
        (408, "StoreUnavailable", True),
        (429, "StoreUnavailable", True),
        (500, "StoreUnavailable", True),
        (503, "StoreUnavailable", True),
    ],
)
def test_a_status_says_what_to_do(
    site: Site, issued: Certificates, code: int, reason: str, *, passing: bool
) -> None:
    site.answers["/rows.csv"] = status(code)
    refused = refusal(f"{site.url}/rows.csv?sig=secret", issued.access())
    assert (refused.reason, refused.passing) == (reason, passing)
    assert f"{site.url}/rows.csv answers {code}" in refused.message
    assert "secret=" not in refused.message


def test_a_token_is_sent(site: Site, issued: Certificates) -> None:
    site.content = ROWS
    assert content(f"{site.url}/x", issued.with_secret(token="abc.def\n")) == ROWS
    assert {asked.headers["Authorization"] for asked in site.requests} == {"Bearer abc.def"}


def test_a_name_and_a_password_are_sent(site: Site, issued: Certificates) -> None:
    site.content = ROWS
    assert content(f"{site.url}/x", issued.with_secret(username="ann", password="pä:ss")) == ROWS
    expected = f"Basic {b64encode('ann:pä:ss'.encode()).decode()}"
    assert {asked.headers["Authorization"] for asked in site.requests} == {expected}


@pytest.mark.parametrize("code", [401, 403])
def test_wrong_credentials_are_named_but_not_quoted(site: Site, issued: Certificates, code: int) -> None:
    site.answers["/x"] = status(code)
    refused = refusal(f"{site.url}/x", issued.with_secret(token="geheim"))
    assert refused.reason == ("CredentialsRefused" if code == 401 else "AccessDenied")
    assert "Secret web" in refused.message
    assert "geheim" not in refused.message


@pytest.mark.parametrize(
    "keys",
    [
        {"username": "ann"},
        {"password": "x"},
        {"username": "a:b", "password": "x"},
        {"username": "ann", "password": "a\nb"},
        {"token": "two words"},
        {"token": "a\r\nX-Admin: 1"},
        {"token": "schlüssel"},
    ],
)
def test_a_secret_that_cannot_be_one_sends_nothing(
    site: Site, issued: Certificates, tmp_path: Path, keys: dict[str, str]
) -> None:
    refused = refusal(f"{site.url}/x", replace(issued, folder=tmp_path).with_secret(**keys))
    assert (refused.reason, refused.passing) == ("SecretIncomplete", False)
    assert "data.store.secretRef" in refused.message
    assert not site.requests


def test_a_secret_without_its_keys_is_not_found(site: Site, issued: Certificates, tmp_path: Path) -> None:
    refused = refusal(f"{site.url}/x", issued.access(folder=tmp_path, secret="web"))
    assert refused.reason == "SecretNotFound"
    assert "username, password, token" in refused.message


def test_a_redirect_within_the_server_keeps_the_credential(site: Site, issued: Certificates) -> None:
    site.content, site.answers["/moved"] = ROWS, to("/rows.csv", 307)
    assert content(f"{site.url}/moved", issued.with_secret(token="abc")) == ROWS
    assert all(asked.headers["Authorization"] == "Bearer abc" for asked in site.requests)


@pytest.mark.parametrize("back", [False, True])
def test_a_redirect_to_another_host_drops_the_credential(
    site: Site, issued: Certificates, *, back: bool
) -> None:
    with issued.site() as other:
        other.content = site.content = ROWS
        site.answers["/moved"] = to(f"{other.url}/signed?x=1")
        if back:
            other.answers["/signed"] = to(f"{site.url}/rows.csv")
        assert content(f"{site.url}/moved", issued.with_secret(token="abc")) == ROWS
        later = [*other.requests, *(asked for asked in site.requests if asked.path != "/moved")]
        assert len(later) == (2 if back else 1)
        assert not any("Authorization" in asked.headers for asked in later)


def test_a_host_that_a_redirect_leads_to_is_no_matter_of_the_secret(site: Site, issued: Certificates) -> None:
    with issued.site() as other:
        other.answers["/x"] = status(401)
        site.answers["/moved"] = to(f"{other.url}/x")
        refused = refusal(f"{site.url}/moved", issued.with_secret(token="abc"))
        assert refused.reason == "AccessDenied"
        assert "another host gets no credentials" in refused.message.lower()
        assert other.url not in refused.message


def test_a_redirect_that_is_not_encrypted_is_refused(site: Site, issued: Certificates) -> None:
    site.answers["/moved"] = to(f"http://127.0.0.1:{site.server_address[1]}/rows.csv")
    refused = refusal(f"{site.url}/moved", issued.access())
    assert (refused.reason, refused.passing) == ("StoreAnswerInvalid", False)
    assert "not encrypted" in refused.message


def test_five_redirects_are_followed_and_no_more(site: Site, issued: Certificates) -> None:
    site.content = ROWS
    for step in range(9):
        site.answers[f"/{step}"] = to(f"/{step + 1}")
    assert content(f"{site.url}/4", issued.access()) == ROWS
    assert refusal(f"{site.url}/3", issued.access()).reason == "StoreAnswerInvalid"


@pytest.mark.parametrize("location", REDIRECTS)
def test_a_redirect_to_no_uri_is_no_crash(site: Site, issued: Certificates, location: str) -> None:
    site.answers["/moved"] = raw(
        b"HTTP/1.1 302 Found\r\nLocation: " + location.encode("latin-1") + b"\r\nContent-Length: 0\r\n\r\n"
    )
    refused = refusal(f"{site.url}/moved", issued.access(), silence=2)
    assert refused.reason in ("StoreAnswerInvalid", "StoreUnavailable")
    assert not location or location not in refused.message


@pytest.mark.parametrize("path", ["/größe/a b.csv".replace(" ", "%20"), "/gr%C3%B6%C3%9Fe/a%20b.csv"])
def test_a_path_that_is_not_ascii_is_escaped(site: Site, issued: Certificates, path: str) -> None:
    site.content = ROWS
    assert content(site.url + path, issued.access()) == ROWS
    assert {asked.path for asked in site.requests} == {"/gr%C3%B6%C3%9Fe/a%20b.csv"}


def test_a_host_name_that_is_not_ascii_is_one(issued: Certificates, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    known = socket.getaddrinfo

    def resolve(host: str, *others: Any, **more: Any) -> list[Any]:
        asked.append(host)
        return list(known("127.0.0.1", *others, **more))

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with issued.site("xn--mnchen-3ya.example") as site:
        site.content = ROWS
        assert content(f"https://m\u00fcnchen.example:{site.server_address[1]}/x", issued.access()) == ROWS
    assert set(asked) == {"xn--mnchen-3ya.example"}


@pytest.mark.parametrize(
    "uri",
    [
        "https://[::1/x",
        "https://host:99999/x",
        "https://host:port/x",
        "https://" + "a" * 64 + ".example/x",
        "https:///x",
        "https://host\n/x",
        "https://@host/x",
        "https://user@host/x",
        "https://user:word@host/x",
        "https://\ud800/x",
        "http://host/x",
    ],
)
def test_what_is_no_uri_is_refused(issued: Certificates, uri: str) -> None:
    with pytest.raises(StoreError) as refused:
        WebFile(uri, issued.access())
    assert (refused.value.reason, refused.value.passing) == ("UriUnsupported", False)
    assert "word" not in refused.value.message.replace("password", "")


def test_a_stranger_s_certificate_is_refused_for_good(site: Site, issued: Certificates) -> None:
    refused = refusal(f"{site.url}/rows.csv", issued.access(bundle=None))
    assert (refused.reason, refused.passing) == ("CertificateNotTrusted", False)
    assert "data.store.caConfigMapRef" in refused.message
    assert not site.requests


def test_a_certificate_for_another_name_is_refused(issued: Certificates) -> None:
    with issued.site("other.example") as site:
        assert refusal(f"{site.url}/rows.csv", issued.access()).reason == "CertificateNotTrusted"


def test_the_authority_of_a_config_map_is_trusted(site: Site, issued: Certificates, tmp_path: Path) -> None:
    site.content = ROWS
    access = issued.access(folder=tmp_path, bundle=None, authority="ca.crt of ConfigMap corp-ca")
    assert refusal(f"{site.url}/x", access).reason == "CertificatesNotFound"
    (tmp_path / "ca.crt").write_text("no certificate")
    refused = refusal(f"{site.url}/x", access)
    assert refused.reason == "CertificatesNotFound"
    assert "ca.crt of ConfigMap corp-ca" in refused.message
    (tmp_path / "ca.crt").write_bytes(issued.file.read_bytes())
    assert content(f"{site.url}/x", access) == ROWS


def test_a_proxy_of_the_environment_is_not_used(
    site: Site, issued: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.content = ROWS
    for name in ("https_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert content(f"{site.url}/x", issued.access()) == ROWS


def test_a_port_where_nothing_listens_may_pass(issued: Certificates) -> None:
    refused = refusal("https://127.0.0.1:1/rows.csv", issued.access())
    assert (refused.reason, refused.passing) == ("StoreUnavailable", True)
    assert "Connection refused" in refused.message


def test_a_server_without_tls_may_pass(issued: Certificates) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 400 " + SECRET + b"\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        refused = refusal(f"https://127.0.0.1:{server.getsockname()[1]}/x", issued.access())
        thread.join()
    assert (refused.reason, refused.passing) == ("StoreUnavailable", True)
    assert SECRET.decode() not in refused.message


def test_a_file_is_bounded_in_size(site: Site, issued: Certificates) -> None:
    site.content = ROWS
    with pytest.raises(StoreError) as refused:
        stream(WebFile(f"{site.url}/x", issued.access()), 1000)
    assert refused.value.reason == "FileTooLarge"
    site.says_size, site.ranges = False, False
    with (
        stream(WebFile(f"{site.url}/x", issued.access()), 1000) as body,
        pytest.raises(StoreError) as refused,
    ):
        body.read(10)
    assert refused.value.reason == "FileTooLarge"


def silent(answering: Answering) -> None:
    answering.server.ending.wait(10)


def dripping(header: bytes) -> Rule:
    def drip(answering: Answering) -> None:
        answering.raw(header)
        while not answering.server.ending.wait(0.05):
            answering.raw(b"x")

    return drip


@pytest.mark.parametrize("answer", [silent, dripping(b"HTTP/1.1 200 OK\r\nX-Long: ")])
def test_a_server_that_gets_to_no_answer_is_left_in_time(
    site: Site, issued: Certificates, answer: Rule
) -> None:
    site.answers["/x"] = answer
    before = time.monotonic()
    refused = refusal(f"{site.url}/x", issued.access(), silence=0.4)
    assert (refused.reason, refused.passing) == ("StoreUnavailable", True)
    assert "timed out" in refused.message
    assert time.monotonic() - before < 2


def test_a_body_that_drips_is_bounded_by_the_time_in_all(site: Site, issued: Certificates) -> None:
    site.answers["/x"] = dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    before = time.monotonic()
    refused = refusal(f"{site.url}/x", issued.access(), Patience(silent=5, total=1), silence=5)
    assert (refused.reason, refused.passing) == ("StoreUnavailable", True)
    assert time.monotonic() - before < 4


def test_a_body_may_take_longer_than_the_silence_that_is_allowed(site: Site, issued: Certificates) -> None:
    def slow(answering: Answering) -> None:
        answering.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\n")
        for _ in range(6):
            time.sleep(0.2)
            answering.raw(b"x")

    site.answers["/x"] = slow
    assert content(f"{site.url}/x", issued.access(), silence=0.7) == b"xxxxxx"


@pytest.mark.parametrize("length", ["abc", "-5", "+5", "0x10", "5,5", "1e3", "1_0", "\u00b2", "9" * 30])
def test_a_length_that_is_no_number_is_worth_another_try(
    site: Site, issued: Certificates, length: str
) -> None:
    site.answers["/x"] = raw(
        b"HTTP/1.1 200 OK\r\nContent-Length: " + length.encode("latin-1") + b"\r\n\r\n" + ROWS
    )
    refused = refusal(f"{site.url}/x", issued.access())
    assert (refused.reason, refused.passing) == ("StoreAnswerInvalid", True)


@pytest.mark.parametrize("place", range(len(MALFORMED)))
def test_a_malformed_answer_is_neither_a_crash_nor_quoted(
    site: Site, issued: Certificates, place: int
) -> None:
    site.answers["/x"] = raw(MALFORMED[place])
    refused = refusal(f"{site.url}/x", issued.access(), silence=2)
    assert refused.reason in ("StoreAnswerInvalid", "StoreUnavailable")
    assert SECRET.decode() not in refused.message


def test_a_body_without_a_length_ends_where_tls_says_so(site: Site, issued: Certificates) -> None:
    site.content, site.says_size, site.ranges = ROWS, False, False
    assert content(f"{site.url}/x", issued.access()) == ROWS


def test_a_body_in_chunks_is_read(site: Site, issued: Certificates) -> None:
    chunks = (
        b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (b"a,b\n", b"1,2\n" * 9000)) + b"0\r\n\r\n"
    )
    site.answers["/x"] = raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
    assert content(f"{site.url}/x", issued.access()) == b"a,b\n" + b"1,2\n" * 9000


@pytest.mark.parametrize("etag", ['W/"weak"', "bare", '"a\tb"', '"' + "a" * 300 + '"', ""])
def test_only_a_strong_etag_counts(site: Site, issued: Certificates, etag: str) -> None:
    site.etag = etag
    assert WebFile(f"{site.url}/x", issued.access()).head() == Head(0, None)


def test_a_rest_of_another_file_is_refused(site: Site, issued: Certificates) -> None:
    site.content = ROWS
    file = WebFile(f"{site.url}/x", issued.access())
    head = file.head()
    assert b"".join(file.read(100, head)) == ROWS[100:]
    for site.etag, site.content in (('"second"', ROWS), ('"first"', ROWS[:-1]), (None, ROWS)):
        with pytest.raises(StoreError) as refused:
            b"".join(file.read(100, head))
        assert (refused.value.reason, refused.value.passing) == ("FileChanged", True)


def test_other_bytes_than_asked_for_are_refused(site: Site, issued: Certificates) -> None:
    site.answers["/x"] = status(206, **{"Content-Range": "bytes 5-9/10", "ETag": '"first"'})
    with pytest.raises(StoreError) as refused:
        b"".join(WebFile(f"{site.url}/x", issued.access()).read(7, Head(10, '"first"')))
    assert refused.value.reason == "StoreAnswerInvalid"


@pytest.fixture(scope="module")
def rude(issued: Certificates) -> Iterator[Site]:
    """A server that says anything."""
    with issued.site() as site:
        yield site


MARK = b"geheim"
NAMES = st.sampled_from(
    [
        b"Content-Length",
        b"Transfer-Encoding",
        b"Content-Range",
        b"ETag",
        b"Location",
        b"Connection",
        MARK,
        b"",
    ]
)
VALUES = st.sampled_from(
    [
        b"0",
        b"5",
        b"-1",
        b"99999999999999999999",
        b"chunked",
        b"chunked, " + MARK,
        b"bytes 0-4/5",
        b"bytes 4-0/*",
        b'"' + MARK + b'"',
        b"/" + MARK,
        b"https://" + MARK + b".invalid/",
        b"//" + MARK + b"@127.0.0.1:1/",
        b"close",
        b"\xff\xfe" + MARK,
        MARK,
        b"",
    ]
)
STATUSES = st.sampled_from(
    [b"200", b"206", b"100", b"103", b"204", b"302", b"304", b"416", b"401", b"500", b"abc"]
)


def message(read: Callable[[], object]) -> str:
    """What is said of a failure; nothing of a success."""
    try:
        read()
    except StoreError as error:
        return error.message
    return ""


@given(
    status=STATUSES,
    headers=st.lists(st.tuples(NAMES, VALUES), max_size=5),
    body=st.sampled_from([b"", b"12345", b"5\r\n12345\r\n0\r\n\r\n", b"-5\r\n" + MARK, MARK * 100]),
    ending=st.sampled_from([b"\r\n\r\n", b"\n\n", b"\r\n", b""]),
    start=st.sampled_from([0, 3]),
)
@settings(max_examples=80)
def test_whatever_a_server_says_is_bytes_or_a_failure_that_does_not_quote_it(
    rude: Site,
    issued: Certificates,
    *,
    status: bytes,
    headers: list[tuple[bytes, bytes]],
    body: bytes,
    ending: bytes,
    start: int,
) -> None:
    lines = [b"HTTP/1.1 " + status + b" " + MARK, *(name + b": " + value for name, value in headers)]
    rude.answers["/x"] = raw(b"\r\n".join(lines) + ending + body)
    file = WebFile(f"{rude.url}/x", issued.access(), silence=2)
    for read in (
        lambda: stream(file, 1000, ONCE).read(),
        lambda: b"".join(file.read(start, Head(5, None))),
        file.head,
    ):
        assert MARK.decode() not in message(read)
