"""Draws the plots of the report as SVG."""

import math
from html import escape
from typing import Final

from benchmarks.programs import CHATKEEP, LIMIT, PEER
from benchmarks.results import Results, median_of

WIDTH: Final = 860
LABELS: Final = 230  # pixels to the left of the bars
BAR: Final = 16
GAP: Final = 14
TOP: Final = 78
BOTTOM: Final = 44
RIGHT: Final = 90  # room for the longest number

_COLOURS: Final = {CHATKEEP.name: "#0072b2", PEER.name: "#d55e00", LIMIT.name: "#8c8c8c"}
_MET: Final = "#009e73"
_MISSED: Final = "#d55e00"


def plot_speed(results: Results) -> str:
    """Plot the operations per second of each program, on a logarithmic scale."""
    rates = {
        speed.operation: {
            name: median_of(loads, "operations") for name, loads in speed.loads.items()
        }
        for speed in results.speeds
    }
    every = [rate for by_name in rates.values() for rate in by_name.values()]
    low = math.floor(math.log10(min(every)))
    high = math.ceil(math.log10(max(every)))

    def x(rate: float) -> float:
        return LABELS + (math.log10(rate) - low) / (high - low) * (WIDTH - LABELS - RIGHT)

    shapes = [_title("Operations per second on one worker (logarithmic; more is better)")]
    at = float(LABELS)
    for name, colour in _COLOURS.items():
        shapes += [_bar(at, 44, 12, colour, 12), _text(at + 18, 54, name)]
        at += 40 + 8 * len(name)
    y = TOP
    bars: list[str] = []
    for operation, by_name in rates.items():
        middle_of_group = y + len(by_name) * BAR / 2 + 4
        bars.append(_text(LABELS - 10, middle_of_group, operation, anchor="end"))
        for name, rate in by_name.items():
            bars.append(_bar(LABELS, y, x(rate) - LABELS, _COLOURS[name]))
            bars.append(_text(x(rate) + 5, y + 12, _number(rate), size=12))
            y += BAR
        y += GAP
    for power in range(low, high + 1):
        shapes += _line(x(10.0**power), y, f"{10.0**power:,g}")
    return _svg([*shapes, *bars], y + BOTTOM)


def plot_growth(results: Results) -> str:
    """Plot the latency on much data as a multiple of that on little, and its upper limit."""
    scale_end = max([2.0, *(growth.ratio.value for growth in results.growths)])

    def x(ratio: float) -> float:
        return LABELS + 190 + ratio / scale_end * (WIDTH - LABELS - 190 - RIGHT)

    shapes = [_title("Median latency on much data, as a multiple of that on little (1 is flat)")]
    y = TOP - 12
    bars: list[str] = []
    for growth in results.growths:
        ratio = growth.ratio
        bars.append(_text(x(0) - 10, y + 12, growth.name, anchor="end", size=12))
        bars.append(_bar(x(0), y, x(ratio.value) - x(0), _MET if ratio.met else _MISSED))
        if ratio.at_most is not None:
            bars.append(_bar(x(ratio.at_most) - 1, y - 3, 2, "#222222", BAR + 6))
        right = x(max(ratio.value, ratio.at_most or 0))
        bars.append(_text(right + 7, y + 12, f"{ratio.value:.2f}", size=12))
        y += BAR + GAP
    for tenths in range(0, int(scale_end * 10) + 1, 5):
        shapes += _line(x(tenths / 10), y, f"{tenths / 10:g}")
    shapes.append(_text(x(0), y + 36, "The dark mark is the upper limit.", size=12))
    return _svg([*shapes, *bars], y + BOTTOM)


def _svg(shapes: list[str], height: int) -> str:
    box = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {box} font-family="system-ui, sans-serif">'
    paper = f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>'
    return "\n".join([head, paper, *shapes, "</svg>", ""])


def _title(text: str) -> str:
    return f'<text x="16" y="26" font-size="16" font-weight="600" fill="#222">{escape(text)}</text>'


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 13) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="#222" '
        f'text-anchor="{anchor}">{escape(text)}</text>'
    )


def _bar(x: float, y: float, width: float, colour: str, height: int = BAR - 3) -> str:
    size = f'width="{max(width, 1):.1f}" height="{height}"'
    return f'<rect x="{x:.1f}" y="{y:.1f}" {size} fill="{colour}"/>'


def _line(x: float, bottom: float, label: str) -> list[str]:
    return [
        f'<line x1="{x:.1f}" y1="{TOP - 16}" x2="{x:.1f}" y2="{bottom}" stroke="#dddddd"/>',
        _text(x, bottom + 16, label, anchor="middle", size=12),
    ]


def _number(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}"  # noqa: PLR2004 - one digit is not enough
