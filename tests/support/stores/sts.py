"""The STS of AWS, over TLS: the token of a service account becomes temporary keys."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

from support.stores.certificates import Certificates
from support.stores.listening import Handler, listening
from support.stores.sessions import Sessions

NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"


def claims(token: str) -> dict[str, Any]:
    """What a JSON web token says; its signature is not checked."""
    try:
        part = token.split(".")[1]
        read = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (IndexError, ValueError):
        return {}
    return read if isinstance(read, dict) else {}


def unsigned_token(audience: str, seconds: float = 3600, **more: Any) -> str:
    """A JSON web token, as a service account has one, signed by no one: for tests without a cluster."""
    said = {
        "aud": [audience],
        "exp": int(time.time() + seconds),
        "sub": "system:serviceaccount:t:default",
        **more,
    }
    parts = ({"alg": "RS256", "typ": "JWT"}, said)
    texts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join((*texts, "c2lnbmVkIGJ5IG5vIG9uZQ"))


@dataclass
class TokenService:
    """A running STS. `tokens` are those that it was shown, `requests` their claims, roles and outcomes."""

    endpoint: str
    audience: str
    roles: tuple[str, ...]
    sessions: Sessions
    seconds: float
    tokens: list[str] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


@contextmanager
def token_service(
    tls: Certificates,
    sessions: Sessions,
    *roles: str,
    host: str = "127.0.0.1",
    audience: str = "sts.amazonaws.com",
    seconds: float = 900,
    ports: Iterable[int] = (0,),
) -> Iterator[TokenService]:
    """AssumeRoleWithWebIdentity for these roles: checks audience and expiry of the token, and issues temporary keys."""
    made = TokenService("", audience, roles, sessions, seconds)

    class Bound(_Exchange):
        service = made

    with listening(Bound, host, tls, ports) as endpoint:
        made.endpoint = endpoint
        yield made


class _Exchange(Handler):
    service: TokenService

    def answer(self) -> None:
        query = self.path.partition("?")[2]
        form = {name: values[0] for name, values in parse_qs(f"{self.body().decode()}&{query}").items()}
        if form.get("Action") != "AssumeRoleWithWebIdentity":
            self._refuse("InvalidAction", "only AssumeRoleWithWebIdentity", form)
            return
        token = form.get("WebIdentityToken", "")
        said = claims(token)
        audience = said.get("aud") or []
        with self.service.lock:
            self.service.tokens.append(token)
        if self.service.audience not in (audience if isinstance(audience, list) else [audience]):
            self._refuse("InvalidIdentityToken", "Incorrect token audience", form)
        elif said.get("exp", 0) < time.time():
            self._refuse("ExpiredTokenException", "Token expired", form)
        elif form.get("RoleArn") not in self.service.roles:
            self._refuse("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity", form, 403)
        else:
            self._grant(form)

    def _grant(self, form: dict[str, str]) -> None:
        self._note(form, "granted")
        keys = self.service.sessions.issue(self.service.seconds)
        end = datetime.fromtimestamp(time.time() + self.service.seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        parts = {
            "AccessKeyId": keys.access,
            "SecretAccessKey": keys.secret,
            "SessionToken": str(keys.token),
            "Expiration": end,
        }
        credentials = "".join(f"<{name}>{value}</{name}>" for name, value in parts.items())
        user = f"<Arn>{form['RoleArn']}/{form.get('RoleSessionName', '')}</Arn><AssumedRoleId>A:b</AssumedRoleId>"
        name = "AssumeRoleWithWebIdentity"
        text = (
            f'<{name}Response xmlns="{NAMESPACE}"><{name}Result><Credentials>{credentials}</Credentials>'
            f"<AssumedRoleUser>{user}</AssumedRoleUser></{name}Result></{name}Response>"
        )
        self.send(200, text.encode(), {"Content-Type": "text/xml"})

    def _refuse(self, code: str, message: str, form: dict[str, str], status: int = 400) -> None:
        self._note(form, code)
        error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
        text = f'<ErrorResponse xmlns="{NAMESPACE}">{error}</ErrorResponse>'
        self.send(status, text.encode(), {"Content-Type": "text/xml"})

    def _note(self, form: dict[str, str], outcome: str) -> None:
        said = claims(form.get("WebIdentityToken", ""))
        with self.service.lock:
            self.service.requests.append({"role": form.get("RoleArn"), "claims": said, "outcome": outcome})
