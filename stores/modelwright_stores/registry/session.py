"""Requests to one repository: credentials where they are asked for, redirects, and what goes wrong.

A registry says with 401 how it wants to be asked: with the credentials themselves (Basic), or with a token (Bearer)
that another server gives for them. Credentials go to the registry and to the server that it names, nowhere else."""

import json
import re
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPMessage, HTTPResponse
from urllib.parse import SplitResult, parse_qsl, urlencode, urljoin, urlsplit

from modelwright_stores.access import Access
from modelwright_stores.addresses import origin
from modelwright_stores.failures import StoreError
from modelwright_stores.registry import answers, credentials
from modelwright_stores.registry.reference import Reference
from modelwright_stores.web import answers as web
from modelwright_stores.web.connection import Connection, explained, trusting

MAX_TOKEN_BYTES = 256 << 10
MAX_CHALLENGE = 8 << 10
MAX_REDIRECTS = 5
REDIRECTS = (301, 302, 303, 307, 308)
# Seconds of silence: a registry answers a read soon, but may hash gigabytes before it says that it has them.
READING, WRITING = 8.0, 120.0
PULL, PUSH = "pull", "pull,push"

_PARAMETER = re.compile(r'(?<![A-Za-z_])([A-Za-z_]{1,32})=\s*(?:"([^"]*)"|([^\s,"]+))')
_TOKEN = re.compile(r"[\x21-\x7e]+")

Body = Callable[[], Iterable[bytes]]


@dataclass(frozen=True)
class Answer:
    """An answer whose body can be read as long as the block of `Session.asked` lasts."""

    status: int
    headers: HTTPMessage
    url: str
    response: HTTPResponse
    connection: Connection
    session: "Session"

    def body(self, limit: int) -> bytes:
        """The whole body of at most `limit` bytes, within some seconds; one byte more if it is larger."""
        return self.response.read(limit + 1)

    def pieces(self) -> Iterator[bytes]:
        """The body, 1 MiB at a time, however long it takes as long as something comes."""
        self.connection.deadline = None
        receive = self.connection.receive
        return web.Answer(self.response, self.session.called, self.session.access, None, receive).pieces()

    def close(self) -> None:
        """End the connection, read or not."""
        self.response.close()
        self.connection.close()


class Session:
    """Asks the registry of one reference. Each method raises StoreError."""

    def __init__(self, reference: Reference, access: Access) -> None:
        """Connects to nothing yet. UriUnsupported for an endpoint that is no address."""
        self.reference, self.access = reference, access
        self.base = (access.endpoint or f"https://{reference.server}").rstrip("/")
        origin(self.base)
        self.called = f"the registry of {reference.shown}"
        self._authorization: dict[str, str] = {}
        self._basic: str | None = None
        self._trust: ssl.SSLContext | None = None

    def url(self, rest: str) -> str:
        """The url of something in the repository, such as `manifests/latest`."""
        return f"{self.base}/v2/{self.reference.path}/{rest}"

    @contextmanager
    def asked(
        self,
        method: str,
        url: str,
        right: str = PULL,
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
    ) -> Iterator[Answer]:
        """The answer to a request, whatever its status, with credentials as far as they are needed. A GET is
        redirected."""
        if self._trust is None:
            self._basic = credentials.basic(self.access, self.reference)
            self._trust = trusting(self.access)
        with explained(self.called, self.access.field):
            answer = self._authorized(method, url, right, headers or {}, body)
            for _ in range(MAX_REDIRECTS):
                if answer.status not in REDIRECTS or method != "GET":
                    break
                answer.close()
                answer = self._redirected(answer, right, headers or {})
            with closing(answer):
                yield answer

    def location(self, answer: Answer) -> str:
        """The url that an answer names in its header `Location`."""
        given = answer.headers.get("Location")
        if not given:
            raise self.invalid(f"answers {answer.status} without saying where to go on")
        try:
            target = urljoin(answer.url, given)
        except ValueError:
            raise self.invalid("points to what is no url") from None
        self._place(target)
        return target

    def refused(self, answer: Answer) -> StoreError:
        """The failure that an answer stands for."""
        return self._refusal(answer.status, answers.code(answer.body(answers.MAX_ERROR_BYTES)))

    def invalid(self, what: str) -> StoreError:
        """The failure of a registry that answers something that the specification does not have."""
        return StoreError("StoreAnswerInvalid", f"The registry of {self.reference.shown} {what}.")

    def _refusal(self, status: int, code: str | None) -> StoreError:
        return answers.refusal(status, code, self.reference.shown, self.access.field, self.access.secret)

    def _authorized(
        self, method: str, url: str, right: str, headers: Mapping[str, str], body: Body | None
    ) -> Answer:
        own = self._is_own(url)
        known = self._authorization.get(right) if own else None
        answer = self._sent(method, url, known, headers, body)
        if answer.status != 401 or not own:
            return answer
        challenges = answer.headers.get_all("WWW-Authenticate", [])
        answer.close()
        value = self._answer_to(challenges, right)
        if value is None or value == known:
            raise self._refusal(401, None)
        self._authorization[right] = value
        return self._sent(method, url, value, headers, body)

    def _answer_to(self, challenges: list[str], right: str) -> str | None:
        """The header `Authorization` that a registry asks for; None without credentials where it wants some."""
        for challenge in challenges:
            scheme, _, rest = challenge.strip().partition(" ")
            if scheme.lower() == "bearer":
                given = {name.lower(): a or b for name, a, b in _PARAMETER.findall(rest[:MAX_CHALLENGE])}
                return self._token(given.get("realm", ""), given.get("service"), right)
        return self._basic

    def _token(self, realm: str, service: str | None, right: str) -> str:
        """A token for the repository, from the server that the registry names."""
        place = self._place(realm)
        if place.scheme == "http" and not self._is_own(realm):
            raise self.invalid("names a server for tokens that is not encrypted")
        scope = f"repository:{self.reference.path}:{right}"
        asked = [*parse_qsl(place.query), *([("service", service)] if service else []), ("scope", scope)]
        url = place._replace(query=urlencode(asked), fragment="").geturl()
        answer = self._sent("GET", url, self._basic, {}, None)
        with closing(answer):
            if answer.status != 200:
                found = answers.code(answer.body(answers.MAX_ERROR_BYTES))
                # Those who give tokens answer 401 and 403 to a wrong password alike.
                status = 401 if answer.status == 403 else answer.status
                raise self._refusal(status, found)
            content = answer.body(MAX_TOKEN_BYTES)
        try:
            document = json.loads(content)
            token = document.get("token") or document.get("access_token")
        except (ValueError, AttributeError, RecursionError):
            token = None
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise self.invalid("names a server for tokens that gives none")
        return f"Bearer {token}"

    def _redirected(self, answer: Answer, right: str, headers: Mapping[str, str]) -> Answer:
        """The answer from where another one points to. Another server gets no credentials."""
        target = self.location(answer)
        if self._is_own(target):
            return self._authorized("GET", target, right, headers, None)
        return self._sent("GET", target, None, headers, None)

    def _sent(
        self, method: str, url: str, authorization: str | None, headers: Mapping[str, str], body: Body | None
    ) -> Answer:
        place = self._place(url)
        given = {"User-Agent": "modelwright", **headers}
        if authorization:
            given["Authorization"] = authorization
        silence = READING if body is None else WRITING
        opened = Connection(url, self.access, self.called, silence, self._trust)
        try:
            opened.deadline = time.monotonic() + silence
            opened.connect()
            _send(opened, method, place, given, body)
            opened.deadline = time.monotonic() + silence
            response = opened.getresponse()
        except BaseException:
            opened.close()
            raise
        return Answer(response.status, response.headers, url, response, opened, self)

    def _place(self, url: str) -> SplitResult:
        """A url of a host that may be asked: encrypted, or where the endpoint itself is not."""
        try:
            place = urlsplit(url)
            ok = bool(place.hostname) and place.port != 0 and place.username is None and url.isascii()
        except ValueError:
            raise self.invalid("points to what is no url") from None
        plain = place.scheme == "http" and self.base.startswith("http://")
        if not ok or re.search(r"[\x00-\x20\x7f]", url) or not (place.scheme == "https" or plain):
            raise self.invalid("points to what is no url, or to one that is not encrypted")
        return place

    def _is_own(self, url: str) -> bool:
        return _origin(urlsplit(url)) == _origin(urlsplit(self.base))


def _send(
    connection: Connection, method: str, place: SplitResult, headers: Mapping[str, str], body: Body | None
) -> None:
    path = place._replace(scheme="", netloc="", fragment="").geturl() or "/"
    try:
        connection.request(method, path, body() if body else None, dict(headers))
    except (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
        # A server that refuses a large body answers and closes at once: what it answered says why.
        if body is None:
            raise


def _origin(place: SplitResult) -> tuple[str, str | None, int]:
    return place.scheme, place.hostname, place.port or (443 if place.scheme == "https" else 80)
