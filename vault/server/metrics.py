"""Figures of the running server for whoever operates it: of no project, person or token, and no count that tells of few.

Counts grow in steps of ``STEP``: whoever watches them sees load, not that somebody asked. The text is that of Prometheus 0.0.4.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from starlette.types import Scope

STEP = 20  # counts are told as the multiple of it below them
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)  # seconds of the histogram's bands
UNROUTED = "other"
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Counts of answers by route and class of status, and how long they took."""

    def __init__(self) -> None:
        self._answers: Counter[tuple[str, str]] = Counter()
        self._bands: Counter[tuple[str, int]] = Counter()  # by route and the first bound that the answer kept

    def answered(self, scope: Scope, status: int, seconds: float) -> None:
        """Count one answer. Routes go by their templates: an address that nobody serves is ``other``."""
        route = str(getattr(scope.get("route"), "path", UNROUTED))
        self._answers[route, f"{status // 100}xx"] += 1
        self._bands[route, next((at for at, bound in enumerate(BOUNDS) if seconds <= bound), len(BOUNDS))] += 1

    def text(self, gauges: Mapping[str, float]) -> str:
        """All figures, and some of the moment by name."""
        lines = ["# TYPE genovault_answers_total counter"]
        for (route, kind), number in sorted(self._answers.items()):
            lines.append(f'genovault_answers_total{{route="{route}",status="{kind}"}} {_coarse(number)}')
        lines.append("# TYPE genovault_answer_seconds histogram")
        for route in sorted({route for route, _ in self._bands}):
            total = 0
            for at, bound in enumerate((*(f"{bound:g}" for bound in BOUNDS), "+Inf")):
                total += self._bands[route, at]
                lines.append(f'genovault_answer_seconds_bucket{{route="{route}",le="{bound}"}} {_coarse(total)}')
            lines.append(f'genovault_answer_seconds_count{{route="{route}"}} {_coarse(total)}')
        for name, value in sorted(gauges.items()):
            lines += [f"# TYPE genovault_{name} gauge", f"genovault_{name} {value:g}"]
        return "\n".join(lines) + "\n"


def _coarse(number: int) -> int:
    return number // STEP * STEP
