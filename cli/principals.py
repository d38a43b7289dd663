"""Commands about who acts."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cli.context import context_of
from cli.inputs import read_file
from cli.lazy import group
from cli.prompts import NEW_PASSPHRASE_VARIABLE, ask_passphrase
from policies.token_scopes import TokenScope
from vault.errors import UsageError

if TYPE_CHECKING:
    from vault.access.access_tokens import AccessToken
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

    if role == "researcher" and (new_key_file is not None or new_passphrase_file is not None):
        raise UsageError("no_slot", "a researcher gets no slot, so there is nothing that a key file or a passphrase opens")
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


@app.command()
def token(
    ctx: typer.Context,
    name: Name,
    project: Annotated[str, typer.Option(metavar="P", help="The one project that it is for.", show_default=False)],
    scope: Annotated[
        list[TokenScope],
        typer.Option(help="What it is good for; several may be given.", show_default=False),
    ],
    expires: Annotated[int, typer.Option(metavar="DAYS", min=1, max=90, help="Days that it is good for.")] = 90,
    client_cert: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Good only beside this client certificate, PEM (serve --client-ca).")
    ] = None,
    from_: Annotated[
        list[str] | None, typer.Option("--from", metavar="CIDR", help="Good only from this network; repeatable.")
    ] = None,
) -> None:
    """Make an access token for an engine or researcher, who shows it to the server. It is printed once, and kept nowhere.

    read: own projects, panels and requests; engine: genotypes of panels, counts, matching; stream: htsget; request: to ask for
    records; extract, download: to have them made, and fetch them. A token that is bound is refused from elsewhere, with an entry.

    JSON: {"token", "accessor", "principal", "project", "scopes": [...], "created", "expires", "state", "issued_by", "bound": bool,
    "certificate": its SHA-256 or "", "networks": [...]}.
    """
    context = context_of(ctx)
    from datetime import timedelta

    from vault.access import access_tokens, token_bindings

    shown = None if client_cert is None else read_file(client_cert, limit=token_bindings.MAX_CERTIFICATE_BYTES)
    binding = token_bindings.TokenBinding(
        "" if shown is None else token_bindings.fingerprint(shown), tuple(token_bindings.networks(from_ or ()))
    )
    with context.open() as vault:
        until = vault.clock() + timedelta(days=expires)
        text, made = access_tokens.issue(vault, name, project=project, scopes=scope, expires=until, binding=binding)
    said = text.reveal().decode()
    context.output.document({"token": said, **asdict(made)})
    context.output.line(said)
    context.output.warn(f"good until {made.expires[:10]}; end it with: genovault principal revoke {made.accessor}")


@app.command()
def tokens(ctx: typer.Context) -> None:
    """Every access token, without its secret.

    To what a token is bound is sealed: auditors see that it is.

    JSON: {"tokens": [{"accessor", "principal", "project", "scopes": [...], "created", "expires", "state": "active"|"expired"|"revoked",
    "issued_by", "bound": bool, "certificate", "networks": [...]}]}.
    """
    context = context_of(ctx)
    from vault.access import access_tokens

    with context.open() as vault:
        found = access_tokens.list_all(vault)
    context.output.document({"tokens": [asdict(one) for one in found]})
    rows = [
        (one.accessor, one.principal, one.project, " ".join(one.scopes), one.expires[:10], one.state, _bound_to(one))
        for one in found
    ]
    context.output.table(("accessor", "principal", "project", "scopes", "until", "state", "bound to"), rows)


@app.command()
def revoke(
    ctx: typer.Context,
    accessor: Annotated[str, typer.Argument(metavar="ACCESSOR", help='As "principal tokens" lists it.', show_default=False)],
) -> None:
    """End an access token at once: the next request that shows it is refused.

    JSON: as of tokens.
    """
    context = context_of(ctx)
    from vault.access import access_tokens

    with context.open() as vault:
        ended = access_tokens.revoke(vault, accessor)
    context.output.document(asdict(ended))
    context.output.line(f"token {ended.accessor} of {ended.principal} is revoked")


def _bound_to(token: AccessToken) -> str:
    """Binding of a token in few words: the first digits of the certificate's SHA-256, and networks."""
    said = [f"certificate {token.certificate[:16]}"] if token.certificate else []
    return ", ".join([*said, *token.networks]) or ("sealed" if token.bound else "")


Issuer = Annotated[str, typer.Option(metavar="URL", help="The provider, as its tokens name it (iss).", show_default=False)]
OutsideSubject = Annotated[
    str,
    typer.Option(metavar="S", help="Who it is there, as its tokens say (sub): no name and no mail address.", show_default=False),
]


@app.command()
def identity(ctx: typer.Context, name: Name, issuer: Issuer, subject: OutsideSubject) -> None:
    """Say which identity with an OpenID provider a researcher is, who then logs in to the server by it.

    JSON: {"principal", "issuer", "subject", "created", "named_by"}.
    """
    context = context_of(ctx)
    from vault.access import outside_identities

    with context.open() as vault:
        made = outside_identities.name(vault, name, issuer, subject)
    context.output.document(asdict(made))
    context.output.line(f"{made.subject} of {made.issuer} is {made.principal}")


@app.command("forget-identity")
def forget_identity(ctx: typer.Context, issuer: Issuer, subject: OutsideSubject) -> None:
    """End an identity at once: whoever logged in by it sees no further page.

    JSON: as of identity.
    """
    context = context_of(ctx)
    from vault.access import outside_identities

    with context.open() as vault:
        ended = outside_identities.forget(vault, issuer, subject)
    context.output.document(asdict(ended))
    context.output.line(f"{ended.subject} of {ended.issuer} is {ended.principal} no more")


@app.command()
def identities(ctx: typer.Context) -> None:
    """Every identity with an OpenID provider.

    JSON: {"identities": [as of identity]}.
    """
    context = context_of(ctx)
    from vault.access import outside_identities

    with context.open() as vault:
        found = outside_identities.list_all(vault)
    context.output.document({"identities": [asdict(one) for one in found]})
    context.output.table(("principal", "issuer", "subject"), [(one.principal, one.issuer, one.subject) for one in found])


def new_factor(vault: UnlockedVault, key_file: Path | None, passphrase_file: Path | None) -> Opener:
    """Key file or passphrase of a new slot; never the passphrase of the principal who adds it.

    Raises:
        UsageError: ``factor_twice``: both a key file and a passphrase file are given.
        InputError, UnavailableError: as ``ask_passphrase`` and ``principals.key_file``.
    """
    from vault.session import principals
    from vault.session.unlocked_vault import factor

    if key_file is not None and passphrase_file is not None:
        raise UsageError("factor_twice", "give --new-key-file or --new-passphrase-file, not both")
    if key_file is not None:
        return principals.key_file(key_file, random=vault.random)
    return factor(passphrase=ask_passphrase(passphrase_file, new=True, variable=NEW_PASSPHRASE_VARIABLE))
