"""Identity of a site as a variant of its own, beside contig and position (docs/design/genotypes.md §1). Pure."""

from __future__ import annotations

import numpy as np

from vault.genotypes.contigs import normal_contig
from vault.genotypes.sites import Sites, site_ends


def variant_keys(sites: Sites) -> list[bytes]:
    """REF and ALTs of each site, and of structural ones also where they end, lengths, type and the place that they are joined to.

    What one batch says and another leaves out because it follows from the rest makes no difference: SVLEN beside the END of a deletion,
    SVTYPE=DEL beside ``<DEL>``, CHR2 where it is the site's own contig.
    """
    found, ends = sites.alleles.items(), site_ends(sites)
    for row in np.flatnonzero(np.diff(sites.info.offsets)).tolist():
        fields = dict(field.split(b"=", 1) for field in sites.info[row].split(b";") if b"=" in field)
        pos, contig = int(sites.pos[row]), sites.contigs[int(sites.contig[row])]
        ref, *alts = found[row].split(b",")
        end = int(ends[row])
        told = [b"%d" % end if end >= pos + len(ref) else b"", _lengths(fields, alts, pos), _type(fields, alts)]
        if b"CHR2" in fields and normal_contig(fields[b"CHR2"].decode()) != normal_contig(contig):
            told.append(fields[b"CHR2"])
        told += [fields[key] for key in (b"POS2", b"END2") if key in fields]
        if any(told):
            found[row] = b"\0".join([found[row], *told])
    return found


def _lengths(fields: dict[bytes, bytes], alts: list[bytes], pos: int) -> bytes:
    """The lengths without their signs, unless END says the same."""
    lengths = fields.get(b"SVLEN", b"").replace(b"-", b"")
    reach = b"%d" % (pos + int(lengths)) if lengths.isdigit() else b""
    implied = len(alts) == 1 and not alts[0].startswith(b"<INS") and fields.get(b"END", reach) == reach
    return b"" if implied else lengths


def _type(fields: dict[bytes, bytes], alts: list[bytes]) -> bytes:
    """SVTYPE, unless an ALT says the same."""
    told = fields.get(b"SVTYPE", b"")
    implied = any(alt[1:].split(b":")[0].rstrip(b">") == told for alt in alts if alt.startswith(b"<"))
    return b"" if implied or (told == b"BND" and any(b"[" in alt or b"]" in alt for alt in alts)) else told
