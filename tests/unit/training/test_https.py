"""Fetching from a real TLS server on this host: what is trusted, what is bounded, what is worth another try."""

import ssl
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, unquote, urlsplit

import pytest
import trustme
from unit.training.pod import Pod, numbers

from modelwright_training.errors import InputError, OutsideError
from modelwright_training.reading.https import Limits, opened

ROWS = numbers(40).to_csv(index=False).encode()


SECRET = b"what-the-server-said"
MALFORMED = [
    b"",
    SECRET + b"\r\n\r\n",
    b"HTTP/1.1 " + SECRET + b" OK\r\n\r\n",
    b"HTTP/1.1 99999 " + SECRET + b"\r\n\r\n",
    b"HTTP/1.1 500 " + SECRET + b"\r\nContent-Length: 20\r\n\r\n" + SECRET,
    b"HTTP/1.1 200 OK\r\n" + SECRET * 10_000 + b"\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 1000 + b"\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + SECRET + b"\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\nx,y\n",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 202 Accepted\r\nContent-Length: 20\r\n\r\n" + SECRET,
    b"HTTP/1.1 206 Partial Content\r\nContent-Length: 20\r\n\r\n" + SECRET,
]
REDIRECTS = [
    "https://[",
    "https://host:port/",
    "https://h\u00f6st\ud800/",
    "//",
    "https://a b/",
    "https:///x",
    "mailto:x",
]


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
            case ["silent"]:
                self.server.quiet.wait(20)  # type: ignore[attr-defined]
                self.close_connection = True
            case other:
                self.answer_badly(other)

    def answer_badly(self, path: list[str]) -> None:
        match path:
            case ["length", length]:
                self.raw(f"HTTP/1.1 200 OK\r\nContent-Length: {unquote(length)}\r\n\r\n".encode() + ROWS)
            case ["lengths"]:
                self.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n" + ROWS)
            case ["raw", place]:
                self.raw(MALFORMED[int(place)])
            case ["to", place]:
                self.answer(302, location=REDIRECTS[int(place)])
            case [folder, name] if (folder, name) == ("gr%C3%B6%C3%9Fe", "a%20b.csv"):
                self.answer(200, ROWS)

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

    def raw(self, content: bytes) -> None:
        self.wfile.write(content)
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
        return {"SSL_CERT_FILE": self.certificate}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    path = tmp_path_factory.mktemp("ca") / "ca.crt"
    authority.cert_pem.write_to_path(str(path))
    with ThreadingHTTPServer(("127.0.0.1", 0), Lake) as http:
        http.quiet = threading.Event()  # type: ignore[attr-defined]
        http.socket = context.wrap_socket(http.socket, server_side=True)
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        yield Server(f"https://127.0.0.1:{http.server_address[1]}", str(path))
        http.quiet.set()  # type: ignore[attr-defined]
        http.shutdown()
        thread.join()


def download(uri: str, environ: Mapping[str, str], limits: Limits) -> bytes:
    with opened(uri, environ, limits) as body:
        return b"".join(iter(lambda: body.read(1 << 16) or b"", b""))


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
        ("status/401", "AccessDenied", 65),
        ("status/403", "AccessDenied", 65),
        ("status/400", "FetchFailed", 65),
        ("status/429", "FetchFailed", 75),
        ("status/500", "FetchFailed", 75),
        ("status/503", "FetchFailed", 75),
        ("downgraded", "FetchFailed", 65),
        ("in-circles", "FetchFailed", 65),
        ("cut-short", "FetchFailed", 75),
    ],
)
def test_an_answer_decides_whether_to_try_again(
    pod: Pod, server: Server, path: str, reason: str, code: int
) -> None:
    ending = pod.given(data={"uri": f"{server.url}/{path}"}).run("fetch", **server.trusted)
    assert (ending.reason, ending.code) == (reason, code)
    assert path in ending.message


def test_a_stranger_s_certificate_is_refused_for_good(pod: Pod, server: Server) -> None:
    ending = pod.given(data={"uri": f"{server.url}/rows.csv"}).run("fetch")
    assert (ending.reason, ending.code) == ("FetchFailed", 65)
    assert "data.caConfigMapRef" in ending.message


def test_nobody_listening_is_worth_another_try(pod: Pod) -> None:
    ending = pod.given(data={"uri": "https://127.0.0.1:1/rows.csv"}).run("fetch")
    assert (ending.reason, ending.code) == ("FetchFailed", 75)
    assert "Connection refused" in ending.message


@pytest.mark.parametrize("path", ["rows.csv", "endless"])
def test_a_download_is_bounded_in_size(server: Server, path: str) -> None:
    with pytest.raises(InputError) as refused:
        download(f"{server.url}/{path}", server.trusted, Limits(max_bytes=1000))
    assert refused.value.reason == "DataTooLarge"


@pytest.mark.parametrize("limits", [Limits(10**6, silence=0.2), Limits(10**6, total=-1)])
def test_a_download_is_bounded_in_time(server: Server, limits: Limits) -> None:
    path = "silent" if limits.total > 0 else "endless"
    with pytest.raises(OutsideError) as refused:
        download(f"{server.url}/{path}", server.trusted, limits)
    assert refused.value.reason == "FetchFailed"


def test_a_file_that_may_not_be_read_is_denied(pod: Pod) -> None:
    pod.given_csv("x,y\n1,0\n")
    (pod.paths.source / "rows.csv").chmod(0)
    ending = pod.run_unprivileged("fetch")
    assert (ending.reason, ending.code) == ("AccessDenied", 65)
    assert "may not be read by user" in ending.message


@pytest.mark.parametrize("length", ["abc", "-5", "+5", "0x10", "5,5", "1e3", "\u00b2"])
def test_a_length_that_is_no_number_is_worth_another_try(pod: Pod, server: Server, length: str) -> None:
    ending = pod.given(data={"uri": f"{server.url}/length/{quote(length)}"}).run("fetch", **server.trusted)
    assert (ending.reason, ending.code) == ("FetchFailed", 75)


@pytest.mark.parametrize("path", ["lengths", *(f"raw/{place}" for place in range(len(MALFORMED)))])
def test_a_malformed_answer_is_neither_a_crash_nor_quoted(pod: Pod, server: Server, path: str) -> None:
    ending = pod.given(data={"uri": f"{server.url}/{path}"}).run("fetch", **server.trusted)
    assert ending.reason == "FetchFailed"
    assert SECRET.decode() not in str(ending.document)


@pytest.mark.parametrize("place", range(len(REDIRECTS)))
def test_a_redirect_to_no_uri_is_no_crash(pod: Pod, server: Server, place: int) -> None:
    ending = pod.given(data={"uri": f"{server.url}/to/{place}"}).run("fetch", **server.trusted)
    assert ending.reason == "FetchFailed"


@pytest.mark.parametrize("path", ["größe/a%20b.csv", "gr%C3%B6%C3%9Fe/a%20b.csv"])
def test_a_path_that_is_not_ascii_is_escaped(pod: Pod, server: Server, path: str) -> None:
    assert pod.given(data={"uri": f"{server.url}/{path}"}).run("fetch", **server.trusted).code == 0


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
        "https://\ud800/x",
    ],
)
def test_what_is_no_uri_is_refused(pod: Pod, uri: str) -> None:
    ending = pod.given(data={"uri": uri}).run_unchecked("fetch")
    assert (ending.reason, ending.code) == ("UriUnsupported", 65)
