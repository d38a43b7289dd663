"""Names of reference assemblies. Patch releases add contigs and move no coordinate, so they are the assembly that they patch.

Accessions of NCBI: GCA_000001405.1 to .14 and GCF_000001405.13 to .25 are GRCh37 and its patches, the later ones GRCh38 and its
patches; GCA_009914755.4 and GCF_009914755.1 are T2T-CHM13v2.0. Earlier versions of CHM13 have other coordinates.
"""

from __future__ import annotations

import re
from difflib import get_close_matches

from policies.errors import PolicyInputError

GRCH37, GRCH38, CHM13 = "GRCh37", "GRCh38", "T2T-CHM13v2.0"
KNOWN = (GRCH37, GRCH38, CHM13)

_PATCH = re.compile(r"[._-]?p(?:atch)?[._-]?\d{1,2}")
_NAMES = {
    "grch38": GRCH38,
    "hg38": GRCH38,
    "b38": GRCH38,
    "hs38": GRCH38,
    "hs38d1": GRCH38,
    "hs38dh": GRCH38,
    "grch38dh": GRCH38,
    "grch38.d1.vd1": GRCH38,
    "grch38_full_analysis_set_plus_decoy_hla": GRCH38,
    "grch37": GRCH37,
    "hg19": GRCH37,
    "b37": GRCH37,
    "hs37": GRCH37,
    "hs37d5": GRCH37,
    "g1k_v37": GRCH37,
    "human_g1k_v37": GRCH37,
    "t2t-chm13v2.0": CHM13,
    "t2t-chm13v2": CHM13,
    "chm13v2.0": CHM13,
    "chm13v2": CHM13,
    "hs1": CHM13,
}
_ACCESSION = re.compile(r"(gc[af]_(?:000001405|009914755))\.(\d{1,3})(?:_.*)?")
_FIRST = {  # first version of each assembly, the newest first
    "gca_000001405": ((15, GRCH38), (1, GRCH37)),
    "gcf_000001405": ((26, GRCH38), (13, GRCH37)),
    "gca_009914755": ((4, CHM13),),
    "gcf_009914755": ((1, CHM13),),
}


def normalise_assembly(name: str) -> str:
    """One spelling per assembly: ``hg38`` and ``GRCh38.p14`` are ``GRCh38``. A name not known here is kept as it is."""
    lower = name.strip().lower()
    accession = _ACCESSION.fullmatch(lower)
    if accession:
        version = int(accession[2])
        return next((known for first, known in _FIRST[accession[1]] if version >= first), name.strip())
    return _NAMES.get(lower) or _NAMES.get(_unpatched(lower)) or name.strip()


def known_assembly(name: str, *, place: str = "") -> str:
    """As ``normalise_assembly``, for a name that must be known: without its lengths and places nothing could be checked.

    Raises:
        PolicyInputError: ``assembly_unknown``.
    """
    found = normalise_assembly(name)
    if found not in KNOWN:
        close = get_close_matches(name.strip().lower(), [*_NAMES, *map(str.lower, KNOWN)], n=1, cutoff=0.5)
        meant = f"; did you mean {close[0]} ({normalise_assembly(close[0])})?" if close else ""
        known = ", ".join(KNOWN)
        raise PolicyInputError("assembly_unknown", f"{name.strip()!r:.60} is no assembly known here ({known}){meant}", place)
    return found


def _unpatched(name: str) -> str:
    patch = _PATCH.search(name)
    return name[: patch.start()] if patch and patch.end() == len(name) else name
