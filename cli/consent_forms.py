"""Commands about consent forms and the public data that decisions use."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cli.context import Context, context_of
from cli.inputs import read_text

if TYPE_CHECKING:
    from policies.forms import Form

AcceptForm = Annotated[
    Literal["policy_unasked"] | None,
    typer.Option("--accept", help="It grants a policy that no project asks for, and that is meant."),
]
FormFile = Annotated[Path, typer.Argument(metavar="FORM.yaml", help="The form.", show_default=False)]


def forms(
    ctx: typer.Context,
    every: Annotated[bool, typer.Option("--all", help="Also the forms that this vault keeps.")] = False,
) -> None:
    """The consent forms that come with genovault, and their questions. Needs no vault.

    JSON: {"forms": [{"form", "version", "title", "language", "sha256", "questions": [{"id", "kind", "required", "wording",
    "options"}]}]}.
    """
    context = context_of(ctx)
    from vault.consent import forms

    if every:
        with context.open() as vault:
            known = forms.list_all(vault)
    else:
        known = [form for form, _ in forms.shipped()]
    context.output.document({"forms": [_described(form) for form in known]})
    rows = [(f"{form.id}@{form.version}", form.title, ", ".join(q.id for q in form.questions)) for form in known]
    context.output.table(("form", "title", "questions"), rows)


def lint(ctx: typer.Context, file: FormFile, accept: AcceptForm = None) -> None:
    """Check a form of your own and name everything that is wrong with it. Needs no vault.

    JSON: {"form", "version", "sha256", "wording_sha256"}.
    """
    context = context_of(ctx)
    from vault.consent.forms import parse
    from vault.limits import MAX_YAML_BYTES

    form = parse(read_text(file, limit=MAX_YAML_BYTES), accept=accept)
    _show(context, form, "nothing is wrong with it")


def add(ctx: typer.Context, file: FormFile, accept: AcceptForm = None) -> None:
    """Keep a form of your own, so that it can be answered. Other words are another version.

    JSON: as of lint.
    """
    context = context_of(ctx)
    from vault.consent import forms
    from vault.limits import MAX_YAML_BYTES

    text = read_text(file, limit=MAX_YAML_BYTES)
    with context.open() as vault:
        form = forms.add(vault, text, accept=accept)
    _show(context, form, "kept")


def load(
    ctx: typer.Context,
    kind: Annotated[
        Literal["ontology", "loci", "tags", "majority", "profile"], typer.Argument(help="What it is.", show_default=False)
    ],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The data.", show_default=False)],
    release: Annotated[str, typer.Option(metavar="V", help="Its version, for example mondo-2026-10.", show_default=False)],
) -> None:
    """Load a disease ontology, places on the genome, tagged sites, ages of majority, or a disclosure profile; the newest of a kind counts.

    Of profiles each counts, by its name and version, which --release states: NAME@VERSION.

    An ontology is child-parent pairs (.tsv, .tsv.gz), OBO Graph JSON (.json) or, with pronto installed, OBO or OWL.

    JSON: {"kind", "version", "sha256"}.
    """
    context = context_of(ctx)
    from vault.access import reference_data
    from vault.consent import ontology_files

    text = ontology_files.pairs_of(file) if kind == reference_data.ONTOLOGY else read_text(file, limit=reference_data.MAX_BYTES)
    with context.open() as vault:
        pack = reference_data.load(vault, kind, text, version=release)
    context.output.document(asdict(pack))
    context.output.line(f"{kind} {release} loaded")


def packs(ctx: typer.Context) -> None:
    """The ontologies, places, tags, ages of majority and profiles that were loaded, newest first; the newest counts, of profiles each.

    JSON: {"packs": [{"kind", "version", "sha256"}]}.
    """
    context = context_of(ctx)
    from vault.access import reference_data

    with context.open() as vault:
        found = reference_data.loaded(vault)
    context.output.document({"packs": [asdict(pack) for pack in found]})
    context.output.table(("kind", "version", "sha256"), [(pack.kind, pack.version, pack.sha256) for pack in found])


def unload(
    ctx: typer.Context,
    kind: Annotated[
        Literal["ontology", "loci", "tags", "majority", "profile", "form"], typer.Argument(help="What it is.", show_default=False)
    ],
    release: Annotated[
        str, typer.Argument(metavar="V", help="Its version; of a form or profile NAME@VERSION.", show_default=False)
    ],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; only auditors read it.", show_default=False)],
) -> None:
    """Take policy data out that was loaded by mistake; the one before it counts again. A form that was answered stays.

    JSON: {"kind", "version", "sha256"}.
    """
    context = context_of(ctx)
    from vault.access import reference_data
    from vault.consent import forms

    with context.open() as vault:
        if kind == "form":
            form = forms.take_out(vault, release, reason=reason)
            pack = reference_data.Pack(kind, release, form.digest)
        else:
            pack = reference_data.unload(vault, kind, release, reason=reason)
    context.output.document(asdict(pack))
    context.output.line(f"{kind} {release} is taken out; what was there before it counts again")


def _show(context: Context, form: Form, said: str) -> None:
    shown = {"form": form.id, "version": form.version, "sha256": form.digest, "wording_sha256": form.wording_sha256}
    context.output.document(shown)
    context.output.line(f"{form.id}@{form.version}: {said}")


def _described(form: Form) -> dict[str, object]:
    return {
        "form": form.id,
        "version": form.version,
        "title": form.title,
        "language": form.language,
        "sha256": form.digest,
        "questions": [
            {
                "id": question.id,
                "kind": question.kind,
                "required": question.required,
                "wording": question.wording.strip(),
                "options": [option.id for option in question.options],
            }
            for question in form.questions
        ],
    }
