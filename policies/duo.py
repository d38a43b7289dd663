"""The Data Use Ontology, release 2021-02-23: codes, their classes, the shape of their parameters, and one spelling for each.

Source: github.com/EBISPOT/DUO, ``duo.csv`` of release 2021-02-23, CC BY 4.0. DUO fixes no syntax for parameters; the shapes are
ours (docs/design/consent.md §8). Two traps: NPU and NCU are *subclasses* of NPUNCU although NPUNCU asks for both, so modifiers are
never matched by is-a; and CC widens while every other modifier narrows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from policies.errors import PolicyInputError

RELEASE = "2021-02-23"
SOURCE = "https://github.com/EBISPOT/DUO (CC BY 4.0)"


class TermKind(StrEnum):
    """Class of a code: a permission opens, a modifier qualifies."""

    PERMISSION = "permission"
    MODIFIER = "modifier"


class ModifierEffect(StrEnum):
    """Effect of a modifier on a decision (docs/design/consent.md §9.2)."""

    NONE = "none"  # permissions
    PROHIBITION = "prohibition"
    CONSTRAINT = "constraint"
    PRECONDITION = "precondition"
    OBLIGATION = "obligation"
    WIDENING = "widening"


class Shape(StrEnum):
    """Shape of a code's parameter. A missing parameter of a code that needs one is REVIEW, never permission."""

    NOTHING = "nothing"
    DISEASES = "diseases"  # one or more ids such as MONDO:0004992
    STUDY = "study"  # one or more DUO investigation terms, or free text that a steward must read
    COUNTRIES = "countries"  # one or more ISO 3166-1 alpha-2 codes
    DAY = "day"  # one day, YYYY-MM-DD
    LIMIT = "limit"  # whole months from signature, or the day on which use ends
    NAMES = "names"  # one or more names or ids: users, projects, institutions
    WHO = "who"  # collaborators: text, optional


@dataclass(frozen=True)
class Term:
    """One DUO code: ``id`` is ``DUO:0000042``, ``code`` is ``GRU``."""

    id: str
    code: str
    kind: TermKind
    effect: ModifierEffect
    shape: Shape
    label: str


def _permission(number: int, code: str, label: str, shape: Shape = Shape.NOTHING) -> Term:
    return Term(f"DUO:{number:07d}", code, TermKind.PERMISSION, ModifierEffect.NONE, shape, label)


def _modifier(number: int, code: str, effect: ModifierEffect, label: str, shape: Shape = Shape.NOTHING) -> Term:
    return Term(f"DUO:{number:07d}", code, TermKind.MODIFIER, effect, shape, label)


TERMS: tuple[Term, ...] = (
    _permission(4, "NRES", "no restriction"),
    _permission(42, "GRU", "general research use"),
    _permission(6, "HMB", "health or medical or biomedical research"),
    _permission(7, "DS", "disease specific research", Shape.DISEASES),
    _permission(11, "POA", "population origins or ancestry research only"),
    _modifier(12, "RS", ModifierEffect.CONSTRAINT, "research specific restrictions", Shape.STUDY),
    _modifier(15, "NMDS", ModifierEffect.PROHIBITION, "no general methods research"),
    _modifier(16, "GSO", ModifierEffect.CONSTRAINT, "genetic studies only"),
    _modifier(18, "NPUNCU", ModifierEffect.CONSTRAINT, "not for profit, non commercial use only"),
    _modifier(45, "NPU", ModifierEffect.CONSTRAINT, "not for profit organisation use only"),
    _modifier(46, "NCU", ModifierEffect.CONSTRAINT, "non-commercial use only"),
    _modifier(19, "PUB", ModifierEffect.OBLIGATION, "publication required"),
    _modifier(20, "COL", ModifierEffect.PRECONDITION, "collaboration required", Shape.WHO),
    _modifier(21, "IRB", ModifierEffect.PRECONDITION, "ethics approval required"),
    _modifier(22, "GS", ModifierEffect.CONSTRAINT, "geographical restriction", Shape.COUNTRIES),
    _modifier(24, "MOR", ModifierEffect.OBLIGATION, "publication moratorium", Shape.DAY),
    _modifier(25, "TS", ModifierEffect.CONSTRAINT, "time limit on use", Shape.LIMIT),
    _modifier(26, "US", ModifierEffect.CONSTRAINT, "user specific restriction", Shape.NAMES),
    _modifier(27, "PS", ModifierEffect.CONSTRAINT, "project specific restriction", Shape.NAMES),
    _modifier(28, "IS", ModifierEffect.CONSTRAINT, "institution specific restriction", Shape.NAMES),
    _modifier(29, "RTN", ModifierEffect.OBLIGATION, "return to database or resource"),
    _modifier(43, "CC", ModifierEffect.WIDENING, "clinical care use"),
    _modifier(44, "NPOA", ModifierEffect.PROHIBITION, "population origins or ancestry research prohibited"),
)

INVESTIGATIONS: dict[str, str] = {
    "DUO:0000031": "method development",
    "DUO:0000032": "population research",
    "DUO:0000033": "ancestry research",
    "DUO:0000034": "age category research",
    "DUO:0000035": "gender category research",
    "DUO:0000036": "research control",
    "DUO:0000037": "biomedical research",
    "DUO:0000038": "genetic research",
    "DUO:0000039": "drug development research",
    "DUO:0000040": "disease category research",
}
"""Investigation terms that a requester may state (children of OBI:0000066)."""

BIOMEDICAL = "DUO:0000037"
NARROWER_THAN_BIOMEDICAL = frozenset({"DUO:0000038", "DUO:0000039", "DUO:0000040"})
"""The only subclasses among the investigation terms: each is also biomedical research."""

OBSOLETE: dict[str, str] = {
    "DUO:0000002": "write GRU, HMB, DS or POA",
    "DUO:0000003": "write GRU, HMB, DS or POA",
    "DUO:0000005": "write GRU and CC",
    "DUO:0000014": "write the restriction itself",
}

_BY_CODE = {term.code: term for term in TERMS}
_BY_ID = {term.id: term for term in TERMS}
_IRI = re.compile(r"(?:https?://purl\.obolibrary\.org/obo/)?DUO[:_]0*([0-9]{1,7})", re.IGNORECASE)
_DISEASE = re.compile(r"(?:https?://purl\.obolibrary\.org/obo/)?([A-Za-z][A-Za-z0-9]*)[:_]([0-9]{1,12})")


def identifier(text: str) -> str | None:
    """``DUO:0000044`` for any spelling of a DUO id: CURIE, underscore, IRI, or the eight digits of ``duo.owl``; else None."""
    found = _IRI.fullmatch(text.strip())
    return f"DUO:{int(found[1]):07d}" if found else None


def find(text: str) -> Term | None:
    """Term of a code or id in any spelling, or None when this DUO release does not have it."""
    return _BY_CODE.get(text.strip().upper()) or _BY_ID.get(identifier(text) or "")


def term(text: str, *, place: str = "") -> Term:
    """As ``find``, but an unknown code is an error.

    Raises:
        PolicyInputError: ``obsolete_code``, ``unknown_code``.
    """
    found = find(text)
    if found is not None:
        return found
    advice = OBSOLETE.get(identifier(text) or "")
    if advice:
        raise PolicyInputError("obsolete_code", f"{text.strip()!r:.40} is obsolete in DUO: {advice}", place)
    raise PolicyInputError("unknown_code", f"{text.strip()!r:.40} is not a DUO code of release {RELEASE}", place)


def investigation(text: str) -> str | None:
    """The id of an investigation term, given as an id or as its label, or None."""
    wanted = identifier(text) or next((key for key, label in INVESTIGATIONS.items() if label == text.strip().lower()), "")
    return wanted if wanted in INVESTIGATIONS else None


def disease(text: str, *, place: str = "") -> str:
    """A disease id in one spelling, ``MONDO:0004992``, from a CURIE, an underscore form or an OBO IRI.

    Raises:
        PolicyInputError: ``bad_disease``.
    """
    found = _DISEASE.fullmatch(text.strip())
    if not found:
        raise PolicyInputError("bad_disease", "a disease is an ontology id such as MONDO:0004992", place)
    return f"{found[1].upper()}:{found[2]}"
