"""Fetching from a real TLS server on this host: what is trusted, what is bounded, what is worth another try.

How a web server is read is tested in tests/unit/stores; here is what the step makes of it."""

import json
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme
from unit.training.pod import Pod, numbers

from modelwright_stores.resuming import Patience
from modelwright_training.reading import places

ROWS = numbers(40).to_csv(index=False).encode()


# This host may be reached.
ALLOWED = {"MODELWRIGHT_STORES": json.dumps({"networks": ["127.0.0.0/8"]})}


class Lake(BaseHTTPRequestHandler):
    """Answers as the path says."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        match urlsplit(self.path).path.strip("/").split("/"):
            case ["rows.csv"]:
                self.answer(200, ROWS)
            case ["status", code]:
                self.answer(int(code))
            case ["moved"]:
                self.answer(302, location="/rows.csv")
            case ["downgraded"]:
                self.answer(302, location=f"http://{self.headers['Host']}/rows.csv")
            case ["in-circles"]:
                self.answer(302, location="/in-circles")
            case ["cut-short"]:
                self.answer(200, ROWS[:100], length=len(ROWS))
            case ["endless"]:
                self.answer(200, b"x" * 5000, length=None)
            case ["changing"]:
                self.change()
            case ["malformed"]:
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: what-the-server-said\r\n\r\n" + ROWS)
                self.close_connection = True
            case _:
                self.answer(404)

    def change(self) -> None:
        """Another file at each answer, cut in its middle."""
        self.server.answers += 1  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("ETag", f'"{self.server.answers}"')  # type: ignore[attr-defined]
        self.send_header("Content-Length", str(len(ROWS)))
        self.end_headers()
        self.wfile.write(ROWS[:200])
        self.close_connection = True

    def answer(self, code: int, body: bytes = b"", location: str = "", length: int | None = -1) -> None:
        self.send_response(code)
        if location:
            self.send_header("Location", location)
        if length is not None:
            self.send_header("Content-Length", str(len(body) if length == -1 else length))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@dataclass(frozen=True)
class Server:
    """Where the server is and who vouches for it."""

    url: str
    certificate: str

    @property
    def trusted(self) -> dict[str, str]:
        return {"SSL_CERT_FILE": self.certificate, **ALLOWED}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    path = tmp_path_factory.mktemp("ca") / "ca.crt"
    authority.cert_pem.write_to_path(str(path))
    with ThreadingHTTPServer(("127.0.0.1", 0), Lake) as http:
        http.answers = 0  # type: ignore[attr-defined]
        http.socket = context.wrap_socket(http.socket, server_side=True)
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        yield Server(f"https://127.0.0.1:{http.server_address[1]}", str(path))
        http.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "PATIENCE", Patience(silent=0.1, total=60))


@pytest.mark.parametrize("path", ["rows.csv", "moved", "rows.csv?signature=secret"])
def test_data_comes_over_https(pod: Pod, server: Server, path: str) -> None:
    pod.given(data={"uri": f"{server.url}/{path}"})
    ending = pod.run("fetch", **server.trusted)
    assert ending.result["rows"] == {"train": 32, "holdout": 8}
    assert "secret" not in pod.paths.dataset.read_text() + pod.paths.source_facts.read_text()


@pytest.mark.parametrize(
    ("path", "reason", "code"),
    [
        ("status/404", "DataNotFound", 65),
        ("status/410", "DataNotFound", 65),
        ("status/401", "NoCredentials", 65),
        ("status/403", "AccessDenied", 65),
        ("status/400", "StoreAnswerInvalid", 65),
        ("status/429", "StoreUnavailable", 75),
        ("status/500", "StoreUnavailable", 75),
        ("status/503", "StoreUnavailable", 75),
        ("downgraded", "StoreAnswerInvalid", 65),
        ("in-circles", "StoreAnswerInvalid", 65),
        ("cut-short", "StoreUnavailable", 75),
    ],
)
def test_an_answer_decides_whether_to_try_again(
    pod: Pod, server: Server, path: str, reason: str, code: int
) -> None:
    ending = pod.given(data={"uri": f"{server.url}/{path}"}).run("fetch", **server.trusted)
    assert (ending.reason, ending.code) == (reason, code)
    assert path in ending.message


def test_a_stranger_s_certificate_is_refused_for_good(pod: Pod, server: Server) -> None:
    ending = pod.given(data={"uri": f"{server.url}/rows.csv"}).run("fetch", **ALLOWED)
    assert (ending.reason, ending.code) == ("CertificateNotTrusted", 65)
    assert "caConfigMapRef" in ending.message


def test_the_authority_of_the_spec_is_trusted(pod: Pod, server: Server) -> None:
    folder = pod.root / "etc/modelwright/stores/data"
    folder.mkdir(parents=True)
    (folder / "ca.crt").write_text(Path(server.certificate).read_text())
    data = {"field": "data", "authority": "ca.crt of ConfigMap corp-ca"}
    stores = {"networks": ["127.0.0.0/8"], "stores": {"data": data}}
    pod.given(data={"uri": f"{server.url}/rows.csv"})
    assert pod.run("fetch", MODELWRIGHT_STORES=json.dumps(stores)).code == 0
    (folder / "ca.crt").unlink()
    ending = pod.run("fetch", MODELWRIGHT_STORES=json.dumps(stores))
    assert (ending.reason, ending.code) == ("CertificatesNotFound", 65)
    assert "ca.crt of ConfigMap corp-ca" in ending.message


def test_an_internal_address_is_refused_unless_an_administrator_allows_it(pod: Pod, server: Server) -> None:
    pod.given(data={"uri": f"{server.url}/rows.csv?signature=secret"})
    ending = pod.run("fetch", SSL_CERT_FILE=server.certificate)
    assert (ending.reason, ending.code) == ("AddressRefused", 65)
    assert "stores.allowedNetworks" in ending.message
    assert "signature" not in ending.message


@pytest.mark.parametrize("document", ["[]", "{", '{"stores": {"data": 1}}', '{"networks": ["x"]}'])
def test_a_document_of_stores_that_is_none_is_a_defect_of_the_document(pod: Pod, document: str) -> None:
    pod.given_rows(numbers(40))
    ending = pod.run("fetch", MODELWRIGHT_STORES=document)
    assert (ending.reason, ending.code) == ("DocumentInvalid", 65)


def test_nobody_listening_is_worth_another_try(pod: Pod) -> None:
    ending = pod.given(data={"uri": "https://127.0.0.1:1/rows.csv"}).run("fetch", **ALLOWED)
    assert (ending.reason, ending.code) == ("StoreUnavailable", 75)
    assert "127.0.0.1" in ending.message


@pytest.mark.parametrize("path", ["rows.csv", "endless"])
def test_a_download_is_bounded_in_size(
    pod: Pod, server: Server, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "MAX_BYTES", 1000)
    ending = pod.given(data={"uri": f"{server.url}/{path}"}).run("fetch", **server.trusted)
    assert (ending.reason, ending.code) == ("DataTooLarge", 65)


def test_a_file_that_changes_while_it_is_read_is_read_from_its_beginning_but_not_for_long(
    pod: Pod, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "PATIENCE", Patience(silent=1, total=60))
    ending = pod.given(data={"uri": f"{server.url}/changing"}).run("fetch", **server.trusted)
    assert (ending.reason, ending.code) == ("StoreUnavailable", 75)
    assert "changed" in ending.message


def test_a_file_that_may_not_be_read_is_denied(pod: Pod) -> None:
    pod.given_csv("x,y\n1,0\n")
    (pod.paths.source / "rows.csv").chmod(0)
    ending = pod.run_unprivileged("fetch")
    assert (ending.reason, ending.code) == ("AccessDenied", 65)
    assert "may not be read by user" in ending.message


def test_a_malformed_answer_is_worth_another_try_and_not_quoted(pod: Pod, server: Server) -> None:
    ending = pod.given(data={"uri": f"{server.url}/malformed"}).run("fetch", **server.trusted)
    assert (ending.reason, ending.code) == ("StoreAnswerInvalid", 75)
    assert "what-the-server-said" not in str(ending.document)


@pytest.mark.parametrize("uri", ["https://[::1/x", "https://user@host/x", "https://\ud800/x"])
def test_what_is_no_uri_is_refused(pod: Pod, uri: str) -> None:
    ending = pod.given(data={"uri": uri}).run_unchecked("fetch")
    assert (ending.reason, ending.code) == ("UriUnsupported", 65)
