"""Draws small plots as SVG: lines, points and vertical bars in one frame; the numbers come from the report."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

WIDTH, HEIGHT, LEFT, BOTTOM, MARGIN = 360, 300, 62, 44, 14

Point = tuple[float, float]
Range = tuple[float, float]


@dataclass(frozen=True)
class Plot:
    """What is drawn: `guide` is a dashed line, `bars` are (x, low, high)."""

    x_label: str
    y_label: str
    x_range: Range
    y_range: Range
    guide: Sequence[Point] = ()
    line: Sequence[Point] = ()
    points: Sequence[Point] = ()
    bars: Sequence[tuple[float, float, float]] = field(default=())


def image(plot: Plot, description: str) -> str:
    """The plot as a Markdown image that holds its own data; `description` is shown where images are not."""
    encoded = base64.b64encode(svg(plot).encode()).decode()
    return f"![{description}](data:image/svg+xml;base64,{encoded})"


def svg(plot: Plot) -> str:
    """The plot as an SVG document."""
    x, y = _Scale(plot.x_range, LEFT, WIDTH - MARGIN), _Scale(plot.y_range, HEIGHT - BOTTOM, MARGIN)

    def path(points: Sequence[Point], style: str) -> str:
        places = " ".join(f"{x(px):.1f},{y(py):.1f}" for px, py in points)
        return f'<polyline fill="none" points="{places}" {style}/>'

    right, bottom = WIDTH - MARGIN, HEIGHT - BOTTOM
    size = f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
    turned = f'transform="translate(12 {(MARGIN + bottom) / 2:.1f}) rotate(-90)"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<rect x="{LEFT}" y="{MARGIN}" width="{right - LEFT}" height="{bottom - MARGIN}" fill="none" stroke="#999"/>',
        *(_text(x(value), bottom + 16, f"{value:.4g}", "middle") for value in _ticks(plot.x_range)),
        *(_text(LEFT - 6, y(value) + 4, f"{value:.4g}", "end") for value in _ticks(plot.y_range)),
        _text((LEFT + right) / 2, HEIGHT - 8, plot.x_label, "middle"),
        f"<g {turned}>{_text(0, 0, plot.y_label, 'middle')}</g>",
    ]
    if plot.guide:
        parts.append(path(plot.guide, 'stroke="#999" stroke-dasharray="4 4"'))
    parts += [
        path([(px, low), (px, high)], 'stroke="#1f77b4" stroke-width="3"') for px, low, high in plot.bars
    ]
    if plot.line:
        parts.append(path(plot.line, 'stroke="#1f77b4" stroke-width="2"'))
    parts += [f'<circle cx="{x(px):.1f}" cy="{y(py):.1f}" r="4" fill="#d62728"/>' for px, py in plot.points]
    return "".join([*parts, "</svg>"])


def around(values: Sequence[float]) -> Range:
    """A range that holds the values, with a little room on both sides."""
    low, high = min(values), max(values)
    room = (high - low) * 0.05 or abs(high) * 0.05 or 1.0
    return low - room, high + room


class _Scale:
    """Maps a range of values to a range of places."""

    def __init__(self, values: Range, start: float, end: float) -> None:
        self.low, self.span = values[0], values[1] - values[0]
        self.start, self.length = start, end - start

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / self.span * self.length


def _ticks(values: Range) -> list[float]:
    low, high = values
    return [low + (high - low) * part / 4 for part in range(5)]


def _text(x: float, y: float, text: str, anchor: str) -> str:
    shown = "".join(char if char.isprintable() else " " for char in text)[:60]
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(shown)}</text>'
