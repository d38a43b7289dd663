"""One person's gVCF, read: the calls that are kept, the track of what was assayed as reference, and what was not taken and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from vault.genotypes.ingest.source import SiteBatch

if TYPE_CHECKING:
    from vault.genotypes.codec.callable_track import CallableTrack  # its kernels are for gVCFs only


@dataclass(frozen=True)
class GvcfCounts:
    """Records of a gVCF by what became of them.

    ``blocks``: reference calls over a run of bases, single ones included; ``confident_blocks``: those that passed the rule, the others
    failed by ``low_gq``, ``low_dp``, ``filtered_blocks`` (each by the first of these) or had no call (``no_call_blocks``, ploidy above 2
    among them). ``overlapping_blocks`` begin in an earlier block; ``blocks_over_variants`` meet a record of the person's own.
    ``kept``: records kept as calls. Not kept: ``no_call_records``, ``filtered_records`` (kept under ``--filtered keep``),
    ``unknown_allele_records`` (of no ALT but ``<NON_REF>`` or ``<*>``), and those of ``pairs_not_combined`` places.
    ``pairs_combined``: places of two records that became one.
    """

    blocks: int = 0
    confident_blocks: int = 0
    low_gq: int = 0
    low_dp: int = 0
    filtered_blocks: int = 0
    no_call_blocks: int = 0
    overlapping_blocks: int = 0
    blocks_over_variants: int = 0
    kept: int = 0
    no_call_records: int = 0
    filtered_records: int = 0
    unknown_allele_records: int = 0
    pairs_combined: int = 0
    pairs_not_combined: int = 0

    def as_dict(self) -> dict[str, int]:
        """The counts by name."""
        return asdict(self)


@dataclass(frozen=True)
class PersonalCalls:
    """``calls``: by contig, in file order, the kept records sorted by position, one column wide; contigs without any are left out.
    ``tracks``: by contig, in file order, of every contig of the file that has an interval.
    """

    calls: Mapping[str, SiteBatch]
    tracks: Mapping[str, CallableTrack]
    counts: GvcfCounts

    @property
    def contigs(self) -> tuple[str, ...]:
        """Contigs with a call or an interval, spelled as in the file."""
        return tuple({**dict.fromkeys(self.calls), **dict.fromkeys(self.tracks)})
