"""Small gVCFs of one person as files, and what the reader made of them in plain values."""

from __future__ import annotations

from pathlib import Path

from tests.support.vcf_reading import batch_rows, vcf_text
from vault.genotypes.codec.callable_track import CallableTrack
from vault.genotypes.ingest.assay_rule import AssayRule
from vault.genotypes.ingest.open_source import open_source
from vault.genotypes.ingest.personal_calls import PersonalCalls
from vault.genotypes.ingest.source import SiteBatch
from vault.genotypes.ingest.vcf import VcfSource


def write(folder: Path, lines: list[str], name: str = "a.g.vcf") -> Path:
    """A gVCF of these lines, spaces for tabs."""
    path = folder / name
    path.write_bytes(vcf_text(lines, samples="S1"))
    return path


def read(path: Path, rule: AssayRule | None = None) -> PersonalCalls:
    """The file read under the rule, the default one unless given."""
    with open_source(path) as source:
        assert isinstance(source, VcfSource)
        assert source.gvcf
        return source.personal(rule or AssayRule(), lambda *_: None)


def intervals(track: CallableTrack | None) -> list[tuple[int, int, int]]:
    """(start, end, level) of a track, of none where there is none."""
    if track is None:
        return []
    return list(zip(track.start.tolist(), track.end.tolist(), track.level.tolist(), strict=True))


def records(batch: SiteBatch | None) -> list[tuple[int, str, str]]:
    """(position, "REF,ALT1,…", GT) of the records kept."""
    rows = list(batch_rows(batch)) if batch else []
    return [(int(pos), f"{ref},{alts}", calls[0]) for _, pos, _, ref, alts, _, calls in rows]
