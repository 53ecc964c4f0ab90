"""Reads the pages of docs/."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml


def blocks(page: str, language: str) -> Iterator[Any]:
    """The YAML documents of a page's code blocks in a language."""
    for block in re.findall(rf"```{language}\n(.*?)\n```", page, re.DOTALL):
        yield from yaml.safe_load_all(f"{block}\n")
