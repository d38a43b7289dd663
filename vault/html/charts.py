"""Charts as inline SVG: bars over time, ranked bars, a grid of hours. Text is escaped; colours come from the page's style.

Lengths are in SVG user units; a chart scales to the width of the page.
"""

from __future__ import annotations

from collections.abc import Sequence

from vault.files.plain_text import html_text

WIDTH = 760
_LABEL = 220  # width of the names beside ranked bars
_WIDEST = 48  # of a vertical bar
_ROW = 24  # height of a row
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def columns(values: Sequence[tuple[str, int]], *, title: str, height: int = 200, width: int = WIDTH) -> str:
    """Vertical bars, one per (label, count); the first and last label are shown, all of them as tooltips. A narrow one can be read on a phone."""
    if not values:
        return nothing()
    top, left, bottom = max(count for _, count in values) or 1, 44, 26
    step = (width - left) / len(values)
    parts = [line(left, y, width, y) + text(left - 6, y + 4, f"{n:,}", "end") for y, n in _scale(top, height - bottom)]
    for i, (label, count) in enumerate(values):
        tall = (height - bottom - 12) * count / top
        broad = min(max(step * 0.8, 0.5), _WIDEST)
        x, y = left + i * step + (step - broad) / 2, height - bottom - tall
        parts.append(
            f'<rect class="bar" x="{x:.1f}" y="{y:.1f}" width="{broad:.1f}" height="{tall:.1f}">'
            f"<title>{html_text(label)}: {count:,}</title></rect>"
        )
    parts.append(text(left, height - 8, values[0][0], "start"))
    if len(values) > 1:
        parts.append(text(width, height - 8, values[-1][0], "end"))
    return svg(title, height, parts, width=width)


def ranked(values: Sequence[tuple[str, int]], *, title: str, most: int = 12, width: int = WIDTH) -> str:
    """Horizontal bars, one per (label, count), which are sorted; those after the first ``most`` are summed in a last bar.

    A narrow one can be read on a phone.
    """
    if not values:
        return nothing()
    shown = list(values[:most])
    if rest := sum(count for _, count in values[most:]):
        shown.append((f"{len(values) - most} others", rest))
    top = max(count for _, count in shown) or 1
    names = min(_LABEL, width * 2 // 5)
    letters = 34 * names // _LABEL
    parts = []
    for i, (label, count) in enumerate(shown):
        y, wide = i * _ROW, (width - names - 70) * count / top
        parts.append(text(names - 8, y + 16, label if len(label) <= letters else f"{label[: letters - 1]}…", "end", hint=label))
        parts.append(f'<rect class="bar" x="{names}" y="{y + 4}" width="{max(wide, 1):.1f}" height="{_ROW - 8}"/>')
        parts.append(text(names + wide + 6, y + 16, f"{count:,}", "start"))
    return svg(title, len(shown) * _ROW + 2, parts, width=width)


def hours(grid: Sequence[Sequence[int]], *, title: str, working: range) -> str:
    """Heat map of counts, 7 weekdays from Monday x 24 hours UTC; cells outside working hours are framed."""
    top = max(max(row) for row in grid)
    if not top:
        return nothing()
    left, cell = 44, (WIDTH - 44) / 24
    parts = [text(left + hour * cell + cell / 2, 12, f"{hour:02}", "middle") for hour in range(0, 24, 2)]
    for weekday, row in enumerate(grid):
        y = 20 + weekday * _ROW
        parts.append(text(left - 8, y + 16, _DAYS[weekday], "end"))
        for hour, count in enumerate(row):
            off = "" if weekday < 5 and hour in working else " off"
            # A cell of one access stays distinct from an empty one, whatever the largest count.
            opacity = 0.06 if not count else 0.2 + 0.8 * count / top
            parts.append(
                f'<rect class="cell{off if count else ""}" x="{left + hour * cell + 1:.1f}" y="{y + 1}" width="{cell - 2:.1f}" '
                f'height="{_ROW - 2}" fill-opacity="{opacity:.2f}"><title>{_DAYS[weekday]} {hour:02}:00 UTC: {count:,}</title></rect>'
            )
    return svg(title, 20 + 7 * _ROW + 2, parts)


def _scale(top: int, height: float) -> list[tuple[float, int]]:
    """(y, count) of grid lines at whole numbers: four above zero at most."""
    step = max(1, -(-top // 4))
    return [(height - (height - 12) * n / top, n) for n in range(0, top + 1, step)]


def svg(title: str, height: float, parts: Sequence[str], *, width: int = WIDTH, kind: str = "") -> str:
    """An image of these elements. ``title``: what a screen reader says of it; ``kind``: its class in the page's style."""
    look = f' class="{kind}"' if kind else ""
    return f'<svg{look} role="img" viewBox="0 0 {width} {height:.0f}"><title>{html_text(title)}</title>{"".join(parts)}</svg>'


def text(x: float, y: float, said: str, anchor: str, *, hint: str = "") -> str:
    """A line of text; ``anchor``: start, middle or end; ``hint``: what is said of it in full."""
    tip = f"<title>{html_text(hint)}</title>" if hint else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html_text(said)}{tip}</text>'


def line(x1: float, y1: float, x2: float, y2: float) -> str:
    """A straight line."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def nothing() -> str:
    """Line in place of a chart of nothing."""
    return '<p class="none">Nothing to show.</p>'
