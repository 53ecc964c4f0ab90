"""A stub of Google Cloud Storage's XML API, in memory: as much of it as clients of object stores use, strict about
authorization. Google has no server of its own for tests, and fake-gcs-server does not know this API's uploads."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import cached_property
from itertools import count
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit
from xml.sax.saxutils import escape

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from support.stores.certificates import Certificates
from support.stores.listening import Handler, listening
from support.stores.sts import claims

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
PAGE = 1000


@dataclass(frozen=True)
class Stored:
    """An object: its bytes, and its generation, which a write increments."""

    content: bytes
    generation: int
    modified: datetime

    @cached_property
    def etag(self) -> str:
        """Changes with the bytes."""
        return f'"{hashlib.md5(self.content, usedforsecurity=False).hexdigest()}"'


@dataclass
class CloudStorage:
    """A running stub. `buckets` hold what is stored, by bucket and key; tests may read and change it."""

    endpoint: str
    email: str = "trainer@project.iam.gserviceaccount.com"
    audience: str = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/k8s"
    seconds: float = 3600
    buckets: dict[str, dict[str, Stored]] = field(default_factory=dict)
    tokens: dict[str, float] = field(default_factory=dict)
    subjects: list[str] = field(default_factory=list)
    scopes: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))
    lock: threading.RLock = field(default_factory=threading.RLock)
    generations: Iterator[int] = field(default_factory=lambda: count(1))
    uploads: dict[str, dict[int, bytes]] = field(default_factory=dict)

    def bucket(self, name: str) -> dict[str, Stored]:
        """A bucket; made if it is not there."""
        return self.buckets.setdefault(name, {})

    def put(self, bucket: str, key: str, content: bytes) -> None:
        """Store an object, whatever is there."""
        with self.lock:
            self.bucket(bucket)[key] = Stored(content, next(self.generations), datetime.now(UTC))

    @cached_property
    def private_key(self) -> str:
        """The private key of the service account, as PEM."""
        form = serialization.PrivateFormat.PKCS8
        plain = serialization.NoEncryption()
        return self.key.private_bytes(serialization.Encoding.PEM, form, plain).decode()

    def service_account(self) -> str:
        """The key file of the service account, as Google gives one out; with this server's addresses."""
        return json.dumps(
            {
                "type": "service_account",
                "project_id": "project",
                "private_key_id": "1",
                "private_key": self.private_key,
                "client_email": self.email,
                "client_id": "1",
                "token_uri": f"{self.endpoint}/token",
            }
        )

    def issue(self) -> str:
        """A new bearer token."""
        token = f"ya29.{secrets.token_urlsafe(60)}"
        with self.lock:
            self.tokens[token] = time.time() + self.seconds
        return token

    def accepts(self, token: str) -> bool:
        """Whether a bearer token was issued here and holds, or is signed by the service account itself."""
        with self.lock:
            if token in self.tokens:
                return time.time() < self.tokens[token]
        return self.signed(token)

    def signed(self, token: str) -> bool:
        """Whether a JSON web token is signed with the key of the service account, and holds."""
        said = claims(token)
        text, _, signature = token.rpartition(".")
        try:
            self.key.public_key().verify(
                _decoded(signature), text.encode(), padding.PKCS1v15(), hashes.SHA256()
            )
        except (InvalidSignature, ValueError):
            return False
        return said.get("iss") == self.email and said.get("exp", 0) > time.time()


@contextmanager
def cloud_storage(
    host: str = "127.0.0.1", tls: Certificates | None = None, seconds: float = 3600
) -> Iterator[CloudStorage]:
    """A stub with a service account, its token endpoint (`/token`) and the exchange of tokens (`/v1/token`).

    Tokens hold for so many seconds."""
    made = CloudStorage("", seconds=seconds)

    class Bound(_Answers):
        cloud = made

    with listening(Bound, host, tls) as endpoint:
        made.endpoint = endpoint
        yield made


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class _Answers(Handler):
    cloud: CloudStorage

    def answer(self) -> None:
        url = urlsplit(self.path)
        content = self.body()
        if url.path in {"/token", "/v1/token"}:
            self._exchange(content)
        elif url.path.endswith(":generateAccessToken"):
            self._impersonate(content)
        elif not self._is_authorized():
            self.cloud.refused.append(f"{self.command} {url.path}")
            self._refuse(401, "AuthenticationRequired")
        else:
            bucket, _, key = unquote(url.path).lstrip("/").partition("/")
            with self.cloud.lock:
                self._ask(bucket, key, dict(parse_qsl(url.query, keep_blank_values=True)), content)

    def _is_authorized(self) -> bool:
        kind, _, token = self.headers.get("Authorization", "").partition(" ")
        return kind == "Bearer" and self.cloud.accepts(token)

    def _exchange(self, content: bytes) -> None:
        text = content.decode()
        form = (
            json.loads(text)
            if text.startswith("{")
            else {name: values[0] for name, values in parse_qs(text).items()}
        )
        if form.get("grant_type") == EXCHANGE:
            subject = str(form.get("subject_token", ""))
            self.cloud.subjects.append(subject)
            self.cloud.scopes.append(str(form.get("scope", "")))
            said = claims(subject)
            audience = said.get("aud") or []
            wanted = self.cloud.audience
            own = form.get("audience") == wanted
            names = audience if isinstance(audience, list) else [audience]
            fits = own and any(name in {wanted, f"https:{wanted}"} for name in names)
            granted = fits and said.get("exp", 0) > time.time()
        else:
            granted = self.cloud.signed(str(form.get("assertion", "")))
        if granted:
            token = {"access_token": self.cloud.issue(), "token_type": "Bearer"}
            self._json(200, {**token, "expires_in": int(self.cloud.seconds)})
        else:
            self._json(400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."})

    def _impersonate(self, content: bytes) -> None:
        self.cloud.scopes += json.loads(content)["scope"]
        if self._is_authorized() and f"/serviceAccounts/{self.cloud.email}:" in unquote(self.path):
            end = datetime.fromtimestamp(time.time() + self.cloud.seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            self._json(200, {"accessToken": self.cloud.issue(), "expireTime": end})
        else:
            self._json(403, {"error": {"code": 403, "status": "PERMISSION_DENIED"}})

    def _json(self, status: int, document: object) -> None:
        self.send(status, json.dumps(document).encode(), {"Content-Type": "application/json"})

    def _refuse(self, status: int, code: str) -> None:
        text = (
            f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>no</Message></Error>"
        )
        self.send(status, text.encode(), {"Content-Type": "application/xml"})

    def _ask(self, bucket: str, key: str, query: dict[str, str], content: bytes) -> None:
        objects = self.cloud.buckets.get(bucket)
        if objects is None:
            self._refuse(404, "NoSuchBucket")
        elif not key:
            self._list(objects, query)
        elif self.command in {"GET", "HEAD"}:
            self._read(objects.get(key))
        elif self.command == "DELETE":
            self._delete(objects, key, query)
        elif self.command == "PUT" and "uploadId" in query:
            self._part(query, content)
        elif self.command == "POST":
            self._upload(objects, bucket, key, query)
        elif self.command == "PUT":
            self._write(objects, key, content)
        else:
            self._refuse(405, "MethodNotAllowed")

    def _read(self, stored: Stored | None) -> None:
        if stored is None:
            self._refuse(404, "NoSuchKey")
            return
        match = self.headers.get("If-Match")
        if match is not None and match.strip('"') != stored.etag.strip('"'):
            self._refuse(412, "PreconditionFailed")
            return
        headers = {
            "ETag": stored.etag,
            "Last-Modified": format_datetime(stored.modified, usegmt=True),
            "x-goog-generation": str(stored.generation),
            "Accept-Ranges": "bytes",
        }
        size, wanted = len(stored.content), self.headers.get("Range", "")
        if not wanted.startswith("bytes="):
            self.send(200, stored.content, headers)
            return
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        begin = int(first) if first else max(0, size - int(last))
        end = min(size, int(last) + 1) if first and last else size
        if begin >= size:
            self.send(416, headers={"Content-Range": f"bytes */{size}"})
            return
        headers["Content-Range"] = f"bytes {begin}-{end - 1}/{size}"
        self.send(206, stored.content[begin:end], headers)

    def _write(self, objects: dict[str, Stored], key: str, content: bytes) -> None:
        wanted, known = self.headers.get("x-goog-if-generation-match"), objects.get(key)
        if wanted is not None and int(wanted) != (known.generation if known else 0):
            self._refuse(412, "PreconditionFailed")
            return
        stored = Stored(content, next(self.cloud.generations), datetime.now(UTC))
        objects[key] = stored
        self.send(200, headers={"ETag": stored.etag, "x-goog-generation": str(stored.generation)})

    def _delete(self, objects: dict[str, Stored], key: str, query: dict[str, str]) -> None:
        if "uploadId" in query:
            self.cloud.uploads.pop(query["uploadId"], None)
            self.send(204)
        elif objects.pop(key, None) is None:
            self._refuse(404, "NoSuchKey")
        else:
            self.send(204)

    def _part(self, query: dict[str, str], content: bytes) -> None:
        parts = self.cloud.uploads.get(query["uploadId"])
        if parts is None:
            self._refuse(404, "NoSuchUpload")
            return
        parts[int(query["partNumber"])] = content
        self.send(200, headers={"ETag": f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'})

    def _upload(self, objects: dict[str, Stored], bucket: str, key: str, query: dict[str, str]) -> None:
        if "uploads" in query:
            name = secrets.token_urlsafe(20)
            self.cloud.uploads[name] = {}
            parts = {"Bucket": bucket, "Key": key, "UploadId": name}
            self._xml(
                "InitiateMultipartUploadResult", "".join(f"<{k}>{escape(v)}</{k}>" for k, v in parts.items())
            )
            return
        found = self.cloud.uploads.pop(query.get("uploadId", ""), None)
        if found is None:
            self._refuse(404, "NoSuchUpload")
            return
        content = b"".join(found[number] for number in sorted(found))
        stored = Stored(content, next(self.cloud.generations), datetime.now(UTC))
        objects[key] = stored
        self._xml(
            "CompleteMultipartUploadResult",
            f"<Bucket>{bucket}</Bucket><Key>{escape(key)}</Key><ETag>{escape(stored.etag)}</ETag>",
        )

    def _list(self, objects: dict[str, Stored], query: dict[str, str]) -> None:
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        after = max(query.get("continuation-token", ""), query.get("start-after", ""))
        found: dict[str, Stored | None] = {}
        for key in sorted(objects):
            if not key.startswith(prefix):
                continue
            head, mark, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
            found[prefix + head + mark if mark else key] = None if mark else objects[key]
        names = [name for name in found if name > after]
        page = names[: min(PAGE, int(query.get("max-keys", PAGE)))]
        text = "".join(_entry(name, found[name]) for name in page)
        more = len(page) < len(names)
        rest = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
        self._xml("ListBucketResult", f"<IsTruncated>{str(more).lower()}</IsTruncated>{rest}{text}")

    def _xml(self, name: str, text: str) -> None:
        content = f"<?xml version='1.0' encoding='UTF-8'?><{name}>{text}</{name}>".encode()
        self.send(200, content, {"Content-Type": "application/xml"})


def _entry(name: str, stored: Stored | None) -> str:
    if stored is None:
        return f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>"
    modified = stored.modified.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    fields = (
        f"<Key>{escape(name)}</Key><LastModified>{modified}</LastModified><ETag>{escape(stored.etag)}</ETag>"
    )
    return f"<Contents>{fields}<Size>{len(stored.content)}</Size></Contents>"
