"""Azure Blob Storage: Microsoft's own Azurite, over a folder."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

from cluster.stores import azurite as command

from support.stores.certificates import Certificates
from support.stores.programs import Program, free_port, started

VERSION = "2023-11-03"


@dataclass(frozen=True)
class Azurite:
    """A running server with one account. `endpoint` ends with the account's name, as Azurite wants it."""

    endpoint: str
    account: str
    key: str
    program: Program

    def secret_data(self) -> dict[str, str]:
        """What a Kubernetes Secret of the account's key holds."""
        return {"AZURE_STORAGE_ACCOUNT_NAME": self.account, "AZURE_STORAGE_ACCOUNT_KEY": self.key}

    def container(self, name: str) -> None:
        """Make a container; the server is not over TLS."""
        self._ask("PUT", f"{name}?restype=container", f"{name}\nrestype:container")

    def put(self, container: str, name: str, content: bytes) -> None:
        """Store a blob; the server is not over TLS."""
        self._ask("PUT", f"{container}/{name}", f"{container}/{name}", content)

    def get(self, container: str, name: str) -> bytes:
        """The bytes of a blob; the server is not over TLS."""
        return self._ask("GET", f"{container}/{name}", f"{container}/{name}")

    def _ask(self, method: str, target: str, resource: str, content: bytes = b"") -> bytes:
        date = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
        headers = {"x-ms-date": date, "x-ms-version": VERSION}
        if content:
            headers["x-ms-blob-type"] = "BlockBlob"
        length = str(len(content)) if content else ""
        own = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
        signed = f"{method}\n\n\n{length}\n\n\n\n\n\n\n\n\n{own}/{self.account}/{self.account}/{resource}"
        headers["Authorization"] = f"SharedKey {self.account}:{self._sign(signed)}"
        connection = http.client.HTTPConnection(self.program.host, self.program.port, timeout=10)
        connection.request(method, f"/{self.account}/{target}", content or None, headers)
        answer = connection.getresponse()
        read = answer.read()
        connection.close()
        assert answer.status in {200, 201, 409}, f"Azurite answers {answer.status}: {read[:500]!r}"
        return read

    def shared_access(self, seconds: float = 3600, permissions: str = "rwdlc") -> str:
        """A SAS of the account, without the question mark; it expires."""
        begin, end = (
            (datetime.now(UTC) + timedelta(seconds=offset)).strftime("%Y-%m-%dT%H:%M:%SZ")
            for offset in (-3600, seconds)
        )
        parts = (self.account, permissions, "b", "sco", begin, end, "", "http,https", VERSION, "", "")
        query = {"sv": VERSION, "ss": "b", "srt": "sco", "sp": permissions, "st": begin, "se": end}
        return urlencode({**query, "spr": "http,https", "sig": self._sign("\n".join(parts))})

    def _sign(self, text: str) -> str:
        key = base64.b64decode(self.key)
        return base64.b64encode(hmac.new(key, text.encode(), hashlib.sha256).digest()).decode()


@contextmanager
def azurite(folder: Path, host: str = "127.0.0.1", tls: Certificates | None = None) -> Iterator[Azurite]:
    """An Azure server whose files are in a folder. Over TLS it also takes bearer tokens (`--oauth basic`)."""
    folder.mkdir(parents=True, exist_ok=True)
    account, key = "modelwright", base64.b64encode(secrets.token_bytes(64)).decode()
    port = free_port(host)
    files = ["--cert", str(tls.certificate), "--key", str(tls.key), "--oauth", "basic"] if tls else []
    program = Program(
        [
            *map(str, command()),
            *("--blobHost", host, "--blobPort", str(port), "--location", str(folder), "--silent"),
            *("--skipApiVersionCheck", "--disableTelemetry", "--disableProductStyleUrl", *files),
        ],
        host,
        port,
        folder / "azurite.log",
        {"AZURITE_ACCOUNTS": f"{account}:{key}", "HOME": str(folder)},
    )
    with started(program):
        yield Azurite(f"{'https' if tls else 'http'}://{host}:{port}/{account}", account, key, program)
