"""Runs `models`, `card` and `reproduce`: reads ModelVersions and prints what `view` makes of them. Writes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from modelwright.cli import screen
from modelwright.cli.cluster import Cluster
from modelwright.cli.errors import BadUsage, Refused
from modelwright.cli.options import Card, Models, Reproduce
from modelwright.cli.refusals import not_there
from modelwright.cli.viewing import now
from modelwright.common.families import oldest_first
from modelwright.view import families, reproduction
from modelwright.view.card.bom import bom
from modelwright.view.card.markdown import markdown
from modelwright.view.card.page import page
from modelwright.view.model import Object
from modelwright.view.version import Unreadable, Version, read_version


def models(cluster: Cluster, command: Models) -> None:
    """Runs `models`: the versions of each family, the newest first, or some versions side by side."""
    if command.compare:
        _compare(cluster, command)
        return
    known = _families(cluster.versions())
    if command.family is not None and command.family not in known:
        raise not_there(command.family, cluster.namespace, list(known), "family of ModelVersions")
    shown = {name: found for name, found in known.items() if command.family in (None, name)}
    if command.output != "text":
        _dump({name: list(map(families.document, found)) for name, found in shown.items()}, command.output)
    elif shown:
        screen.show(families.lines(shown, now()))
    else:
        screen.report(f"there are no ModelVersions in namespace {cluster.namespace}: is it another one (-n)?")


def _compare(cluster: Cluster, command: Models) -> None:
    names = list(dict.fromkeys(command.compare))
    if len(names) < 2:
        raise BadUsage("name two versions or more: --compare NAME NAME")
    versions = [_read(cluster.version(name)) for name in names]
    others = [
        f"{each.name} ({each.spec.model})"
        for each in versions
        if command.family not in (None, each.spec.model)
    ]
    if others:
        raise Refused(f"these are not of the family {command.family}: {', '.join(others)}")
    if command.output == "text":
        screen.show(families.comparison(versions))
    else:
        _dump(families.compared(versions), command.output)


def _families(bodies: Iterable[Object]) -> dict[str, list[Version]]:
    """The versions of each family, the newest first. Reports those that cannot be read."""
    found: dict[str, list[Version]] = {}
    for body in reversed(oldest_first(bodies)):
        try:
            version = read_version(body)
        except Unreadable as error:
            screen.report(str(error))
            continue
        found.setdefault(version.spec.model, []).append(version)
    return dict(sorted(found.items()))


def _dump(document: Mapping[str, Any], output: str) -> None:
    text = json.dumps(document, indent=2) if output == "json" else yaml.safe_dump(document, sort_keys=False)
    screen.show(text.splitlines())


def card(cluster: Cluster, command: Card) -> None:
    """Runs `card`."""
    version = _read(cluster.version(command.place.name))
    match command.form:
        case "markdown":
            screen.show(markdown(version))
        case "html":
            screen.show(page(version))
        case "bom":
            _dump(bom(version), "json")


def reproduce(cluster: Cluster, command: Reproduce) -> None:
    """Runs `reproduce`; Refused if the version does not hold what makes it."""
    version = _read(cluster.version(command.place.name))
    try:
        screen.show(reproduction.lines(version))
    except reproduction.NotReproducible as error:
        raise Refused(str(error)) from error


def _read(body: Object) -> Version:
    try:
        return read_version(body)
    except Unreadable as error:
        raise Refused(str(error)) from error
