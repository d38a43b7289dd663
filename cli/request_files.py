"""Commands about request files: written and checked without a vault, imported by a steward, answered with a signature."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import counts
from cli.context import Context, context_of
from cli.inputs import pinned_keys
from policies.disclosure.nats import number
from policies.errors import PolicyInputError
from vault.errors import UsageError

if TYPE_CHECKING:
    from vault.access.request_records import Request

File = Annotated[Path, typer.Argument(metavar="FILE", help="A request file, YAML or JSON.", show_default=False)]
Id = Annotated[str, typer.Argument(metavar="ID", help="The request's id.", show_default=False)]


def template(
    ctx: typer.Context,
    project: Annotated[str, typer.Option(metavar="P", help="The project that asks.")] = "demo",
    dataset: Annotated[str, typer.Option(metavar="N", help="The dataset it asks of.")] = "cohort",
) -> None:
    """Print a commented request file that lints. Needs no vault.

    JSON: {"template": text}.
    """
    context = context_of(ctx)
    from policies.request_files import request_template

    text = request_template(project, dataset)
    context.output.document({"template": text})
    context.output.data(text)


def lint(ctx: typer.Context, file: File) -> None:
    """Check a request file and name everything that is wrong with it. Needs no vault.

    JSON: {"project", "dataset", "sha256"}.
    """
    context = context_of(ctx)
    from policies import request_files
    from vault.files.yaml_documents import read_yaml

    document = read_yaml(file)
    problems = request_files.lint(document)
    if problems:
        raise PolicyInputError.from_problems(list(problems))
    asked = request_files.parse_request(document)
    context.output.document({"project": asked.project, "dataset": asked.dataset, "sha256": asked.digest()})
    context.output.line(f"{file.name}: nothing is wrong with it")


def import_(
    ctx: typer.Context,
    file: File,
    for_: Annotated[
        str | None, typer.Option("--for", metavar="PERSON", help="Whom it is for, where the file does not say.")
    ] = None,
) -> None:
    """Submit what a request file asks for. Nobody signs the file: that its writer asked is the word of who imports it.

    JSON: as of show.
    """
    context = context_of(ctx)
    from vault.access import request_files
    from vault.files.yaml_documents import read_yaml

    document = read_yaml(file)
    with context.open() as vault:
        request = request_files.take_in(vault, document, person=for_)
    tell_asked(context, request)
    counts.tell_price(context, request)


def answer(
    ctx: typer.Context,
    request_id: Id,
    output: Annotated[Path, typer.Option(metavar="FILE", help="A file that does not exist yet.", show_default=False)],
) -> None:
    """Write the signed answer to a request, for whoever asked: its state, who decided, what was granted and what is owed.

    JSON: {"request", "state", "output"}.
    """
    context = context_of(ctx)
    from vault.access import request_files, requests

    with context.output.reserving(output) as write, context.open() as vault:
        signed = request_files.answer(vault, request_id)
        state = requests.load(vault, request_id).state
        write(signed.decode())
    context.output.document({"request": request_id, "state": state, "output": str(output)})
    context.output.line(f"{output}: request {request_id} is {state}")


def verify_answer(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An answer to a request.", show_default=False)],
    key: Annotated[
        str,
        typer.Option(
            metavar="VKEY", help="The vault's public keys, or a file of them: genovault release key.", show_default=False
        ),
    ],
) -> None:
    """Check the signature of an answer with the vault's public keys, and print what it says. Needs no vault.

    JSON: {"answer": {…}}.
    """
    context = context_of(ctx)
    from vault.access.request_files import ANSWER
    from vault.extracts.signed_file import MAX_SIGNED_FILE_BYTES
    from vault.files.given_files import read_given

    _, release_keys = pinned_keys(key)
    if not release_keys:
        raise UsageError("release_key_missing", "--key names no release key", hint="genovault release key prints it")
    said = ANSWER.verify(read_given(file, limit=MAX_SIGNED_FILE_BYTES, name=file.name), release_keys)
    context.output.document({"answer": said})
    by = f" by {said['decided_by']}" if said["decided_by"] else ""
    context.output.line(f"request {said['request']} of project {said['project']} is {said['state']}{by}; its signature holds")
    for duty in said["obligations"]:
        context.output.line(f"  {duty['code']}: {duty['text']}")


def tell_asked(context: Context, request: Request) -> None:
    """Say that a request was submitted, and whether it waits."""
    context.output.document(described(request))
    context.output.line(f"request {request.request_id}: {request.kind.value} of {request.dataset} for {request.project}")
    if request.approved_by is None:
        context.output.line(f"it waits for a steward: genovault request approve {request.request_id}")


def described(request: Request) -> dict[str, object]:
    """A request for programs."""
    return {
        "request": request.request_id,
        "project": request.project,
        "dataset": request.dataset,
        "kind": request.kind.value,
        "regions": list(request.spec.regions),
        "genes": list(request.spec.genes),
        "panel": request.spec.panel,
        "panel_version": request.spec.panel_version,
        "for": request.spec.submitted_for,
        "state": request.state,
        "submitted_by": request.submitted_by,
        "created": request.created,
        "approval": "standing" if request.standing else "each",
        "approved_by": request.approved_by,
        "expires": request.expires,
        "fields": list(request.spec.fields),
        "reason": request.spec.reason,
        "file_sha256": request.spec.file_sha256,
        "alleles": list(request.spec.alleles),
        "price": None if request.spec.price is None else request.spec.price.as_dict(),
        "nats": number(request.spec.nats) if request.spec.nats else None,
    }
