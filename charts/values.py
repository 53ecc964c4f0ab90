"""Reads values.yaml with its comments: each value has the comment right above it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

_HEADING = re.compile(r"# -- (?P<title>.*?) -+")
_COMMENT = re.compile(r" *# ?(?P<text>.*)")
_KEY = re.compile(r"(?P<indent> *)(?P<key>[A-Za-z0-9_]+):( .*)?")


@dataclass(frozen=True)
class Value:
    """One value; a map of others is one too."""

    path: tuple[str, ...]
    default: object
    description: str

    @property
    def name(self) -> str:
        """The dotted name, as `--set` takes it."""
        return ".".join(self.path)

    @property
    def is_map(self) -> bool:
        """Whether it holds other values."""
        return isinstance(self.default, dict) and bool(self.default)


@dataclass(frozen=True)
class Section:
    """The values below a heading."""

    title: str
    introduction: str
    values: tuple[Value, ...]


def sections(text: str) -> list[Section]:
    """The values in their order. ValueError for a line that is neither a value nor a comment."""
    loaded: Mapping[str, Any] = yaml.safe_load(text)
    found: list[Section] = []
    title, introduction, values = "", "", list[Value]()
    for kind, path, comment in _parts(text):
        if kind == "heading":
            found.append(Section(title, introduction, tuple(values)))
            title, introduction, values = comment, "", []
        elif kind == "value":
            values.append(Value(path, _at(loaded, path), comment))
        elif not values:
            introduction = comment
    return [each for each in [*found, Section(title, introduction, tuple(values))] if each.values]


def _parts(text: str) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """Headings, paragraphs that stand alone, and keys with the comment above each."""
    comment: list[str] = []
    place: list[tuple[int, str]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if heading := _HEADING.fullmatch(line):
            yield "heading", (), heading["title"]
            comment = []
        elif not line.strip():
            if comment:
                yield "paragraph", (), " ".join(comment)
            comment = []
        elif commented := _COMMENT.fullmatch(line):
            comment.append(commented["text"].strip())
        elif key := _KEY.fullmatch(line):
            indent = len(key["indent"])
            place = [*((depth, name) for depth, name in place if depth < indent), (indent, key["key"])]
            yield "value", tuple(name for _, name in place), " ".join(comment)
            comment = []
        else:
            raise ValueError(f"line {number} is neither `key: value` nor a comment: {line!r}")


def _at(values: Mapping[str, Any], path: tuple[str, ...]) -> object:
    found: Any = values
    for key in path:
        found = found[key]
    return found
