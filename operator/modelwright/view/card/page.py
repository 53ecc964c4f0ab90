"""Writes a card as one HTML page that needs nothing else: figures are inline SVG, and there is no script.

The page is well-formed XML too. Every text is escaped, and its policy forbids a browser to load or run anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from modelwright.view.card.blocks import Block, Items, Table, Text
from modelwright.view.card.content import sections, title
from modelwright.view.card.figures import svg
from modelwright.view.format import plain
from modelwright.view.version import Version

STYLE = (
    "body{font-family:sans-serif;max-width:72em;margin:2em auto;padding:0 1em;color:#222}"
    "table{border-collapse:collapse;margin:1em 0}td,th{border:1px solid #ccc;padding:.25em .6em;text-align:left;"
    "vertical-align:top;overflow-wrap:anywhere}th{background:#f3f3f3}figure{margin:1em 0}"
    ".Pass{color:#1a7f37}.Fail{color:#b91c1c}.Inconclusive{color:#9a6700}li,p{overflow-wrap:anywhere}"
)
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
VERDICTS = ("Pass", "Fail", "Inconclusive")


def page(version: Version) -> list[str]:
    """Returns the lines of the page."""
    heading = text(title(version))
    lines = [
        "<!DOCTYPE html>",
        '<html lang="en" xmlns="http://www.w3.org/1999/xhtml">',
        "<head>",
        '<meta charset="utf-8"/>',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}"/>',
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>',
        f"<title>{heading}</title>",
        f"<style>{STYLE}</style>",
        "</head>",
        "<body>",
        f"<h1>{heading}</h1>",
    ]
    for section in sections(version):
        lines += ["<section>", f"<h2>{text(section.title)}</h2>"]
        for block in section.blocks:
            lines += _block(block)
        lines.append("</section>")
    return [*lines, "</body>", "</html>"]


def text(value: object) -> str:
    """Returns a text on one line, without a meaning in HTML."""
    return escape(plain(str(value)))


def _block(block: Block) -> Iterator[str]:
    match block:
        case Text(words):
            yield f"<p>{text(words)}</p>"
        case Items(items):
            yield "<ul>"
            yield from (f"<li>{text(line)}</li>" for line in items)
            yield "</ul>"
        case Table(head, rows):
            yield from _table(head, rows)
        case figure:
            yield f"<figure>{svg(figure)}</figure>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"<table><thead><tr>{''.join(f'<th>{text(cell)}</th>' for cell in head)}</tr></thead><tbody>"
    yield from (f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    yield "</tbody></table>"


def _cell(cell: str) -> str:
    kind = f' class="{cell}"' if cell in VERDICTS else ""
    return f"<td{kind}>{text(cell)}</td>"
