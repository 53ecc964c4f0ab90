"""A bucket, or a container of Azure: what is read, written once, listed and deleted in it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import finalize

from modelwright_stores import addresses
from modelwright_stores.access import Access
from modelwright_stores.failures import StoreError
from modelwright_stores.objects.answers import AnswerError, failure, missing, obstore_errors, unbuilt
from modelwright_stores.objects.clouds import Cloud, cloud
from modelwright_stores.objects.guard import Guard
from modelwright_stores.resuming import MODIFIED, Head

if TYPE_CHECKING:  # imported where it is used only: a pull from a claim does not pay for it
    from obstore import GetOptions, GetResult, ObjectMeta
    from obstore.store import ObjectStore

# What is larger is written in parts, and not as one act.
WHOLE = 64 << 20
PART = 8 << 20
MAX_PARTS = 10_000
CONCURRENT = 4
CHUNK = 1 << 20
BRIEF_BYTES = 1 << 20
# So many objects are looked at for the names of the folders that they are in.
DEEPER = 1000
# Directory buckets of S3 Express list in no order.
UNSORTED = "--x-s3"

# Every failure comes within ten seconds: no answer in 6, or none of three tries within 2. Who downloads tries again
# from the byte that was reached (resuming).
_RETRY = {
    "max_retries": 2,
    "retry_timeout": timedelta(seconds=2),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=1), "base": 2},
}
_BRIEF = {"connect_timeout": "4s", "read_timeout": "6s", "timeout": "24h"}
# The time of an upload depends on the line: a part, or a file of 64 MiB, may take this long.
_LONG = {"connect_timeout": "4s", "timeout": "10m"}

T = TypeVar("T")


@dataclass(frozen=True)
class Entry:
    """An object: its key in the bucket, its size in bytes, when it was written, and its etag, if the list names one."""

    key: str
    size: int
    modified: datetime
    etag: str | None = None


@dataclass(frozen=True)
class ObjectFile:
    """One object as a file (resuming.File), read with the connections of its bucket."""

    bucket: "Bucket"
    key: str

    @property
    def name(self) -> str:
        """The last part of the key."""
        return self.key.rpartition("/")[2]

    @property
    def shown(self) -> str:
        """The uri."""
        return f"{self.bucket.shown}/{self.key}"

    def head(self) -> Head:
        """Size and ETag. DataNotFound."""
        head = self.bucket.head(self.key)
        if head is None:
            raise self.bucket.missing(self.key)
        return head

    def read(self, start: int, head: Head) -> Iterator[bytes]:
        """The bytes from `start` on. FileChanged (passing)."""
        return self.bucket.read(self.key, start, head)


class Bucket:
    """One bucket. Each method raises StoreError; `shown` is its uri without the key.

    A failure that may pass is passed on after seconds. Objects in one bucket may be used by several threads."""

    def __init__(self, uri: str, access: Access) -> None:
        """Of `s3://BUCKET/…`, `gs://BUCKET/…` or `az://CONTAINER/…`; connects to nothing yet."""
        scheme, _, rest = uri.partition("://")
        bucket = rest.partition("/")[0]
        self.shown = f"{scheme}://{bucket}"
        self._access = access
        self._cloud: Cloud = cloud(scheme, bucket, access)
        self._stores: dict[str, ObjectStore] = {}
        self._checksums = scheme == "s3"
        self._creates = True
        self._guard: Guard | None = None

    def file(self, key: str) -> ObjectFile:
        """An object as a file that resumes; whether it is there shows when it is read."""
        return ObjectFile(self, key)

    def missing(self, key: str) -> StoreError:
        """The failure that there is no such object."""
        return missing(self._cloud, f"{self.shown}/{key}")

    def head(self, key: str) -> Head | None:
        """What is there under a key; None if nothing is."""
        meta = self._meta(key)
        return None if meta is None else _head(meta)

    def read(self, key: str, start: int, head: Head) -> Iterator[bytes]:
        """The bytes from `start` on. FileChanged (passing) if the object is no longer the one of `head`."""
        if head.size is not None and start >= head.size:
            return
        options: GetOptions = {"range": {"offset": start}} if start else {}
        if head.etag is not None and not head.etag.startswith(MODIFIED):
            options["if_match"] = head.etag
        try:
            got = self._do(key, lambda store: store.get(key, options=options))
        except AnswerError as refused:
            if refused.answer.is_other:
                raise self._changed(key) from None
            raise
        if _head(got.meta) != head:
            raise self._changed(key)
        with self._explained(key):
            for chunk in got.stream(min_chunk_size=CHUNK):
                yield bytes(chunk)

    def content(self, key: str, limit: int) -> bytes | None:
        """All bytes of a small object; None if there is none. FileTooLarge."""
        try:
            got = self._do(key, lambda store: store.get(key))
        except AnswerError as refused:
            _check_missing(refused)
            return None
        size = got.meta["size"]
        if size > limit:
            raise StoreError(
                "FileTooLarge", f"{self.shown}/{key} has {size} bytes; at most {limit} are read here."
            )
        with self._explained(key):
            return bytes(got.bytes())

    def entries(self, prefix: str) -> Iterator[Entry]:
        """The objects whose keys begin with a prefix, at any depth, by key."""
        folder = prefix.rpartition("/")[0]
        # The server skips what sorts before the prefix; the prefix itself may be a key.
        offset = prefix[:-1] if prefix[:-1] > folder else None
        pages = self._do(prefix, lambda store: _begun(store.list(folder or None, offset=offset)))
        with self._explained(prefix):
            for meta in chain.from_iterable(pages):
                entry = _entry(meta)
                if entry.key.startswith(prefix):
                    if self._is_object(entry):
                        yield entry
                elif entry.key > prefix and not self._cloud.bucket.endswith(UNSORTED):
                    return

    def folder(self, prefix: str, limit: int) -> tuple[list[Entry], list[str]]:
        """The objects directly below a prefix, which is empty or ends with a slash, and the names of the folders there.

        DataTooLarge for more than `limit` objects."""
        entries, names = self._level(prefix, limit)
        if len(entries) > limit:
            raise StoreError(
                "DataTooLarge", f"{self.shown}/{prefix} has more than {limit} objects; no more are read."
            )
        objects = [entry for entry in entries if self._is_object(entry)]
        marks = {entry.key for entry in entries} - {entry.key for entry in objects}
        return objects, sorted(names | {key.rpartition("/")[2] for key in marks})

    def beginning(self, prefix: str, limit: int) -> list[str]:
        """The names of what is directly below a prefix, without most of those after the first `limit` objects."""
        entries, names = self._level(prefix, limit)
        return sorted(names | {entry.key.rpartition("/")[2] for entry in entries})

    def put_new(self, key: str, content: bytes) -> bool:
        """Write an object unless there is one, as one act; False if there is one.

        Where a server does not know conditions (Alibaba Cloud OSS), it is looked for first: not one act then."""
        if self._creates:
            try:
                self._put(key, content, mode="create", use_multipart=False)
            except AnswerError as refused:
                if refused.answer.is_conflict:
                    return self._lost_to_another(key, refused)
                if not refused.answer.has_unknown_header:
                    raise
                self._creates = False
            else:
                return True
        if self._meta(key) is not None:
            return False
        self.put(key, content)
        return True

    def put(self, key: str, content: bytes | Path) -> None:
        """Write an object, in parts where it is large, whatever is there. It appears whole or not at all.

        Of a file only some parts are in memory."""
        size = _size(content)
        if size <= WHOLE:
            self._put(key, content, use_multipart=False)
        else:
            part = max(PART, -(-size // MAX_PARTS))
            self._put(key, content, chunk_size=part, max_concurrency=CONCURRENT)

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; those that are not there do not matter."""
        for key in keys:
            try:
                self._do(key, lambda store, key=key: store.delete(key))  # type: ignore[misc]
            except AnswerError as refused:
                _check_missing(refused)

    def _level(self, prefix: str, limit: int) -> tuple[list[Entry], set[str]]:
        """The objects directly below a prefix, and the names of the folders there.

        It ends with one object more than `limit`. obstore gets all pages of a list of one level before it shows the
        first. So the list of all levels is looked at, and the other one only where much lies deeper."""
        entries, names, deeper = list[Entry](), set[str](), 0
        pages = self._do(prefix, lambda store: _begun(store.list(prefix.rstrip("/") or None)))
        with self._explained(prefix):
            for entry in map(_entry, chain.from_iterable(pages)):
                name, slash, _ = entry.key.removeprefix(prefix).partition("/")
                if not entry.key.startswith(prefix):  # the mark of the folder itself
                    continue
                if slash:
                    names.add(name)
                    deeper += 1
                else:
                    entries.append(entry)
                if len(entries) > limit:
                    return entries, names
                if deeper > DEEPER:
                    break
            else:
                return entries, names
        found = self._do(prefix, lambda store: store.list_with_delimiter(prefix.rstrip("/") or None))
        names = {path.rstrip("/").rpartition("/")[2] for path in found["common_prefixes"]}
        return [_entry(meta) for meta in found["objects"]], names

    def _meta(self, key: str) -> "ObjectMeta | None":
        """What a store says of an object. A GET of one byte, since an answer to a HEAD has no room for a code."""
        try:
            try:
                return self._do(key, lambda store: _touched(store.get(key, options={"range": (0, 1)})))
            except AnswerError as refused:
                if not refused.answer.has_no_byte:
                    raise
                return self._do(key, lambda store: store.head(key))
        except AnswerError as refused:
            _check_missing(refused)
            return None

    def _is_object(self, entry: Entry) -> bool:
        """Some tools mark a folder by an empty object `FOLDER/`, which obstore lists without the slash."""
        return entry.size > 0 or self._meta(entry.key) is not None

    def _lost_to_another(self, key: str, refused: AnswerError) -> bool:
        """False, as there is an object. The same status stands for other things too: a write that is under way, a
        lease, a quota."""
        if not refused.answer.is_there and self._meta(key) is None:
            raise refused
        return False

    def _changed(self, key: str) -> StoreError:
        return StoreError("FileChanged", f"{self.shown}/{key} has changed while it was read.", passing=True)

    def _put(self, key: str, content: bytes | Path, **how: Any) -> None:
        pace = "brief" if _size(content) <= BRIEF_BYTES else "long"
        try:
            self._do(key, lambda store: store.put(key, content, **how), pace)
        except AnswerError as refused:
            if not (self._checksums and refused.answer.has_unknown_header):
                raise
            self._checksums = False
            self._stores.clear()
            self._do(key, lambda store: store.put(key, content, **how), pace)

    def _do(self, key: str, act: "Callable[[ObjectStore], T]", pace: str = "brief") -> T:
        """Act on the store. A credential that is refused is replaced once, if there is another one by now.

        AnswerError, if obstore raises; StoreError for what goes wrong before the store is asked."""
        refused = None
        while True:
            try:
                with self._explained(key):
                    self._hidden()  # forgets what obstore has tried again with success
                    return act(self._store(pace))
            except AnswerError as last:
                if refused is not None or not last.answer.is_credential or not self._renewed():
                    raise
                refused = last

    @contextmanager
    def _explained(self, key: str) -> Iterator[None]:
        """AnswerError, or what obstore hides."""
        try:
            yield
        except obstore_errors() as error:
            said, hidden = failure(error, self._cloud, self._access, f"{self.shown}/{key}"), self._hidden()
            # The guard refuses with 403. Any other answer is the store's, after what went wrong before.
            raise (hidden if hidden and said.answer.status in (None, 403) else said) from None

    def _hidden(self) -> StoreError | None:
        """What went wrong in an exchange of tokens, or on the way: obstore does not say it."""
        givers = (self._cloud.provider, self._guard)
        return next((lost for giver in givers if giver and (lost := giver.failure())), None)

    def _renewed(self) -> bool:
        provider = self._cloud.provider
        if provider is None or not provider.renew():
            return False
        self._stores.clear()
        return True

    def _store(self, pace: str) -> "ObjectStore":
        """A store of obstore, built when it is needed first. AddressRefused, CertificatesNotFound, SecretIncomplete."""
        if pace not in self._stores:
            client = {**(_LONG if pace == "long" else _BRIEF), **self._way()}
            certificates = self._access.certificates or self._access.bundle
            if certificates is not None:
                client["root_certificate"] = certificates.read_bytes()
            more = {"checksum_algorithm": "SHA256"} if self._checksums else {}
            try:
                self._stores[pace] = self._cloud.store(client, _RETRY, more)
            except obstore_errors() as error:
                raise unbuilt(error, self._cloud, self._access) from None
        return self._stores[pace]

    def _way(self) -> dict[str, Any]:
        """How an endpoint is reached that is neither the cloud's own nor an administrator's. AddressRefused."""
        if self._cloud.own or self._access.trusted:
            return {}
        addresses.check(self._cloud.endpoint, self._access)
        if self._guard is None:
            self._guard = Guard(self._cloud.endpoint, self._access)
            finalize(self, self._guard.close)
        # Of http:// the guard reads the first request of a connection only, so there is no second one.
        plain = self._cloud.endpoint.startswith("http://")
        return {"proxy_url": self._guard.url, **({"pool_max_idle_per_host": "0"} if plain else {})}


def _check_missing(refused: AnswerError) -> None:
    """The object is not there. AnswerError, if it is another failure."""
    if not refused.answer.is_missing:
        raise refused


def _size(content: bytes | Path) -> int:
    return content.stat().st_size if isinstance(content, Path) else len(content)


def _touched(got: "GetResult") -> "ObjectMeta":
    """What is said of an object; its byte is read, so that the connection can be used again."""
    got.bytes()
    return got.meta


def _begun(pages: "Iterator[Sequence[ObjectMeta]]") -> "Iterator[Sequence[ObjectMeta]]":
    """The pages of a list, the first of which is there."""
    return chain((next(pages, ()),), pages)


def _head(meta: "ObjectMeta") -> Head:
    """Some servers have no ETag of files that were not written through them; a weak one proves no more than a time."""
    etag = meta["e_tag"]
    if etag is None or etag.startswith("W/"):
        etag = f"{MODIFIED}{meta['last_modified'].isoformat()}"
    return Head(meta["size"], etag)


def _entry(meta: "ObjectMeta") -> Entry:
    return Entry(meta["path"], meta["size"], meta["last_modified"], meta["e_tag"])
