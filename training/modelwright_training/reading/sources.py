"""Brings the data of a run to a local file, whatever its URI; reading the file is left to the tables.

Nothing here writes below the trainer's folder: what is downloaded lands in the pod's scratch space."""

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from modelwright_training.errors import InputError, OutsideError
from modelwright_training.files import inside
from modelwright_training.reading import bundled
from modelwright_training.reading.https import Limits, download

SCHEMES = "configmap://NAME/KEY, pvc://CLAIM/PATH, https://HOST/PATH and sklearn://NAME"
MOUNTED = re.compile(r"(?P<scheme>configmap|pvc)://(?P<volume>[^/]+)/(?P<path>.+)")
MAX_BYTES = 2 << 30


def public(uri: str) -> str:
    """A URI without what may be secret in it: a query often holds a signature."""
    return urlsplit(uri)._replace(query="", fragment="").geturl()


def bring(uri: str, mounted: Path, scratch: Path, environ: Mapping[str, str]) -> Path:
    """The local file that holds the data of `uri`; downloads into the folder `scratch` where it has to."""
    if uri.startswith("sklearn://"):
        return bundled.write(uri.removeprefix("sklearn://"), scratch)
    if uri.startswith("https://"):
        return download(uri, scratch, environ, Limits(max_bytes=MAX_BYTES))
    if match := MOUNTED.fullmatch(uri):
        return _mounted(uri, match["path"], mounted)
    raise InputError("UriUnsupported", f"data.uri {public(uri)!r} is not supported. Possible are {SCHEMES}.")


def _mounted(uri: str, relative: str, folder: Path) -> Path:
    path = inside(folder, relative)
    if path is None:
        raise InputError(
            "UriUnsupported", f"data.uri {uri!r} leads out of the volume. Name a file inside it."
        )
    try:
        found, size = path.is_file(), path.stat().st_size if path.exists() else 0
    except OSError as error:
        raise OutsideError("StorageFailed", f"Looking for {uri!r} failed: {error.strerror}.") from error
    if not found:
        raise InputError(
            "DataNotFound", f"There is no file {relative!r} in the volume of {uri!r}.{_beside(path)}"
        )
    if size > MAX_BYTES:
        raise InputError("DataTooLarge", f"{uri!r} has {size} bytes; the limit is {MAX_BYTES}.")
    return path


def _beside(path: Path) -> str:
    """What lies where the file was expected, as the end of a sentence."""
    if not path.parent.is_dir():
        return " The folder is not there either."
    names = sorted(entry.name for entry in path.parent.iterdir() if not entry.name.startswith("."))
    return f" The folder holds: {', '.join(names[:20])}." if names else " The folder is empty."
