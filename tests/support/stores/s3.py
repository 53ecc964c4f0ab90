"""S3: a versitygw over a folder."""

from __future__ import annotations

import http.client
import secrets
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cluster.stores import versitygw

from support.stores.certificates import Certificates
from support.stores.keys import Keys
from support.stores.programs import Program, free_port, started
from support.stores.signatures import signed

REGION = "us-east-1"


@dataclass(frozen=True)
class Gateway:
    """A running S3 server. A bucket is a folder of `root`, an object a file in it: tests may read and spoil them."""

    endpoint: str
    keys: Keys
    root: Path
    program: Program
    authority: Path | None = None

    def bucket(self, name: str) -> Path:
        """A bucket; made if it is not there."""
        folder = self.root / name
        folder.mkdir(exist_ok=True)
        return folder

    def put(self, bucket: str, key: str, content: bytes) -> None:
        """Store an object as a client does: with an etag, which a file that is laid into a bucket has not."""
        self.bucket(bucket)
        target = f"/{bucket}/{key}"
        headers = signed(
            "PUT", target, {"host": f"{self.program.host}:{self.program.port}"}, self.keys, REGION
        )
        connection = http.client.HTTPConnection(self.program.host, self.program.port, timeout=30)
        if self.endpoint.startswith("https"):
            context = ssl.create_default_context(cafile=self.authority)
            connection = http.client.HTTPSConnection(
                self.program.host, self.program.port, timeout=30, context=context
            )
        connection.request("PUT", target, content, headers)
        answer = connection.getresponse()
        said = answer.read()
        connection.close()
        assert answer.status == 200, f"versitygw answers {answer.status}: {said[:500]!r}"


@contextmanager
def gateway(folder: Path, host: str = "127.0.0.1", tls: Certificates | None = None) -> Iterator[Gateway]:
    """An S3 server whose files are in a folder; over TLS if it has certificates.

    `program.kill()` and `program.start()` end it and bring it back at the same port."""
    root = folder / "buckets"
    root.mkdir(parents=True, exist_ok=True)
    keys = Keys(f"AKIA{secrets.token_hex(8).upper()}", secrets.token_urlsafe(30))
    port = free_port(host)
    files = [f"--cert={tls.certificate}", f"--key={tls.key}"] if tls else []
    program = Program(
        [
            *(str(versitygw()), f"--port={host}:{port}", f"--region={REGION}", "--keep-alive", *files),
            *("posix", str(root)),
        ],
        host,
        port,
        folder / "versitygw.log",
        {"ROOT_ACCESS_KEY": keys.access, "ROOT_SECRET_KEY": keys.secret},
    )
    with started(program):
        yield Gateway(
            f"{'https' if tls else 'http'}://{host}:{port}", keys, root, program, tls.ca if tls else None
        )
