"""Commands about who acts."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cli.context import context_of
from cli.lazy import group
from cli.prompts import NEW_PASSPHRASE_VARIABLE, ask_passphrase

if TYPE_CHECKING:
    from vault.session.unlocked_vault import Opener, UnlockedVault

app = group("Who acts, and in which role.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="1 to 64 letters, digits or . _ @ + -", show_default=False)]
NewKeyFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="The new slot opens with this key file; made if it is not there.")
]
NewPassphraseFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Take the new slot's passphrase from the first line of FILE.")
]
Administers = Annotated[bool, typer.Option("--administers", help="The slot may change slots and keys too; stewards only.")]
Profile = Annotated[
    Literal["default", "high-memory", "calibrated", "test-only"],
    typer.Option(help="What a guess of the passphrase costs; calibrated: about a second on this machine."),
]


@app.command()
def add(
    ctx: typer.Context,
    name: Name,
    role: Annotated[
        Literal["steward", "auditor", "engine", "custodian", "researcher", "service"],
        typer.Option(help="What the principal may do."),
    ],
    new_key_file: NewKeyFile = None,
    new_passphrase_file: NewPassphraseFile = None,
    administers: Administers = False,
    argon2_profile: Profile = "default",
) -> None:
    """Add somebody who acts, with an unlock slot that holds exactly the keys of the role.

    Auditors verify and read the log, and open no identity, consent wording or genotype. Engines open genotypes under their
    projects' pseudonyms, and nobody's name. Custodians open names, and no genotype. A service is a server: it opens
    what engines do, signs what it gives, and acts for people by their tokens. Researchers hold no keys and get no slot.
    The new passphrase comes from --new-passphrase-file, GENOVAULT_NEW_PASSPHRASE or the terminal.

    JSON: {"name", "role", "state", "created", "slots": n}.
    """
    context = context_of(ctx)
    from time import perf_counter

    from vault.session import principals

    with context.open() as vault:
        factor = None if role == "researcher" else new_factor(vault, new_key_file, new_passphrase_file)
        profile = principals.profile_named(argon2_profile, timer=perf_counter)
        made = principals.add(vault, name, principals.role_named(role), factor, administers=administers, profile=profile)
    context.output.document(asdict(made))
    context.output.line(f"added {made.name}, {made.role}")


@app.command("list")
def list_(ctx: typer.Context) -> None:
    """Everybody who acts or acted.

    JSON: {"principals": [{"name", "role", "state", "created", "slots": n}]}.
    """
    context = context_of(ctx)
    from vault.session import principals

    with context.open() as vault:
        found = principals.list_all(vault)
    context.output.document({"principals": [asdict(one) for one in found]})
    rows = [(one.name, one.role, one.state, one.slots, one.created[:10]) for one in found]
    context.output.table(("name", "role", "state", "slots", "since"), rows)


@app.command()
def disable(ctx: typer.Context, name: Name) -> None:
    """Take somebody's slots away. What they copied before they still have: see "key rotate --root".

    JSON: {"disabled": NAME}.
    """
    context = context_of(ctx)
    from vault.session import principals

    with context.open() as vault:
        principals.disable(vault, name)
    context.output.document({"disabled": name})
    context.output.line(f"{name} is disabled")


def new_factor(vault: UnlockedVault, key_file: Path | None, passphrase_file: Path | None) -> Opener:
    """Key file or passphrase of a new slot; never the passphrase of the principal who adds it.

    Raises:
        UsageError: ``factor_twice``: both a key file and a passphrase file are given.
        InputError, UnavailableError: as ``ask_passphrase`` and ``principals.key_file``.
    """
    from vault.errors import UsageError
    from vault.session import principals
    from vault.session.unlocked_vault import factor

    if key_file is not None and passphrase_file is not None:
        raise UsageError("factor_twice", "give --new-key-file or --new-passphrase-file, not both")
    if key_file is not None:
        return principals.key_file(key_file, random=vault.random)
    return factor(passphrase=ask_passphrase(passphrase_file, new=True, variable=NEW_PASSPHRASE_VARIABLE))
