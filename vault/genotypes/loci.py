"""Loci that a panel lists, and the sites that overlap the regions of a request.

A locus is an interval, with alleles where the list gives them. Lists are BED (intervals), VCF (sites), or TSV with the header
columns ``contig``, ``pos`` and optionally ``ref``, ``alt`` and ``id``. Contigs compare without "chr".
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from policies.loci import Interval
from vault.errors import InputError
from vault.files.handed_in import text_of
from vault.genotypes.contigs import normal_contig
from vault.genotypes.mates import mates_of
from vault.genotypes.sites import Sites
from vault.limits import MAX_PANEL_LOCI, MAX_POSITION


@dataclass(frozen=True)
class Locus:
    """An entry of a panel: all sites in ``place``, or with ``ref`` (and ``alts``) one exact site.

    ``place.contig`` is as the list spells it. ``is_region``: a place that a request adds to a panel, an interval even where it is one base.
    """

    place: Interval
    ref: str = ""
    alts: tuple[str, ...] = ()
    name: str = ""
    is_region: bool = False

    @property
    def is_interval(self) -> bool:
        """More than one position, and no REF that makes it one site."""
        return not self.ref and (self.is_region or self.place.end - self.place.start > 1)

    @property
    def text(self) -> str:
        """Its name in reports, 1-based: "contig:pos" or "contig:first-last"."""
        first, last = self.place.positions
        return f"{self.place.contig}:{first}-{last}" if self.is_interval else f"{self.place.contig}:{first}"

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Locus:
        """The reverse of ``as_dict``."""
        place = Interval.from_positions(fields["contig"], fields["first"], fields["last"])
        return cls(place, fields["ref"], tuple(fields["alts"]), fields["name"])

    def as_dict(self) -> dict[str, Any]:
        """The form that a panel is stored and listed in: ``first`` and ``last`` are 1-based, both included."""
        first, last = self.place.positions
        return {
            "contig": self.place.contig,
            "first": first,
            "last": last,
            "ref": self.ref,
            "alts": list(self.alts),
            "name": self.name,
        }


def parse_loci(raw: bytes, *, name: str) -> tuple[Locus, ...]:
    """The loci of a list called ``name`` in errors, in its order; the format is told by its content.

    Raises:
        InputError: ``loci_malformed`` with the line; ``loci_empty``; ``loci_too_many``.
    """
    lines = text_of(raw, name=name, code="loci_malformed").splitlines()
    if lines and lines[0].startswith("##fileformat=VCF"):
        found = list(_vcf(lines, name))
    elif any(not line.startswith(("#", "track", "browser")) and _is_header(line) for line in lines[:1]):
        found = list(_tsv(lines, name))
    else:
        found = list(_bed(lines, name))
    if not found:
        raise InputError("loci_empty", f"{name} lists no loci", hint="BED, VCF, or TSV with contig, pos, ref, alt")
    if len(found) > MAX_PANEL_LOCI:
        raise InputError("loci_too_many", f"{name} lists more than {MAX_PANEL_LOCI} loci")
    return tuple(dict.fromkeys(found))


def overlapping_rows(sites: Sites, ends: NDArray[np.int64], regions: Sequence[Interval]) -> NDArray[np.intp]:
    """intp[k], ascending: rows of a chunk's sites that overlap a region, or have a mate in it. One contig, positions ascending.

    ``ends`` int64[m]: the last position of each site (``sites.site_ends``), 1-based, so the end of its half-open interval.
    """
    wanted = np.zeros(len(sites), np.bool_)
    here = normal_contig(sites.contigs[0])
    for region in regions:
        if normal_contig(region.contig) == here:
            stop = int(sites.pos.searchsorted(region.end, "right"))  # POS is 1-based: a site starts at POS - 1 < end
            wanted[:stop] |= ends[:stop] > region.start
    mates = mates_of(sites)
    for row, contig, first, last in zip(
        mates.rows.tolist(), mates.contigs, mates.first.tolist(), mates.last.tolist(), strict=True
    ):
        there = [region for region in regions if normal_contig(region.contig) == normal_contig(contig)]
        wanted[row] |= any(region.start < max(last, 1) and first <= region.end for region in there)
    return np.flatnonzero(wanted)


def _vcf(lines: list[str], name: str) -> Iterator[Locus]:
    for number, line in enumerate(lines, 1):
        if line.startswith("#") or not line:
            continue
        fields = line.split("\t")
        if len(fields) < 5:
            raise _bad(name, number, "a VCF line has at least CHROM, POS, ID, REF and ALT")
        position = _position(fields[1], name, number)
        alts = () if fields[4] == "." else tuple(fields[4].split(","))
        place = Interval.from_positions(_contig(fields[0], name, number), position, position)
        yield Locus(place, fields[3], alts, "" if fields[2] == "." else fields[2])


def _tsv(lines: list[str], name: str) -> Iterator[Locus]:
    rows = csv.reader(io.StringIO("\n".join(lines)), delimiter="\t", quoting=csv.QUOTE_NONE)
    header = [column.strip().lower().lstrip("#") for column in next(rows)]
    unknown = [column for column in header if column not in _COLUMNS]
    if unknown or "pos" not in header or not {"contig", "chrom"} & set(header):
        raise _bad(name, 1, "the columns are contig, pos, ref, alt, id")
    for number, row in enumerate(rows, 2):
        if not row:
            continue
        if len(row) != len(header):
            raise _bad(name, number, f"{len(row)} fields where the header has {len(header)}")
        field = dict(zip(header, (item.strip() for item in row), strict=True))
        position = _position(field["pos"], name, number)
        alts = tuple(alt for alt in field.get("alt", "").split(",") if alt not in ("", "."))
        contig = _contig(field.get("contig") or field.get("chrom", ""), name, number)
        if alts and not field.get("ref"):
            raise _bad(name, number, "an ALT without a REF")
        yield Locus(Interval.from_positions(contig, position, position), field.get("ref", ""), alts, field.get("id", ""))


def _bed(lines: list[str], name: str) -> Iterator[Locus]:
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith(("#", "track", "browser")):
            continue
        fields = line.split("\t") if "\t" in line else line.split()
        if len(fields) < 3:
            raise _bad(name, number, "a BED line is contig, start, end")
        if not fields[2].isdigit():
            raise _bad(name, number, _NO_HEADER)
        start, end = _position(fields[1], name, number), _position(fields[2], name, number)
        if start >= end:
            raise _bad(name, number, "the start must lie before the end")
        yield Locus(Interval(_contig(fields[0], name, number), start, end), name=fields[3] if len(fields) > 3 else "")


_COLUMNS = {"contig", "chrom", "pos", "ref", "alt", "id"}
_NO_HEADER = "a BED line is contig, start, end; a TSV's first line names its columns: contig, pos, ref, alt, id"


def _is_header(line: str) -> bool:
    columns = {column.strip().lower().lstrip("#") for column in line.split("\t")}
    return "pos" in columns


def _contig(text: str, name: str, number: int) -> str:
    if not text or any(c.isspace() for c in text):
        raise _bad(name, number, "the contig's name is empty or holds spaces")
    return text


def _position(text: str, name: str, number: int) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 10 or int(text) > MAX_POSITION:
        raise _bad(name, number, f"a position is a number up to {MAX_POSITION}")
    return int(text)


def _bad(name: str, number: int, reason: str) -> InputError:
    return InputError("loci_malformed", f"{name}, line {number}: {reason}", hint="nothing was recorded")
