"""Draws the figures of a card as SVG: curves, bars with error bars, a confusion matrix. Pure.

The training package draws its own for `card.md` in the store (`judging/plots.py`): the programs share no code.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from modelwright.view.card.blocks import Bars, Curves, Figure, Line, Matrix
from modelwright.view.format import plain

COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd")
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 420, 330, 56, 14, 26, 44
# The width of a name in the legend above the curves.
LEGEND = 90
# Of bars and of a matrix: the room for names, a row, and the most characters of a name.
NAMES, ROW, NAME = 180, 24, 26
SIDE = 44


def svg(figure: Figure) -> str:
    """Returns the figure as an SVG element."""
    match figure:
        case Curves():
            return _curves(figure)
        case Bars():
            return _bars(figure)
        case Matrix():
            return _matrix(figure)


def _element(width: float, height: float, caption: str, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" font-family="sans-serif" font-size="11"><title>{_text(caption)}</title>'
        f"{''.join(parts)}</svg>"
    )


def _text(text: str, most: int = 80) -> str:
    line = plain(text)
    return escape(line if len(line) <= most else f"{line[: most - 1]}…")


def _label(x: float, y: float, text: str, anchor: str = "middle", most: int = 80) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{_text(text, most)}</text>'


def _path(points: Sequence[tuple[float, float]], style: str) -> str:
    places = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline fill="none" points="{places}" {style}/>'


def _curves(figure: Curves) -> str:
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    middle = (TOP + bottom) / 2

    def place(x: float, y: float) -> tuple[float, float]:
        return LEFT + x * (right - LEFT), bottom - y * (bottom - TOP)

    parts = [
        f'<rect x="{LEFT}" y="{TOP}" width="{right - LEFT}" height="{bottom - TOP}" fill="none" stroke="#999"/>'
    ]
    for tick in (0, 0.2, 0.4, 0.6, 0.8, 1):
        parts.append(_label(place(tick, 0)[0], bottom + 16, f"{tick:g}"))
        parts.append(_label(LEFT - 6, place(0, tick)[1] + 4, f"{tick:g}", "end"))
    parts.append(_label((LEFT + right) / 2, HEIGHT - 8, figure.x_label, most=60))
    turned = f'transform="translate(14 {middle:.1f}) rotate(-90)"'
    parts.append(f"<g {turned}>{_label(0, 0, figure.y_label, most=40)}</g>")
    if figure.diagonal:
        parts.append(_path([place(0, 0), place(1, 1)], 'stroke="#999" stroke-dasharray="4 4"'))
    for number, line in enumerate(figure.lines):
        parts += _line(number, line, [place(x, y) for x, y in line.points])
    return _element(WIDTH, HEIGHT, figure.caption, parts)


def _line(number: int, line: Line, places: Sequence[tuple[float, float]]) -> Iterator[str]:
    colour = COLOURS[number % len(COLOURS)]
    yield _path(places, f'stroke="{colour}" stroke-width="2"')
    yield from (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places)
    if line.name:
        x = LEFT + LEGEND * number
        yield f'<rect x="{x}" y="{TOP - 18}" width="10" height="8" fill="{colour}"/>'
        yield _label(x + 14, TOP - 10, line.name, "start", 24)


def _bars(figure: Bars) -> str:
    """Horizontal bars from zero, each with its interval."""
    ends = [
        value for bar in figure.bars for value in (0.0, bar.value, bar.low, bar.high) if value is not None
    ]
    low, high = min(ends), max(ends)
    spread = (high - low) or 1.0

    def place(value: float) -> float:
        return NAMES + (value - low) / spread * (WIDTH - NAMES - RIGHT)

    parts: list[str] = []
    for number, bar in enumerate(figure.bars):
        y = TOP + number * ROW
        start, end = sorted((place(0), place(bar.value)))
        parts.append(_label(NAMES - 8, y + 14, bar.name, "end", NAME))
        parts.append(
            f'<rect x="{start:.1f}" y="{y + 4}" width="{end - start:.1f}" height="14" fill="{COLOURS[0]}"/>'
        )
        if bar.low is not None and bar.high is not None:
            style = 'stroke="#222" stroke-width="1.5"'
            parts.append(_path([(place(bar.low), y + 11), (place(bar.high), y + 11)], style))
    bottom = TOP + len(figure.bars) * ROW
    parts.append(_path([(place(0), TOP), (place(0), bottom)], 'stroke="#999"'))
    parts += [_label(place(value), bottom + 16, f"{value:.3g}") for value in dict.fromkeys((low, high))]
    return _element(WIDTH + 20, bottom + 26, figure.caption, parts)


def _matrix(figure: Matrix) -> str:
    """A square a cell: the darker, the larger its share of its row."""
    parts: list[str] = []
    top = TOP + NAMES / 2
    for row, (name, counts) in enumerate(zip(figure.classes, figure.counts, strict=True)):
        y, whole = top + row * SIDE, sum(counts) or 1
        parts.append(_label(NAMES - 8, y + SIDE / 2 + 4, name, "end", NAME))
        for column, count in enumerate(counts):
            x, share = NAMES + column * SIDE, count / whole
            colour = f'fill="{COLOURS[0]}" fill-opacity="{share:.2f}"'
            parts.append(f'<rect x="{x}" y="{y:g}" width="{SIDE}" height="{SIDE}" {colour} stroke="#ccc"/>')
            ink = "#fff" if share > 0.6 else "#222"
            parts.append(f'<g fill="{ink}">{_label(x + SIDE / 2, y + SIDE / 2 + 4, f"{count}")}</g>')
    for column, name in enumerate(figure.classes):
        middle = NAMES + column * SIDE + SIDE / 2
        turned = f'transform="translate({middle:g} {top - 6:g}) rotate(-45)"'
        parts.append(f"<g {turned}>{_label(0, 0, name, 'start', NAME // 2)}</g>")
    size = len(figure.classes) * SIDE
    return _element(NAMES + size + NAMES / 2, top + size + TOP, figure.caption, parts)
