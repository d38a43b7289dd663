"""The command that serves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.context import context_of
from cli.lazy import group

app = group("Serve engines and programs over the network.")

_RENEWED = "the certificate is renewed"
_NOT_RENEWED = "the certificate is not renewed: it or its key cannot be read as PEM, and the one of before stays"


@app.command()
def serve(
    ctx: typer.Context,
    listen: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where to listen.")] = "127.0.0.1:8420",
    unix: Annotated[Path | None, typer.Option(metavar="PATH", help="Listen on a Unix socket instead.")] = None,
    tls_cert: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Certificate chain, PEM; needed beyond this machine.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="Its private key, PEM.")] = None,
    client_ca: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Clients show a certificate of this CA, PEM, beside their tokens.")
    ] = None,
    rate: Annotated[int, typer.Option(min=1, metavar="N", help="Requests a second of one token.")] = 1_000,
    spool: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where extracts lie until they are fetched; else in the vault's folder.")
    ] = None,
    allow_origin: Annotated[
        list[str] | None, typer.Option(metavar="URL", help="Web pages of this origin may ask for streams (igv.js); repeatable.")
    ] = None,
    public_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Where clients reach this server, for the addresses in tickets, if a proxy is before it."
        ),
    ] = None,
    trusted_proxy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CIDR|unix",
            help="Take a client's address from X-Forwarded-For or Forwarded of this proxy; unix: of whoever comes over the socket; repeatable.",
        ),
    ] = None,
    oidc: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="OpenID provider by which researchers log in, YAML (docs/over-the-wire.md)."),
    ] = None,
    start_sealed: Annotated[
        bool, typer.Option("--sealed", help="Begin without keys; POST /v1/sys/unseal brings them, over TLS or the socket.")
    ] = False,
) -> None:
    """Serve the vault's engines and researchers, by their access tokens, until the process is told to end.

    The server unlocks a slot of the role service (genovault principal add NAME --role service): --as NAME with --key-file, or a passphrase.

    JSON: {"served": bool}.
    """
    context = context_of(ctx)
    from cli.errors import tell_unseen
    from vault.server.htsget.origins import parse as origin
    from vault.server.listening import Listening, parse
    from vault.server.listening import serve as listen_on
    from vault.server.proxies import parse as proxies
    from vault.server.seal import Seal
    from vault.session.settings import read_settings

    folder = context.vault_folder()
    read_settings(folder)
    host, port = parse(listen)
    where = Listening(
        host=host,
        port=port,
        unix=unix,
        tls_cert=tls_cert,
        tls_key=tls_key,
        client_ca=client_ca,
        rate=rate,
        origins=tuple(map(origin, allow_origin or ())),
        address=None if public_url is None else origin(public_url),
        proxies=proxies(trusted_proxy or ()),
    )
    where.require_private()
    provider = None
    if oidc is not None:
        from vault.server.oidc.oidc_login import OidcLogin
        from vault.server.oidc.settings import read

        provider = OidcLogin(read(oidc))
    seal = Seal(folder, context.principal)
    context.mention_compiling()
    if not start_sealed:
        seal.unseal(context.factor())
    served = f"serving on {unix or listen}{', sealed' if start_sealed else ''}"
    listen_on(
        seal,
        where,
        spool=spool,
        oidc=provider,
        tell=tell_unseen,
        begun=lambda: context.output.warn(served),
        renewed=lambda done: context.output.warn(_RENEWED if done else _NOT_RENEWED),
    )
    context.output.document({"served": True})
