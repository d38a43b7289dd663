"""Commands that find people and list them as stewards know them, and the sheet to register them with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.context import context_of

if TYPE_CHECKING:
    from vault.consent.people import KnownPerson

_COLUMNS_YAML = """\
# COLUMNS.yaml: what your sheet calls its columns, once (--map COLUMNS.yaml of subject import and consent import).
# A line for each column: its name there, and what it is called here. Lines that begin with # say what may stand in it.

Probe: sample_id            # required; several with ;
Fallnummer: mrn
Name: name
Geburtsdatum: birth_date    # 1980-01-31 or 31.01.1980; of a date with a time of day, the day
Geschlecht: {column: sex, values: {"1": female, "2": male, "9": unknown}}  # what a code of the sheet means
Land: country               # ISO 3166-1, DE
# Diagnosen: diagnoses      # MONDO ids with ;
# Familie: pedigree
Station: null               # passed over
# "*": null                 # passes over every column that is not named here: for exports of REDCap and LimeSurvey
"""


def template(
    ctx: typer.Context,
    columns: Annotated[
        bool, typer.Option("--columns", help="A commented COLUMNS.yaml instead, for sheets that call them otherwise.")
    ] = False,
) -> None:
    """Print the header of a SHEET.csv for subject import. Needs no vault.

    JSON: {"template": text}.
    """
    context = context_of(ctx)
    from datetime import date

    from vault.subjects.subject_sheet import column_names

    text = _COLUMNS_YAML if columns else ",".join(column_names(date.max)) + "\n"
    context.output.document({"template": text})
    context.output.data(text)


def find(
    ctx: typer.Context,
    text: Annotated[
        str,
        typer.Argument(
            metavar="TEXT",
            help="Words of the name, a birth date, or how an MRN, sample or handle begins (all of it where it is one character).",
            show_default=False,
        ),
    ],
) -> None:
    """Find people by what somebody remembers of them. The log says who was found, never what was looked for.

    JSON: {"subjects": [{"handle", "mrn", "samples": [...], "status", "state", "created", "name", "birth_date"}]}.
    """
    context = context_of(ctx)
    from vault.consent import people

    with context.open() as vault:
        found = people.find(vault, text)
    shown = [{**_described(one), "name": one.identity.name, "birth_date": one.identity.birth_date} for one in found]
    context.output.document({"subjects": shown})
    if not found:
        context.output.line("nobody: try another word of the name, the birth date as 1980-01-31, or the beginning of the MRN")
        return
    rows = [(one.identity.name, one.identity.birth_date, *_row(one)) for one in found]
    context.output.table(("name", "born", "MRN", "samples", "status", "since", "handle"), rows)


def list_(ctx: typer.Context) -> None:
    """Everybody by MRN and samples, and what their consent makes of them; no name, no birth date.

    Status: active, not asked, nothing allowed, withdrawn, restricted, died; erased and merged registrations are there by handle alone.

    JSON: {"subjects": [{"handle", "mrn", "samples": [...], "status", "state", "created"}]}.
    """
    context = context_of(ctx)
    from vault.consent import people

    with context.open() as vault:
        found = people.listed(vault)
    context.output.document({"subjects": [_described(one) for one in found]})
    context.output.table(("MRN", "samples", "status", "since", "handle"), [_row(one) for one in found])


def _described(one: KnownPerson) -> dict[str, object]:
    return {
        "handle": one.handle,
        "mrn": one.identity.mrn,
        "samples": list(one.identity.samples),
        "status": one.status,
        "state": one.state,
        "created": one.created,
    }


def _row(one: KnownPerson) -> tuple[str, str, str, str, str]:
    return one.identity.mrn, ", ".join(one.identity.samples), one.status, one.created, one.handle
