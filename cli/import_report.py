"""An import in words: what came, what was here already, what was not taken, and which samples to look at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cli.output import Output
    from vault.genotypes.import_job import ImportReport
    from vault.genotypes.ingest.personal_calls import GvcfCounts


def tell(output: Output, report: ImportReport, *, replaced: bool) -> None:
    """Show the report of an import; ``replaced``: it took the place of what its people had."""
    if report.nothing_new:
        output.line(f"{report.dataset}: nothing new arrived; everything of this import was here already, and nothing was kept")
        return
    for line in _lines(report, replaced=replaced):
        output.line(line)
    for warning in _warnings(report):
        output.warn(warning)


def _lines(report: ImportReport, *, replaced: bool) -> Iterator[str]:
    yield f"{report.dataset}: {report.sites:,} sites, {report.stored_bytes:,} bytes stored"
    yield f"samples: {report.matched:,} of known people, {report.new:,} of new ones, {report.skipped:,} left out"
    if report.replaced:
        yield f"older calls of {report.replaced:,} people have ended"
    had = report.already
    if had.same or had.different:
        stand = "the new" if replaced else "the earlier"
        yield f"calls that these people had already: {had.same:,} the same, {had.different:,} different, of which {stand} ones stand"
    found = report.structural
    if found.sites:
        yield (
            f"structural variants: {found.sites:,}; END, SVTYPE, SVLEN and mates are kept, the rest of INFO is not. "
            f"END made of SVLEN: {found.ends_from_lengths:,}; END before POS, left out: {found.ends_left_out:,}; "
            f"hidden by any mask near them, because it is not said where they lie or end: {found.unplaced:,}"
        )
    if report.gvcf is not None:
        yield from _gvcf_lines(report.gvcf)


def _warnings(report: ImportReport) -> Iterator[str]:
    if report.unnamed:
        yield (
            f"{report.unnamed:,} samples have names that say nothing (such as default): each is a person of its own, named with the first digits "
            "of the file's SHA-256, and nobody who has such a name already is taken for them; --samples MAP.csv says whose they are"
        )
    if report.indels.apart:
        reads = ", at which these people read 0/0" if report.gvcf is not None else ""
        yield (
            f"{report.indels.apart:,} of {report.indels.sites:,} indels are not left-aligned: the same variant, placed otherwise in another file, is another "
            f"record{reads}; --fasta FILE (or bcftools norm -f) left-aligns them"
        )
    if report.erased:
        yield (
            f"{report.erased:,} people were erased since this dataset was begun; if one of the new people is among them, "
            "erase that person again"
        )
    names = f"genovault dataset check {report.dataset} names them"
    if report.checks.other_sex:
        yield f"{report.checks.other_sex:,} samples show another sex on X than they are registered with: {names}"
    if report.checks.few_calls:
        yield f"{report.checks.few_calls:,} samples have calls at under 90 % of the SNPs: {names}"


def _gvcf_lines(found: GvcfCounts) -> list[str]:
    """Counts of what was taken of gVCFs, and of what was not and why."""
    blocks = {
        "by quality": found.low_gq,
        "by depth": found.low_dp,
        "filtered": found.filtered_blocks,
        "without a call": found.no_call_blocks,
    }
    records = {
        "without a call": found.no_call_records,
        "filtered": found.filtered_records,
        "of an allele that is not named": found.unknown_allele_records,
        "places of two that do not fit": found.pairs_not_combined,
    }
    met = {"inside another, of which the lowest counts": found.overlapping_blocks, "over a variant": found.blocks_over_variants}
    return [
        f"reference blocks: {found.blocks:,}, assayed: {found.confident_blocks:,}; not: {_told(blocks)}; {_told(met)}",
        f"records kept as calls: {found.kept:,}, two made one: {found.pairs_combined:,}; not kept: {_told(records)}",
        "calls are as they were made, person by person: this is no joint calling",
    ]


def _told(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())
