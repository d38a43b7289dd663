"""The assembly that a list of loci is of, as far as it says so: its positions mean nothing on another one."""

from __future__ import annotations

import re
from collections.abc import Iterable

from policies.assemblies import KNOWN, known_assembly, normalise_assembly
from policies.errors import PolicyInputError
from vault.errors import InputError
from vault.files.handed_in import text_of
from vault.genotypes.contigs import find_assembly
from vault.genotypes.loci import Locus

_CONTIG_LINE = re.compile(r"##contig=<(.*)>", re.IGNORECASE)
_FIELD = re.compile(r'(ID|length|assembly)=("[^"]*"|[^,]*)')
_LIFT = "positions differ between assemblies: lift the list over"


def require_same_assembly(raw: bytes, *, name: str, assembly: str, stated: str | None = None) -> None:
    """Hold a list called ``name`` against the dataset's ``assembly``: what somebody ``stated``, and the header of a VCF.

    Raises:
        InputError: ``assembly_unknown``: what was stated; ``assembly_mismatch``.
    """
    own = find_assembly(assembly)
    if stated is not None and normalise_assembly(stated) != own.name:
        try:
            stated = known_assembly(stated)
        except PolicyInputError as error:
            raise InputError(error.code, error.message) from None
        raise _mismatch(name, stated, own.name)
    for line in text_of(raw, name=name, code="loci_malformed").splitlines():
        if not line.startswith("##"):
            break
        contig = _CONTIG_LINE.match(line)
        if contig is None:
            continue
        fields = {key: value.strip('"') for key, value in _FIELD.findall(contig[1])}
        said = normalise_assembly(fields.get("assembly", ""))
        length = fields.get("length", "")
        other = own.belongs_to(fields.get("ID", ""), int(length)) if own.lengths and length.isdigit() else None
        if other is None and said in KNOWN and said != own.name:
            other = said
        if other is not None:
            raise _mismatch(name, other, own.name)


def require_on(assembly: str, loci: Iterable[Locus], *, name: str) -> None:
    """Refuse loci on contigs of another assembly, on chromosomes that the assembly has not, or behind their end.

    Raises:
        InputError: ``assembly_mismatch``.
    """
    own = find_assembly(assembly)
    listed = list(loci)
    own.require_own((locus.place.contig for locus in listed), name=name)
    for locus in listed:
        limit = own.limit(locus.place.contig)
        if limit is None or locus.place.end > limit:
            raise InputError("assembly_mismatch", f"{name}: {locus.text:.80} does not lie on {own.name}", hint=_LIFT)


def _mismatch(name: str, theirs: str, ours: str) -> InputError:
    return InputError("assembly_mismatch", f"{name} is of {theirs}, the dataset of {ours}", hint=_LIFT)
