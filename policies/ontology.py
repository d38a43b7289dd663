"""Disease subsumption: what an ontology must answer, and a small graph that answers it from child-parent pairs.

An id that the ontology does not have is answered with None, never with an empty set, so that nobody can take *unknown* for
*has no ancestors*.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from policies import duo
from policies.errors import PolicyInputError

MAX_EDGES = 5_000_000  # pairs; MONDO has about 40,000


class Ontology(Protocol):
    """A loaded ontology. ``version`` is pinned in every decision that used it."""

    @property
    def version(self) -> str:
        """Name and version, for example ``mondo 2021-07``."""

    def ancestors(self, term: str) -> frozenset[str] | None:
        """Every ancestor of ``term`` (the term itself may be left out), or None when the term is not known."""


@dataclass(frozen=True)
class TermGraph:
    """An ontology from child-parent pairs. Build it with ``from_pairs`` or ``parse``; it is free of cycles."""

    version: str
    parents: Mapping[str, tuple[str, ...]]

    @classmethod
    def from_pairs(cls, pairs: Iterable[tuple[str, str]], *, version: str) -> TermGraph:
        """The graph of ``(child, parent)`` pairs.

        Raises:
            PolicyInputError: ``cyclic_ontology``, ``bad_disease``, ``too_many``.
        """
        found: dict[str, set[str]] = {}
        for number, (child, parent) in enumerate(pairs, start=1):
            if number > MAX_EDGES:
                raise PolicyInputError("too_many", f"more than {MAX_EDGES} pairs")
            place = f"pair {number}"
            upper = duo.disease(parent, place=place)
            found.setdefault(duo.disease(child, place=place), set()).add(upper)
            found.setdefault(upper, set())
        graph = {term: tuple(sorted(above)) for term, above in found.items()}
        _refuse_cycles(graph)
        return cls(version, graph)

    @classmethod
    def parse(cls, text: str, *, version: str) -> TermGraph:
        """The graph of a tab-separated text, ``child`` and ``parent`` in each line, with or without that header.

        Raises:
            PolicyInputError: ``bad_pair`` with the line, and what ``from_pairs`` raises.
        """
        return cls.from_pairs(_pairs(text), version=version)

    def ancestors(self, term: str) -> frozenset[str] | None:
        """Every ancestor of ``term`` without itself, or None when the term is not in the graph."""
        if term not in self.parents:
            return None
        found: set[str] = set()
        todo = list(self.parents[term])
        while todo:
            above = todo.pop()
            if above not in found:
                found.add(above)
                todo.extend(self.parents[above])
        return frozenset(found)


def _pairs(text: str) -> Iterable[tuple[str, str]]:
    for number, line in enumerate(text.splitlines(), start=1):
        fields = line.split("\t")
        if not line.strip() or (number == 1 and fields == ["child", "parent"]):
            continue
        if len(fields) != len(("child", "parent")):
            raise PolicyInputError("bad_pair", "a line is a child and a parent with a tab between", f"line {number}")
        yield fields[0], fields[1]


def _refuse_cycles(graph: Mapping[str, tuple[str, ...]]) -> None:
    """Take away terms without remaining parents until none is left (Kahn); what cannot be taken away lies on a cycle."""
    missing = {term: len(above) for term, above in graph.items()}
    below: dict[str, list[str]] = {}
    for term, above in graph.items():
        for parent in above:
            below.setdefault(parent, []).append(term)
    ready = [term for term, count in missing.items() if count == 0]
    done = 0
    while ready:
        done += 1
        for child in below.get(ready.pop(), ()):
            missing[child] -= 1
            if missing[child] == 0:
                ready.append(child)
    if done != len(graph):
        first = min(term for term, count in missing.items() if count)
        raise PolicyInputError("cyclic_ontology", f"{first} is its own ancestor, or below one that is")
