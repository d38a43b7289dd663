"""Commands that look over what was imported and correct it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.context import context_of
from cli.prompts import confirm
from vault.audit.actions import Action
from vault.errors import UsageError

if TYPE_CHECKING:
    from vault.genotypes.catalog.part_list import PartSummary

Name = Annotated[str, typer.Argument(metavar="N", help="The dataset's name.", show_default=False)]
Reason = Annotated[
    str, typer.Option(metavar="TEXT", help="Why; kept in the log, where only auditors read it.", show_default=False)
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def parts(ctx: typer.Context, name: Name) -> None:
    """The parts of a dataset, one for each import, by which remove and move-sample name them.

    An import of one person may be joined with others in a compacted part: it stays listed, with the part that it is in.

    JSON: {"parts": [{"part", "imported", "people": n, "sites": n, "stored_bytes": n, "source", "compacted": bool, "joined": part|null}]};
    source is the SHA-256 of the imported file (of several: of their ascending digests).
    """
    context = context_of(ctx)
    from vault.genotypes.catalog import datasets, part_list

    with context.reading(Action.DATASET_PARTS) as vault:
        found = part_list.list_parts(vault, datasets.by_name(vault, name))
    context.output.document({"parts": [asdict(one) for one in found]})
    context.output.table(
        ("part", "imported", "people", "sites", "bytes", "SHA-256 of the files"),
        [
            (p.part, p.imported, f"{p.people:,}", f"{p.sites:,}", _bytes(p), "compacted" if p.compacted else p.source)
            for p in found
        ],
    )


def _bytes(part: PartSummary) -> str:
    return f"in {part.joined}" if part.joined else f"{part.stored_bytes:,}"


def compact(
    ctx: typer.Context,
    name: Name,
    check: Annotated[bool, typer.Option("--check", help="Only say what would be done.")] = False,
) -> None:
    """Join parts of one person each, and parts made so, into as few as there can be: many small parts make reading slow.

    Every import joins sixteen of a size by itself (--no-compact), so this is for what is left. Views, extracts and panels are what they
    were. Everyone's blocks are opened inside the vault and sealed again under their own keys; the log names who. A killed run leaves
    whole parts, joined or not.

    JSON: {"dataset", "parts_before": n, "parts": n, "groups": n, "joined": n, "people": n, "sealed_bytes": n}; groups: parts made, those
    joined again among them; sealed_bytes: of the joined parts, each time that they were sealed again.
    """
    context = context_of(ctx)
    context.mention_compiling()
    from vault.operations.compaction import process

    with context.output.progress("compacting", unit="parts") as bar, context.open() as vault:
        done = process.compact(vault, name, check=check, progress=bar)
    context.output.document(asdict(done))
    if not done.groups:
        context.output.line(f"{done.dataset}: nothing to join; {done.parts:,} parts")
        return
    would = "would become" if check else "are"
    context.output.line(f"{done.dataset}: {done.parts_before:,} parts {would} {done.parts:,}, with {done.people:,} people")
    context.output.line(f"sealed again: {done.sealed_bytes:,} bytes, in {done.groups:,} steps")


def remove(
    ctx: typer.Context,
    name: Name,
    reason: Reason,
    part: Annotated[
        str | None, typer.Option(metavar="PART", help="This part only, by its id as parts shows it; without: all of it.")
    ] = None,
    accept: Annotated[
        bool, typer.Option("--accept", help="Also where a project in force or a panel then has nothing to show.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Remove a dataset, or one part of it, for good; others' genotypes then read as if it had never come.

    Its people stay registered, with their consents. Keys of its tables are destroyed and its objects deleted, and both are looked for
    again. A killed run goes on at the next open. A dataset that is gone as a whole may be imported again under its name.

    JSON: {"dataset", "parts": [...], "whole": bool, "people": n, "bare": n, "keys": n, "objects": n, "horizon"}; bare: people who have
    no genotypes left; horizon: until then a backup of keys may hold the destroyed ones.
    """
    context = context_of(ctx)
    from vault.operations.corrections import removal

    what = f"dataset {name}" if part is None else f"part {part} of dataset {name}"
    if not confirm(f"Remove {what} for good? Only importing it again brings it back.", yes=yes):
        raise UsageError("not_confirmed", "nothing was changed")
    with context.open() as vault:
        gone = removal.remove(vault, name, part=part, reason=reason, accept=accept)
    context.output.document(asdict(gone))
    context.output.line(f"removed from {gone.dataset}: {len(gone.parts)} parts of {gone.people:,} people")
    context.output.line(f"destroyed and looked for again: {gone.keys:,} keys, {gone.objects:,} objects")
    if gone.bare:
        context.output.line(
            f"{gone.bare:,} people have no genotypes any more and stay registered: subject erase takes a person out"
        )
    if gone.horizon:
        context.output.line(f"backups of the keys hold what was destroyed until {gone.horizon}")


def verify(ctx: typer.Context, name: Name) -> None:
    """Read back every object of a dataset, open every seal and decode every block. Exit code 5 where something is not as it was written.

    JSON: {"dataset", "parts": n, "chunks": n, "objects": n, "blocks": n, "damages": [{"part", "chunk": n|null, "group": n|null,
    "code", "message", "remedy"}]}.
    """
    context = context_of(ctx)
    context.mention_compiling()
    from vault.operations.corrections import verification

    with context.output.progress("verifying", unit="chunks") as bar, context.open() as vault:
        found = verification.verify(vault, name, progress=bar)
    context.output.document(asdict(found))
    context.output.line(
        f"{found.dataset}: {found.parts:,} parts, {found.chunks:,} chunks, {found.objects:,} objects read, {found.blocks:,} blocks decoded"
    )
    if found.damages:
        context.output.table(("where", "code", "what", "mended by"), verification.words(found.damages))
        raise typer.Exit(5)
    context.output.line("everything is as it was written")


def upgrade(
    ctx: typer.Context,
    name: Name,
    check: Annotated[bool, typer.Option("--check", help="Say what would be done; open nothing and change nothing.")] = False,
) -> None:
    """Bring a dataset that an earlier version imported to what this one would have made of it; views of it stay as they are.

    What one person is left in becomes that person's own part, under keys that derive from theirs; the site tables that were under the
    vault's go with their keys. Parts of several people get carrier counts, by which erasing one person opens nobody else's genotypes. doctor
    names the datasets of the first kind. A killed run leaves each part as it was or as it is meant to be.

    JSON: {"dataset", "needed": bool, "own_parts": n, "people": n, "counted": n}; counted: parts of several people.
    """
    context = context_of(ctx)
    context.mention_compiling()
    from vault.operations import dataset_upgrade

    with context.output.progress("upgrading", unit="parts") as bar, context.open() as vault:
        found = dataset_upgrade.check(vault, name) if check else dataset_upgrade.upgrade(vault, name, progress=bar)
    context.output.document({**asdict(found), "needed": found.needed})
    if not found.needed:
        context.output.line(f"{found.dataset}: nothing to do")
        return
    became, were = ("would become", "would be") if check else ("became", "were")
    context.output.line(f"{found.dataset}: {found.own_parts:,} parts of {found.people:,} people {became} these people's own")
    if found.counted:
        context.output.line(f"{found.dataset}: carriers {were} counted in {found.counted:,} parts of several people")


def recount(ctx: typer.Context, name: Name) -> None:
    """Count anew how many people carry each ALT, which erasing one person goes by; opens everybody's blocks inside the vault.

    For data of before, which has no counts (its first erasure counts, too), and where verify finds counts_damaged. Personal parts have
    none. A killed run goes on at the next open.

    JSON: {"dataset", "parts": n, "people": n}.
    """
    context = context_of(ctx)
    context.mention_compiling()
    from vault.operations.corrections import recounting

    with context.open() as vault:
        found = recounting.recount(vault, name)
    context.output.document(asdict(found))
    context.output.line(f"{found.dataset}: counted {found.people:,} people in {found.parts:,} parts")


def check(
    ctx: typer.Context,
    name: Name,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the list here as CSV, of handles; a new file.")] = None,
) -> None:
    """Look for one person registered twice, swapped samples, another sex than the declared one, and people with few calls.

    Compared are all pairs of people at up to 4,096 common SNPs, chosen from the dataset itself.

    JSON: {"dataset", "people": n, "snps": n, "pairs": n, "suspicions": [{"kind": "duplicate"|"swap"|"sex"|"few_calls", "subject", "other",
    "value"}]}; value: kinship, heterozygous share of X over that of autosomes, or share of called SNPs.
    """
    context = context_of(ctx)
    context.mention_compiling()
    from vault.operations.corrections import sample_checks

    with context.output.reserving(csv) as write:
        with context.open() as vault:
            found = sample_checks.check(vault, name)
        write(found.as_csv())
    context.output.document(asdict(found))
    context.output.line(f"{found.dataset}: {found.people:,} people, {found.pairs:,} pairs compared at {found.snps:,} common SNPs")
    context.output.table(
        ("suspicion", "person", "other person", "value"), [(s.kind, s.subject, s.other, s.value) for s in found.suspicions]
    )
    context.output.line(f"{len(found.suspicions):,} to look at" if found.suspicions else "nothing to look at")


def move_sample(
    ctx: typer.Context,
    name: Name,
    old: Annotated[str, typer.Option("--from", metavar="REF", help="Whom the calls are attached to.", show_default=False)],
    new: Annotated[str, typer.Option("--to", metavar="REF", help="Whose they are.", show_default=False)],
    reason: Reason,
    part: Annotated[
        str | None, typer.Option(metavar="PART", help="Of this part only, by its id as parts shows it; without: all.")
    ] = None,
    swap: Annotated[bool, typer.Option("--swap", help="And the other's calls to the first: two samples were exchanged.")] = False,
    yes: Yes = False,
) -> None:
    """Give a person's calls to the person whose they are; with --swap, exchange two people's.

    Refused where somebody would have two calls that differ (calls_differ). Identities, references and consents stay where they are.

    JSON: {"dataset", "parts": [...], "new_parts": [...], "swapped": bool}.
    """
    context = context_of(ctx)
    from vault.operations.corrections import moving

    if not confirm("Give the calls of the one to the other?", yes=yes):
        raise UsageError("not_confirmed", "nothing was changed")
    context.mention_compiling()
    with context.open() as vault:
        done = moving.move(vault, name, old, new, part=part, swap=swap, reason=reason)
    context.output.document(asdict(done))
    what = "exchanged the calls of both" if swap else "moved the calls"
    context.output.line(f"{what} in {len(done.parts)} parts of {done.dataset}; they are in {', '.join(done.new_parts)} now")
    context.output.line("releases of before hold them under the other person's pseudonym: genovault audit disclosures REF")
