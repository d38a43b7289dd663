"""Plots of shares and of pairs of counts as inline SVG, narrow enough to be read on a phone. Each has its numbers beside it, as a table.

Lengths are in SVG user units.
"""

from __future__ import annotations

from collections.abc import Sequence

from vault.files.plain_text import html_text
from vault.html.charts import line, nothing, svg, text
from vault.html.page_frame import table

WIDTH = 400
_LEFT, _BOTTOM, _TOP = 48, 34, 14
_ROW = 22
_GRID = (0.0, 0.25, 0.5, 0.75, 1.0)


def curve(points: Sequence[tuple[int, float]], *, title: str, across: str, up: str) -> str:
    """A share, 0 to 1, over a number: ``points`` in ascending order. ``across``, ``up``: what is drawn, and heads of the table."""
    if not points:
        return nothing()
    height, last = 220, points[-1][0]
    floor = height - _BOTTOM

    def at(number: float, share: float) -> tuple[float, float]:
        return _LEFT + (WIDTH - _LEFT - 8) * number / last, floor - (floor - _TOP) * share

    parts = []
    for share in _GRID:
        _, y = at(0, share)
        parts.append(line(_LEFT, y, WIDTH, y) + text(_LEFT - 6, y + 4, f"{share:.0%}", "end"))
    parts += [text(at(number, 0)[0], floor + 16, f"{number}", "middle") for number in _ticks(last)]
    parts.append(text(WIDTH, height - 2, across, "end"))
    drawn = [at(number, share) for number, share in points]
    parts.append(f'<polyline class="curve" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in drawn)}"/>')
    for (x, y), (number, share) in zip(drawn, points, strict=True):
        parts.append(f'<circle class="bar" cx="{x:.1f}" cy="{y:.1f}" r="3"><title>{number}: {share:.1%}</title></circle>')
    rows = [(f"{number:,}", f"{share:.1%}") for number, share in points]
    return svg(title, height, parts, width=WIDTH, kind="plot") + _numbers((across, up), rows)


def paired(values: Sequence[tuple[str, int, int]], *, title: str, heads: tuple[str, str, str]) -> str:
    """Two counts of each label, one bar behind the other. ``heads``: of label, the count behind, and the count in front."""
    top = max((max(behind, front) for _, behind, front in values), default=0)
    if not top:
        return nothing()
    label, wide = 84, WIDTH - 84 - 8
    parts = []
    for at, (name, behind, front) in enumerate(values):
        y = at * _ROW
        parts.append(text(label - 8, y + 15, name, "end"))
        for kind, count, inset in (("pale", behind, 2), ("bar", front, 6)):
            long = max(wide * count / top, 1.0) if count else 0.0
            parts.append(f'<rect class="{kind}" x="{label}" y="{y + inset}" width="{long:.1f}" height="{_ROW - 2 * inset}"/>')
    rows = [(html_text(name), f"{behind:,}", f"{front:,}") for name, behind, front in values]
    key = f'<p class="soft"><span class="key pale"></span>{html_text(heads[1])}<span class="key"></span>{html_text(heads[2])}</p>'
    return key + svg(title, len(values) * _ROW + 2, parts, width=WIDTH, kind="plot") + _numbers(heads, rows)


def shares(values: Sequence[tuple[str, float, str]], *, title: str, heads: tuple[str, str, str]) -> str:
    """A share, 0 to 1, of each label. The third of each value says what it is a share of."""
    if not values:
        return nothing()
    label, wide = 84, WIDTH - 84 - 56
    parts = []
    for at, (name, share, said) in enumerate(values):
        y = at * _ROW
        parts.append(text(label - 8, y + 15, name if len(name) <= 11 else f"{name[:10]}…", "end", hint=name))
        parts.append(f'<rect class="pale" x="{label}" y="{y + 4}" width="{wide}" height="{_ROW - 8}"/>')
        parts.append(f'<rect class="bar" x="{label}" y="{y + 4}" width="{wide * share:.1f}" height="{_ROW - 8}"/>')
        parts.append(text(label + wide + 6, y + 15, _percent(share), "start", hint=said))
    rows = [(html_text(name), html_text(said), _percent(share)) for name, share, said in values]
    return svg(title, len(values) * _ROW + 2, parts, width=WIDTH, kind="plot") + _numbers(heads, rows)


def _percent(share: float) -> str:
    return "< 0.1%" if 0 < share < 0.001 else f"{share:.1%}"


def _ticks(last: int) -> list[int]:
    step = max(1, -(-last // 5))
    return list(range(0, last + 1, step))


def _numbers(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return f"<details><summary>These numbers as a table</summary>{table(heads, rows)}</details>"
