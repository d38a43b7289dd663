"""Spelling of regions, as bcftools reads them: the one place that understands what people type.

    CONTIG                22            the whole contig
    CONTIG:POS            22:100        one base
    CONTIG:FIRST-LAST     22:100-200    1-based, both included
    CONTIG:FIRST-         22:100-       to the end

A position may be written ``16,000,000``, ``16M``, ``1.5k`` or ``16e6``. A contig in braces is taken as it is: ``{HLA-A*01:01:01:01}:1-100``.
A contig that holds a colon needs them unless FIRST-LAST follows: ``HLA-A*01:01`` might be a base of ``HLA-A*01``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from policies.errors import PolicyInputError

HOW = "write CONTIG, CONTIG:POS or CONTIG:FIRST-LAST counted from 1, as 22:16000000-16100000"

_BRACED = re.compile(r"\{(?P<contig>[^{}]+)\}(?::(?P<range>.+))?")
_NUMBER = re.compile(
    r"(?P<grouped>[0-9]{1,3}(?:,[0-9]{3})+)|(?P<plain>[0-9]{1,12}(?:\.[0-9]{1,12})?)(?:[eE]\+?(?P<power>[0-9]{1,2})|(?P<unit>[kKmMgG]))?"
)
_POWERS = {"": 0, "k": 3, "m": 6, "g": 9}


@dataclass(frozen=True)
class RegionText:
    """A region's contig as it is spelled, with 1-based positions, both included; ``last`` None: to the contig's end."""

    contig: str
    first: int = 1
    last: int | None = None


def read_region_text(text: str, *, end: int, place: str = "") -> RegionText:
    """The region that a text spells; ``end`` is the largest position there is.

    Raises:
        PolicyInputError: ``bad_region``; its message says what to write.
    """
    typed = text.strip()
    braced = _BRACED.fullmatch(typed)
    if braced:
        contig, where = braced["contig"], braced["range"]
    elif ":" not in typed:
        contig, where = typed, None
    else:
        contig, _, where = typed.rpartition(":")
        if (":" in contig or "*" in contig) and "-" not in where:
            braces = f"write {{{typed}}} for the whole contig, {{{typed}}}:1-100 for a part"
            raise _bad(typed, braces if "*" in typed else HOW, place)
    if where is None:
        return RegionText(contig)
    start, dash, stop = where.partition("-")
    if not start and stop:
        raise _bad(typed, f"write {contig}:1-{stop}", place)
    first = _position(start, typed, end, place)
    last = first if not dash else _position(stop, typed, end, place) if stop else None
    if first < 1:
        raise _bad(typed, f"positions are counted from 1: write {contig}:1{dash}{stop}", place)
    if last is not None and last < first:
        raise _bad(typed, f"the start lies after the end: write {contig}:{last}-{first}", place)
    return RegionText(contig, first, last)


def _position(text: str, typed: str, end: int, place: str) -> int:
    found = _NUMBER.fullmatch(text)
    if not found:
        raise _bad(typed, HOW, place)
    if found["grouped"]:
        value = Decimal(found["grouped"].replace(",", ""))
    else:
        value = Decimal(found["plain"]).scaleb(int(found["power"] or _POWERS[(found["unit"] or "").lower()]))
    if value > end:
        raise _bad(typed, f"a position is at most {end}", place)
    if value != value.to_integral_value():
        raise _bad(typed, "a position is a whole number", place)
    return int(value)


def _bad(typed: str, what: str, place: str) -> PolicyInputError:
    return PolicyInputError("bad_region", f"{typed!r:.80} is no region: {what:.200}", place)
