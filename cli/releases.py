"""Commands about views that left the vault."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli import notices, reissues
from cli.context import context_of
from cli.inputs import pinned_keys
from cli.lazy import group
from cli.output import counted
from cli.prompts import KEY_PASSPHRASE_VARIABLE, ask_passphrase
from cli.release_documents import described
from vault.audit.actions import Action
from vault.errors import InputError, UsageError

app = group("Views that left the vault.")

for command in (notices.holdings, notices.notices, notices.notice, notices.ack):
    app.command()(command)
app.command("check-notice")(notices.check_notice)
app.command()(reissues.reissue)


@app.command("list")
def list_(ctx: typer.Context) -> None:
    """All releases, newest first.

    JSON: {"releases": [{"release", "request", "project", "state", "subjects": n, "sites": n, "created", "output", "sealed_for": [names],
    "entry": n}]}.
    """
    context = context_of(ctx)
    from vault.access import releases

    with context.reading(Action.RELEASE_SHOW) as vault:
        found = releases.list_all(vault)
    context.output.document({"releases": [described(release) for release in found]})
    rows = [
        (r.release_id, r.request_id, r.project, r.state, f"{r.n_subjects:,}", f"{r.n_sites:,}", r.created[:19]) for r in found
    ]
    context.output.table(("release", "request", "project", "state", "people", "sites", "created"), rows)


@app.command()
def show(
    ctx: typer.Context,
    release_id: Annotated[str, typer.Argument(metavar="ID", help="The release's id.", show_default=False)],
) -> None:
    """One release: what was asked, how much left, under which duties.

    "bits" say how well its genotypes tell people apart: two unrelated people share all of them with a chance of 2 to the minus "mean",
    were the sites independent, and "largest" is how surprising the most exposed person's are; "cumulative" is the mean over all sites that had left to its organisation by then.
    Releases of before have none.

    JSON: as of list, with {"asked": {…}, "obligations": {…}, "bits": {"mean", "largest", "cumulative"}}.
    """
    context = context_of(ctx)
    from vault.access import releases

    with context.reading(Action.RELEASE_SHOW) as vault:
        release = releases.load(vault, release_id)
    facts = described(release)
    asked, duties, bits = dict(release.content.asked), dict(release.content.obligations), dict(release.content.bits)
    context.output.document({**facts, "asked": asked, "obligations": duties, "bits": bits})
    for name, value in {**facts, **asked, **duties, **{f"{name} bits": value for name, value in bits.items()}}.items():
        if value not in (None, "", False):
            context.output.line(f"{name:12} {_shown(value)}")


def _shown(value: object) -> object:
    """A field's value for people: of a mapping each name with what it names."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {one}" for name, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return "yes" if value is True else value


@app.command()
def verify(
    ctx: typer.Context,
    manifest: Annotated[
        Path, typer.Argument(metavar="MANIFEST", help="The manifest.json of a release, or its folder.", show_default=False)
    ],
    key: Annotated[
        str | None,
        typer.Option(metavar="KEYS", help='What "release key" printed, or a file that holds it; then no vault is needed.'),
    ] = None,
    release_key: Annotated[
        str | None,
        typer.Option(metavar="FINGERPRINT", help="Fingerprint of the release key, where KEYS holds the log's key alone."),
    ] = None,
    sk: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A recipient's private Crypt4GH key: sealed files are opened, and what they hold is checked. A locked one wants "
            f"its passphrase, from the terminal or {KEY_PASSPHRASE_VARIABLE}.",
        ),
    ] = None,
) -> None:
    """Check a release's folder: receipt, log entry, signature, every file; with a private key also what sealed files hold.

    The manifest has to be signed by a release key of the vault, and the log's entry to say that this very release was made. Without the
    vault, both keys come from its stewards, by another way than the folder.

    JSON: {"release", "project", "subjects": n, "sites": n, "files": [...], "entry": n, "log_size": n, "log_key", "release_key", "others": [names],
    "opened": [names of sealed files]}.
    """
    context = context_of(ctx)
    from vault.extracts.manifest import MANIFEST_NAME
    from vault.extracts.verification import key_fingerprint, private_key, verify_release

    log_keys, release_keys = ([], []) if key is None else pinned_keys(key)
    if release_key is not None:
        release_keys.append(release_key.lower().replace(":", ""))
    if key is not None and not release_keys:
        hint = 'ask the vault\'s stewards for what "genovault release key" prints, or give --release-key FINGERPRINT'
        raise UsageError("release_key_missing", "the log's key alone does not say who signed a release", hint=hint)
    if manifest.is_dir():
        manifest /= MANIFEST_NAME
    if manifest.name != MANIFEST_NAME:
        raise InputError(
            "not_a_manifest", f"{manifest.name} is not a release's {MANIFEST_NAME}", hint="name the file in its folder"
        )
    reader = None if sk is None else private_key(sk, passphrase=lambda: ask_passphrase(None, variable=KEY_PASSPHRASE_VARIABLE))
    if key is not None:
        found = verify_release(manifest.parent, log_keys=log_keys, release_keys=release_keys, reader=reader)
    else:
        with context.reading(Action.RELEASE_VERIFY) as vault:
            known = release_keys or [key_fingerprint(public) for public in vault.release_keys().values()]
            found = verify_release(manifest.parent, log_keys=vault.trail.log_keys(), release_keys=known, reader=reader)
    facts = found.manifest
    own = {MANIFEST_NAME, f"{MANIFEST_NAME}.tlog-proof", *(entry.name for entry in facts.files)}
    strange = sorted(path.name for path in manifest.parent.iterdir() if path.name not in own)
    context.output.document(
        {
            "release": facts.release,
            "project": facts.project,
            "subjects": facts.counts.subjects,
            "sites": facts.counts.sites,
            "files": [entry.name for entry in facts.files],
            "entry": found.index,
            "log_size": found.log_size,
            "log_key": found.log_key.to_text(),
            "release_key": found.release_key,
            "others": strange,
            "opened": list(found.opened),
        }
    )
    n_files = len(facts.files)
    whole = f"{counted(n_files, 'file')} {'is as it was' if n_files == 1 else 'are as they were'} released"
    context.output.line(f"release {facts.release} of project {facts.project}: {whole}")
    context.output.line(f"it is entry {found.index} of the log, and its signature holds")
    if found.opened:
        opened = counted(len(found.opened), "sealed file")
        both = "opens with this key and holds" if len(found.opened) == 1 else "open with this key and hold"
        context.output.line(f"{opened} {both} what was released")
    for name in strange:
        context.output.warn(f"{name} is in the folder and is no file of this release")


@app.command()
def key(ctx: typer.Context) -> None:
    """Print the public keys that a release is checked with. Give them to recipients by another way than the release.

    JSON: {"log": [vkey, ...], "release": [{"key": vkey, "fingerprint"}, ...], "sealing": armour}, the newest first. "sealing": the public
    Crypt4GH key that sealed files now come from.
    """
    context = context_of(ctx)
    from vault.access import delivery
    from vault.audit.note import ED25519, VerifierKey
    from vault.extracts.verification import key_fingerprint

    with context.reading(Action.RELEASE_SHOW) as vault:
        log = [own.to_text() for own in vault.trail.log_keys()]
        name = f"{vault.trail.origin}/release"
        keys = [
            (VerifierKey(name, ED25519, public).to_text(), key_fingerprint(public)) for public in vault.release_keys().values()
        ]
        sealing = delivery.sealing_key_armour(vault)
    release_keys = [{"key": text, "fingerprint": mark} for text, mark in keys]
    context.output.document({"log": log, "release": release_keys, "sealing": sealing})
    for text, mark in keys:
        context.output.line(f"# fingerprint {mark}")
        context.output.line(text)
    for text in log:
        context.output.line(text)
    context.output.line("# sealed files come from this Crypt4GH key, which is no signature:")
    for line in sealing.splitlines():
        context.output.line(f"# {line}")
