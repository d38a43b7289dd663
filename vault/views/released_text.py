"""Texts of a source that may leave: FILTER, ID, ALT and INFO held to allow-lists (docs/design/disclosure.md §11). Pure.

A text that whoever wrote the source could choose freely may hold anything, a name among it. What is not on a list comes out as what
the list has nearest to it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np

from vault.genotypes.contigs import Assembly
from vault.genotypes.sites import TextColumn
from vault.views import text_kernels
from vault.views.column_runs import turns

NOT_PASSED = "not_passed"
"""FILTER of every record that did not pass some filter of its source, whichever."""

SYMBOLS = frozenset(
    ["DEL", "INS", "DUP", "INV", "CNV", "BND", "DUP:TANDEM", "DEL:ME", "INS:ME", "INS:MT", "CNV:TR", "NON_REF", "*"]
    + [f"{kind}:ME:{family}" for kind in ("DEL", "INS") for family in ("ALU", "L1", "LINE1", "SVA", "HERV", "HERVK")]
)
"""Symbolic ALTs of the VCF specification (4.5 §1.4.5, §5.5), families of mobile elements, insertions of mitochondrial
DNA, and BND for what joins two places."""

_TYPES = frozenset({"DEL", "INS", "DUP", "INV", "CNV", "BND"})  # of INFO/SVTYPE, VCF 4.5 §3
_JOINING = frozenset({"TRA", "CTX"})  # what callers write for BND
_COPIES = re.compile(r"CN[0-9]{1,3}")  # copy number alleles, as the 1000 Genomes Project writes them
_PAIRED = re.compile(rb"([^\[\]]*)[\[\]](.+):[0-9]+[\[\]]([^\[\]]*)")
_SCAFFOLD = re.compile(  # names of the public assemblies' other sequences
    r"(chr)?(Un|\d{1,2}|X|Y)_[A-Z]{2,4}\d{6,9}v\d(_alt|_random|_fix|_decoy)?|chr\d{1,2}_(apd|cox|dbb|mann|mcf|qbl|ssto|ctg\d)_hap\d{1,2}"
    r"|(NC|NT|NW)_\d{6,9}(\.\d{1,2})?|(GL|J[HTW]|K[BEINQVZ]|M[LU])(\d{6}|F?H?\d{8})\.\d|hs37d5|hs38d1|chrEBV"
    r"|(CHR_)?HSCHR(\d{1,2}|X|Y)(_(MHC|LRC|APD|COX|DBB|MANN|MCF|QBL|SSTO|RANDOM|UNK|CTG[\d_]+|\d{1,2})){1,5}|HLA-[A-Z0-9]{1,5}\*[0-9:]{1,12}[A-Z]?"
)


def filters(column: TextColumn) -> TextColumn:
    """FILTER of each record: ``PASS``; ``.``, no filter was applied; NOT_PASSED for all else."""

    def allowed(text: bytes) -> bytes:
        codes = set(text.split(b";")) - {b"."}
        if not codes:
            return b"."
        return b"PASS" if codes == {b"PASS"} else NOT_PASSED.encode()

    starts = turns(column)  # neighbours are mostly alike, and looked at once
    firsts = column.take(np.flatnonzero(starts)).items()
    replaced = [allowed(text) for text in firsts]
    return column if replaced == firsts else TextColumn.from_items(replaced).take(np.cumsum(starts) - 1)


def ids(column: TextColumn) -> TextColumn:
    """ID of each record: the numbers of dbSNP in it, "." where there is none."""
    data, offsets = np.empty(len(column.data) + len(column), np.uint8), np.zeros(len(column) + 1, np.int64)
    size = text_kernels.keep_rs(np.ascontiguousarray(column.data), np.ascontiguousarray(column.offsets), data, offsets)
    return TextColumn(data[:size], offsets)


def alt(text: bytes, svtype: str, knows: Callable[[str], bool]) -> bytes:
    """One ALT that is a symbol or breakend. ``svtype``: allowed SVTYPE of its record, or ""; ``knows``: contigs that may be named as mates.

    A symbol that is not on the list becomes its nearest more general one, else the record's SVTYPE, else ``<*>``; an inserted contig
    becomes ``<INS>``; a breakend whose mate lies on a contig that may not be named becomes a single breakend.
    """
    if text.startswith(b"<") and text.endswith(b">"):
        return b"<%s>" % _symbol(text[1:-1].decode(), svtype).encode()
    paired = _PAIRED.fullmatch(text)
    if paired:
        if knows(paired[2].decode()):
            return text
        if b"." not in (paired[1], paired[3]):
            return b"%s." % paired[1] if paired[1] else b".%s" % paired[3]
    if b"[" in text or b"]" in text:
        return b"<BND>"
    return b"<INS>" if b"<" in text else text


def svtype(fields: Sequence[bytes]) -> str:
    """The SVTYPE among INFO fields, "" if there is none that may leave."""
    found = next((field[7:].decode() for field in fields if field.startswith(b"SVTYPE=")), "")
    top = found.partition(":")[0]
    return "BND" if top in _JOINING else top if top in _TYPES else ""


def is_public_contig(name: str, assembly: Assembly) -> bool:
    """True for names that public assemblies give to chromosomes, scaffolds, patches, decoys and HLA alleles."""
    place = assembly.place(name)
    return (place.aligned and bool(place.chromosome)) or _SCAFFOLD.fullmatch(name) is not None


def _symbol(name: str, svtype: str) -> str:
    while name not in SYMBOLS and not _COPIES.fullmatch(name):
        name, colon, _ = name.rpartition(":")
        if not colon:
            return svtype or "*"
    return name
