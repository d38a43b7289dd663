"""Errors of policy input: each problem has a constant code, a one-line message and the place where it is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class InputProblem:
    """One problem of an input.

    ``code`` is a constant in lower snake case; ``place`` is a path such as ``purpose.use_kinds[1]``, empty for the whole.
    """

    place: str
    code: str
    message: str


class PolicyInputError(ValueError):
    """A form, project, event, region or pack that cannot be read; nothing of it is used.

    ``problems`` holds every problem found, in document order; ``code``, ``message`` and ``place`` are those of the first.
    """

    def __init__(self, code: str, message: str, place: str = "", *, problems: tuple[InputProblem, ...] = ()) -> None:
        super().__init__(f"{place}: {message}" if place else message)
        self.code = code
        self.message = message
        self.place = place
        self.problems = problems or (InputProblem(place, code, message),)

    @classmethod
    def from_problems(cls, problems: list[InputProblem]) -> PolicyInputError:
        """Error that reports all of ``problems`` (at least one)."""
        first = problems[0]
        return cls(first.code, first.message, first.place, problems=tuple(problems))
