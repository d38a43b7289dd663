"""Disease subsumption: the interface of an ontology, and a graph of child-parent pairs that implements it.

For an unknown id the answer is None, never an empty set: *unknown* must not read as *has no ancestors*.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from policies import duo
from policies.errors import PolicyInputError

MAX_EDGES = 5_000_000  # pairs; MONDO has about 40,000


class Ontology(Protocol):
    """Loaded ontology. ``version`` is recorded in every decision that used it."""

    @property
    def version(self) -> str:
        """Name and version, for example ``mondo 2021-07``."""

    def ancestors(self, term: str) -> frozenset[str] | None:
        """Ancestors of ``term`` (with or without the term itself), or None for an unknown term."""


@dataclass(frozen=True)
class TermGraph:
    """Acyclic ontology of child-parent pairs. Build it with ``from_pairs`` or ``parse``."""

    version: str
    parents: Mapping[str, tuple[str, ...]]

    @classmethod
    def from_pairs(cls, pairs: Iterable[tuple[str, str]], *, version: str) -> TermGraph:
        """Graph of ``(child, parent)`` pairs.

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
        """Graph of a tab-separated text, ``child`` and ``parent`` in each line, with or without that header.

        Raises:
            PolicyInputError: ``bad_pair`` with the line; as ``from_pairs``.
        """
        return cls.from_pairs(_pairs(text), version=version)

    def ancestors(self, term: str) -> frozenset[str] | None:
        """Ancestors of ``term`` without itself, or None for an unknown term."""
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
    """Raise ``cyclic_ontology`` if the graph has a cycle: terms that Kahn's topological sort cannot remove lie on or below one."""
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
