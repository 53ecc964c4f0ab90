"""Reads what DVC says of the files that it tracks: a dvc.lock or a .dvc file, and the list of a folder.

Where the files are, and reading them, is left to others."""

import json
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from modelwright_training.errors import InputError, listing, storage, suggestion
from modelwright_training.reading import folders

FIELD = "data.dvc"
MD5 = re.compile(r"[0-9a-f]{32}")
MAX_FILE_BYTES, MAX_DEPTH = 1 << 20, 50
MAX_LIST_BYTES = 64 << 20
FOLDER = ".dir"
LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Output:
    """A file or a folder that DVC tracks.

    `path`: as DVC's file names it. `legacy`: written by DVC 2 or earlier, which keeps its objects in another place and
    takes the md5 of a text with the line ends of Unix."""

    path: str
    md5: str
    legacy: bool

    @property
    def is_folder(self) -> bool:
        """Whether the md5 is that of the list of a folder."""
        return self.md5.endswith(FOLDER)

    def of(self, path: str, md5: str) -> "Output":
        """A file of this folder."""
        return Output(path, md5, self.legacy)

    @property
    def key(self) -> str:
        """Where a remote has the object."""
        key = f"{self.md5[:2]}/{self.md5[2:]}"
        return key if self.legacy else f"files/md5/{key}"


def find(file: Path, path: str) -> tuple[Output, str]:
    """What a file of DVC says of `path`: the output that has it, and the rest of the path, which is in a folder.

    DvcFileNotFound, DvcFileInvalid, DvcPathUnknown."""
    document = _load(file)
    outputs = list(_of_stages(document, file.name) if "stages" in document else _of_file(document, file.name))
    wanted = posixpath.normpath(path)
    matching = [_rest(output, wanted) for output in outputs]
    if "stages" not in document and not any(matching):  # its paths are relative to where the file lies
        matching = [_rest(output, tail) for output in outputs for tail in _tails(wanted)]
    found = [match for match in matching if match is not None]
    if not found:
        known = [output.path for output in outputs]
        raise InputError(
            "DvcPathUnknown",
            f"{FIELD}.path: {file.name} has no output {path!r}.{suggestion(wanted, known)} "
            f"It has {listing(known) or 'none'}. {_hint(document, wanted)}",
        )
    if len({output.md5 for output, _ in found}) > 1:
        raise InputError(
            "DvcPathUnknown",
            f"{FIELD}.path: {file.name} has {len(found)} outputs {path!r}, with different content: its stages have "
            "folders of their own (wdir). Give the dvc.lock of one pipeline.",
        )
    return found[0]


def listed(folder: Output, content: bytes) -> dict[str, Output]:
    """The files of a folder by their paths in it: what its list has. DvcFileInvalid."""
    try:
        entries = json.loads(content)
        files = {str(entry["relpath"]): folder.of(str(entry["relpath"]), entry["md5"]) for entry in entries}
        if all(MD5.fullmatch(file.md5) for file in files.values()):
            return files
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    raise InputError(
        "DvcFileInvalid", f"{FIELD}: the list of the folder {folder.path!r} is not one of DVC's."
    )


def choose(files: Mapping[str, Output], rest: str, folder: Output) -> tuple[list[Output], bool]:
    """The files of a folder that the rest of a path names, and whether it may name many: a folder below, or a pattern.

    DvcPathUnknown, and InputError as folders have it."""
    if rest in files:
        return [files[rest]], False
    below, pattern = folders.split(rest, FIELD) if folders.is_pattern(rest) else (rest, "*")
    prefix = f"{below}/" if below else ""
    there = [path.removeprefix(prefix).partition("/") for path in files if path.startswith(prefix)]
    if not there:
        raise InputError(
            "DvcPathUnknown",
            f"{FIELD}.path: the folder {folder.path!r} has no {rest!r}.{suggestion(rest, list(files))} "
            f"It holds {listing(list(files)) or 'nothing'}.",
        )
    shown = f"{FIELD}.path {posixpath.join(folder.path, rest).rstrip('/')!r}"
    found = folders.Folder(
        shown, [name for name, below, _ in there if not below], {name for name, below, _ in there if below}
    )
    return [files[prefix + name] for name in found.matching(pattern)], True


def _load(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise InputError(
            "DvcFileNotFound",
            f"{FIELD}.configMapRef: there is no such ConfigMap, or no key {file.name!r} in it. Create it from the "
            "repository's dvc.lock or .dvc file.",
        )
    with storage(f"Reading {file.name}"):
        content = file.read_bytes()
    try:
        document = _parsed(content) if len(content) <= MAX_FILE_BYTES else None
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, OverflowError, RecursionError):
        document = None  # tags such as !!int are constructed from any text
    if not isinstance(document, dict) or not document.keys() & {"stages", "outs"}:
        raise _invalid(file.name, "is neither a dvc.lock of DVC 2 or 3 nor a .dvc file")
    if "stages" in document and document.get("schema") != "2.0":
        raise _invalid(file.name, "has no schema '2.0'. Is it a dvc.yaml? The digests are in dvc.lock")
    return document


def _parsed(content: bytes) -> object:
    """A YAML document without aliases, which may stand for more than memory holds, and of a bounded depth."""
    depth = 0
    for event in yaml.parse(content, Loader=LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.AliasEvent) or depth > MAX_DEPTH:
            return None
    return yaml.load(content, Loader=LOADER)  # noqa: S506 (a safe loader)


def _of_stages(document: dict[str, Any], name: str) -> Iterator[Output]:
    stages = document["stages"] or {}
    if not isinstance(stages, dict):
        raise _invalid(name, "has stages that are no mapping")
    for stage in stages.values():
        yield from _outputs(stage, "outs", name)


def _of_file(document: dict[str, Any], name: str) -> Iterator[Output]:
    folder = document.get("wdir") or "."
    for output in _outputs(document, "outs", name):
        yield Output(posixpath.normpath(posixpath.join(str(folder), output.path)), output.md5, output.legacy)


def _outputs(stage: object, part: str, name: str) -> Iterator[Output]:
    entries = stage.get(part) if isinstance(stage, dict) else None
    for entry in entries if isinstance(entries, list) else []:
        if not isinstance(entry, dict) or not isinstance(entry.get("path"), str):
            raise _invalid(name, f"has an entry of {part} without a path")
        path, md5 = posixpath.normpath(entry["path"]), str(entry.get("md5"))
        if MD5.fullmatch(md5.removesuffix(FOLDER)) and not entry.keys() & {"cloud", "files"}:
            yield Output(path, md5, legacy=entry.get("hash") != "md5")
        elif part == "outs":
            raise _invalid(
                name,
                f"does not keep {path!r} by its md5 (it is not pushed, or the remote is version_aware). Name the "
                "file by its own uri, without data.dvc",
            )


def _rest(output: Output, path: str) -> tuple[Output, str] | None:
    if path == output.path:
        return output, ""
    if output.is_folder and path.startswith(f"{output.path}/"):
        return output, path.removeprefix(f"{output.path}/")
    return None


def _tails(path: str) -> Iterator[str]:
    parts = path.split("/")
    return ("/".join(parts[place:]) for place in range(1, len(parts)))


def _hint(document: dict[str, Any], path: str) -> str:
    """What else the path may be, as a sentence."""
    for stage, parts in (document.get("stages") or {}).items():
        if any(_rest(dependency, path) for dependency in _outputs(parts, "deps", "")):
            return f"{path!r} is an input of stage {str(stage)!r}: give the file that tracks it, such as {path}.dvc."
    return "Is the ConfigMap of the commit that you mean?"


def _invalid(name: str, what: str) -> InputError:
    return InputError("DvcFileInvalid", f"{FIELD}.configMapRef: {name} {what}.")
