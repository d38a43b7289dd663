"""Commands about imported genotypes."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cli import dataset_corrections
from cli.context import context_of
from cli.import_report import tell
from cli.lazy import group
from vault.audit.actions import Action
from vault.errors import GenovaultError, UsageError

if TYPE_CHECKING:
    from cli.context import Context
    from vault.genotypes.import_job import ImportReport
    from vault.genotypes.ingest.assay_rule import AssayRule
    from vault.session.unlocked_vault import UnlockedVault

app = group("Imported genotypes.")


@app.command("import")
def import_(
    ctx: typer.Context,
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE…", help="VCF (plain, gzip, BGZF, zstd), BCF or PGEN; each contig in one file.", show_default=False
        ),
    ],
    name: Annotated[str, typer.Option(metavar="N", help="The dataset's name.", show_default=False)],
    assembly: Annotated[str, typer.Option(metavar="A", help="The reference, as GRCh38.", show_default=False)],
    append: Annotated[bool, typer.Option("--append", help="Add to a dataset that is there.")] = False,
    samples: Annotated[
        Path | None, typer.Option(metavar="MAP.csv", help="Whose each sample is: columns sample, subject (REF).")
    ] = None,
    unknown: Annotated[
        Literal["refuse", "skip", "register"] | None, typer.Option(help="Samples that belong to nobody; default: refuse.")
    ] = None,
    register: Annotated[bool, typer.Option("--register", help="The same as --unknown register.")] = False,
    namespace: Annotated[
        str, typer.Option(metavar="NAME", help="Put NAME/ before every sample name that another cohort also uses.")
    ] = "",
    unlisted_assembly: Annotated[
        bool, typer.Option("--unlisted-assembly", help="Take an assembly that is not known here: nothing is checked by it.")
    ] = False,
    assayed: Annotated[
        str | None,
        typer.Option(
            metavar="BED|all",
            help="What was assayed: a panel shows it whoever carries it. Else only what somebody released carries.",
        ),
    ] = None,
    min_gq: Annotated[
        int | None,
        typer.Option(metavar="GQ", help="gVCF: reference blocks of less quality do not count as assayed; default: 20."),
    ] = None,
    min_dp: Annotated[
        int | None,
        typer.Option(metavar="DP", help="gVCF: the same of depth; default: 10, and half of it where a person has one copy."),
    ] = None,
    accept_filter: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="gVCF: a FILTER that passes beside PASS; repeatable.")
    ] = None,
    filtered: Annotated[
        Literal["missing", "keep"] | None, typer.Option(help="gVCF: calls under any other FILTER; default: missing.")
    ] = None,
    fasta: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The reference sequence, indexed by samtools faidx: REF is held to it, and indels are left-aligned.",
        ),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="In the place of all that these people have in the dataset; wants --reason.")
    ] = False,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="With --replace: why; only auditors read it.")] = "",
    accept: Annotated[
        bool,
        typer.Option(
            "--accept",
            help="Take samples whose calls differ from what the same people have already, and new people beside known ones where somebody was erased.",
        ),
    ] = False,
    no_compact: Annotated[
        bool, typer.Option("--no-compact", help="Leave parts of one person as they are; else every sixteen of a size are joined.")
    ] = False,
) -> None:
    """Import genotypes; all or nothing.

    A file of one sample with reference blocks is a gVCF: each of several is its own person's. What counts as assayed is fixed at a
    dataset's first gVCF. Afterwards sixteen parts of one person each, if there are as many, become one (dataset compact).

    JSON: {"dataset", "sites": n, "matched": n, "new": n, "skipped": n, "stored_bytes": n,
    "structural": {"sites": n, "ends_from_lengths": n, "ends_left_out": n, "unplaced": n},
    "gvcf": null | {"blocks": n, "confident_blocks": n, "kept": n, …: what was not taken, by reason},
    "already": {"same": n, "different": n}, "nothing_new": bool, "unnamed": n, "replaced": n, "erased": n,
    "checks": {"other_sex": n, "few_calls": n}, "indels": {"sites": n, "apart": n}, "compacted": n}; compacted: parts that
    were joined.
    """
    context = context_of(ctx)
    if register and unknown not in (None, "register"):
        raise UsageError("options_exclude", "--register is --unknown register, and another --unknown is given")
    if replace and append:
        raise UsageError("options_exclude", "--replace and --append exclude each other")
    context.mention_compiling()
    from vault.genotypes.ingest.begin import begin_reading

    with begin_reading(files, assembly, fasta=fasta) as reading, context.output.progress("importing", unit="bytes") as bar:
        from vault.genotypes.import_job import import_files  # while the files are being parsed
        from vault.genotypes.import_plan import ImportOptions
        from vault.operations.corrections.replacement import import_instead

        options = ImportOptions(
            append=append,
            sample_map=samples,
            unknown="register" if register else unknown or "refuse",
            namespace=namespace,
            unlisted_assembly=unlisted_assembly,
            assayed=None if assayed is None else "all" if assayed == "all" else Path(assayed),
            rule=_rule(min_gq=min_gq, min_dp=min_dp, accept_filter=accept_filter, filtered=filtered),
            accept=accept,
            fasta=fasta,
        )
        with context.open() as vault:
            import_all = partial(import_instead, reason=reason) if replace else import_files
            report = import_all(
                vault,
                files,
                name=name,
                assembly=assembly,
                options=options,
                progress=lambda done, total, sites: bar(done, total, f"{sites:,} sites"),
                reading=reading,
            )
            joined = _joined(context, vault, report, wanted=not no_compact)
    context.output.document({**asdict(report), "compacted": joined})
    tell(context.output, report, replaced=replace)
    if joined:
        context.output.line(f"{joined:,} parts of few people were joined; dataset parts tells which import is where")


def _joined(context: Context, vault: UnlockedVault, report: ImportReport, *, wanted: bool) -> int:
    """Join the parts that the import has made enough of; how many. The import stands whatever becomes of that."""
    from vault.operations.compaction.process import after_import

    if not wanted or report.nothing_new:
        return 0
    try:
        found = after_import(vault, report.dataset)
    except GenovaultError as error:
        text = f"the import is there, but its parts were not joined: {error.message}; dataset compact {report.dataset} does it"
        context.output.warn(text)
        return 0
    return 0 if found is None else found.joined


def _rule(*, min_gq: int | None, min_dp: int | None, accept_filter: list[str] | None, filtered: str | None) -> AssayRule | None:
    if min_gq is None and min_dp is None and not accept_filter and filtered is None:
        return None
    from vault.genotypes.ingest.assay_rule import AssayRule

    return AssayRule.chosen(
        min_gq=min_gq, min_dp=min_dp, accepted_filters=tuple(accept_filter or ()), filtered=filtered or "missing"
    )


@app.command("list")
def list_(ctx: typer.Context) -> None:
    """All datasets.

    An engine is told bands in place of numbers, in JSON the first of each.
    JSON: {"datasets": [{"name", "assembly", "parts": n, "subjects": n, "sites": n, "stored_bytes": n}]}.
    """
    context = context_of(ctx)
    from vault.access.dataset_description import in_words, summaries

    with context.reading(Action.DATASET_LIST) as vault:
        found = summaries(vault)
        rows = [
            (d.name, d.assembly, *(in_words(vault, number) for number in (d.parts, d.subjects, d.sites, d.stored_bytes)))
            for d in found
        ]
    context.output.document({"datasets": [asdict(dataset) for dataset in found]})
    context.output.table(("dataset", "assembly", "parts", "people", "sites", "bytes"), rows)


@app.command()
def show(
    ctx: typer.Context, name: Annotated[str, typer.Argument(metavar="N", help="The dataset's name.", show_default=False)]
) -> None:
    """One dataset and the contigs it covers; to an engine in bands, as ``dataset list``.

    JSON: {"name", "assembly", "parts": n, "subjects": n, "sites": n, "stored_bytes": n, "contigs": [...], "assayed_by": TEXT | null}.
    """
    context = context_of(ctx)
    from vault.access.dataset_description import in_words, summaries
    from vault.genotypes.catalog import dataset_rules, datasets, parts

    with context.reading(Action.DATASET_SHOW) as vault:
        dataset = datasets.by_name(vault, name)
        summary = next(found for found in summaries(vault) if found.name == name)
        said = {field: in_words(vault, value) if isinstance(value, int) else value for field, value in asdict(summary).items()}
        contigs = parts.contigs(vault, dataset.dataset_id)
        rule = dataset_rules.current(vault, dataset.dataset_id)
    told = None if rule is None else dataset_rules.said(rule)
    context.output.document({**asdict(summary), "contigs": contigs, "assayed_by": told})
    for field, value in {**said, "contigs": ", ".join(contigs), "assayed_by": told or "-"}.items():
        context.output.line(f"{field:13} {value}")


@app.command()
def describe(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="N", help="The dataset's name.", show_default=False)],
    demographics: Annotated[bool, typer.Option(help="Sex and decade of birth too; opens names, and is logged so.")] = False,
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the page there instead.")] = None,
) -> None:
    """Print a page about a dataset that may be published: counts in bands, no small cell.

    For researchers who look for data; which of the people a project may use is not told.

    JSON: {"name", "assembly", "contigs": [...], "people": BAND, "sites": BAND, "assayed": TEXT, "panels": {name: loci}, "sex": {sex: BAND},
    "born": {decade: BAND}}.
    """
    context = context_of(ctx)
    from vault.access import dataset_description

    with context.output.reserving(output) as write:
        with context.open() as vault:
            described = dataset_description.describe(vault, name, demographics=demographics)
        page = dataset_description.markdown(described)
        if output is not None:
            write(page)
    context.output.document(asdict(described))
    if output is None:
        context.output.data(page)
    else:
        context.output.line(f"written to {output}")


@app.command()
def rule(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="N", help="The dataset's name.", show_default=False)],
    min_gq: Annotated[
        int, typer.Option(metavar="GQ", help="The quality from now on, higher than it was: 20 or 30.", show_default=False)
    ],
) -> None:
    """Ask for more before a person without a record counts as reference, of everybody whose gVCF was imported; logged.

    JSON: {"dataset", "assayed_by"}.
    """
    context = context_of(ctx)
    from vault.genotypes.catalog import dataset_rules

    with context.open() as vault:
        told = dataset_rules.said(dataset_rules.raise_quality(vault, name, min_gq))
    context.output.document({"dataset": name, "assayed_by": told})
    context.output.line(f"{name}: assayed from {told} on")


for command in (
    dataset_corrections.parts,
    dataset_corrections.verify,
    dataset_corrections.recount,
    dataset_corrections.check,
    dataset_corrections.compact,
    dataset_corrections.upgrade,
    dataset_corrections.remove,
):
    app.command()(command)

app.command("move-sample")(dataset_corrections.move_sample)
