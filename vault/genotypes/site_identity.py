"""Identity of a site as a variant of its own, beside contig and position (docs/design/genotypes.md §1). Pure.

Records of several parts are of one *family* where they have the same place, REF and, of structural variants, the same type, end, lengths
and mate. Which ALTs a record lists is no part of that: an erasure takes ALTs out of the list, and every batch lists others. Two structural
variants of one type, end and length are one variant, and so are breakends with the same mate; alleles of a copy number variant are alleles of one site.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vault.genotypes.contigs import normal_contig
from vault.genotypes.sites import Sites, site_ends

_COPIES = re.compile(rb"<CN[0-9]+>")
_MATE = re.compile(rb"[\[\]][^\[\]]*[\[\]]")
_WITHOUT_LENGTH = (b"<*>", b"<NON_REF>")


def family_keys(sites: Sites) -> list[bytes]:
    """REF of each site, and of structural ones also type, end, lengths and the place that they are joined to.

    Batches may leave out what follows from the rest: SVLEN beside the END of a deletion, SVTYPE=DEL beside ``<DEL>``, CHR2 where it is the
    site's own contig. Bases are compared without regard to case (VCF 4.3 §1.6.1, REF and ALT).
    """
    ends, infos = site_ends(sites), sites.info.items()
    return [
        _family(text.split(b","), info, int(pos), int(end), sites.contigs[contig])
        for text, info, pos, end, contig in zip(
            sites.alleles.items(), infos, sites.pos.tolist(), ends.tolist(), sites.contig.tolist(), strict=True
        )
    ]


def spelled(allele: bytes) -> bytes:
    """An allele with its bases in upper case; names of symbols and of mates' contigs stay as they are."""
    if allele.isupper() or allele.startswith(b"<"):
        return allele
    mate = _MATE.search(allele)
    if mate is None:
        return allele.upper()
    return allele[: mate.start()].upper() + mate[0] + allele[mate.end() :].upper()


def structural(alts: Sequence[bytes]) -> NDArray[np.bool_]:
    """bool[k]: the ALT is a symbol that speaks of an extent, or a breakend."""
    symbols = ((alt.startswith(b"<") and alt not in _WITHOUT_LENGTH) or _is_breakend(alt) for alt in alts)
    return np.fromiter(symbols, np.bool_, len(alts))


def kind_of(alts: Sequence[bytes], svtype: bytes) -> bytes:
    """Type of a structural record. It does not change when one of several ALTs is blanked.

    Of copy numbers CNV, of one symbol its name, of one breakend itself (it names its mate), else what SVTYPE says.
    """
    if any(_COPIES.fullmatch(alt) for alt in alts):
        return svtype or b"CNV"
    if len(alts) != 1 or not structural(alts)[0]:
        return svtype
    if _is_breakend(alts[0]):
        return spelled(alts[0]) if svtype in (b"", b"BND") else svtype + spelled(alts[0])
    name = alts[0][1:-1]
    return name if svtype in (b"", name, name.split(b":")[0]) else svtype


def _family(alleles: Sequence[bytes], info: bytes, pos: int, end: int, contig: str) -> bytes:
    ref, *alts = alleles
    if not info and not any(structural(alts)):
        return spelled(ref)
    fields = dict(field.split(b"=", 1) for field in info.split(b";") if b"=" in field)
    if fields.get(b"END", b"").isdigit():  # of a record whose only ALT was blanked nothing else tells
        end = max(end, int(fields[b"END"]))
    told = [spelled(ref), b"%d" % end if end >= pos + len(ref) else b"", _lengths(fields, alts, pos)]
    told.append(kind_of(alts, fields.get(b"SVTYPE", b"")))
    if b"CHR2" in fields and normal_contig(fields[b"CHR2"].decode()) != normal_contig(contig):
        told.append(fields[b"CHR2"])
    told += [key + fields[key] for key in (b"POS2", b"END2") if key in fields]
    return b"\0".join(told)


def _lengths(fields: dict[bytes, bytes], alts: Sequence[bytes], pos: int) -> bytes:
    """The lengths without their signs, unless END says the same of all ALTs; where ALTs differ in length, with the ALTs that they are of."""
    listed = fields.get(b"SVLEN", b"").replace(b"-", b"").split(b",")
    if listed == [b""]:
        return b""
    if len(set(listed)) > 1:
        return b",".join([*listed, *alts])
    reach = b"%d" % (pos + int(listed[0])) if listed[0].isdigit() else b""
    implied = not any(alt.startswith(b"<INS") for alt in alts) and fields.get(b"END", reach) == reach
    return b"" if implied else listed[0]


def _is_breakend(alt: bytes) -> bool:
    """VCF 4.3 §5.4: ``t[p[`` and its like, and single breakends ``t.`` and ``.t``."""
    return b"[" in alt or b"]" in alt or (len(alt) > 1 and (alt.startswith(b".") or alt.endswith(b".")))
