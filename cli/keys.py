"""Commands about unlock slots and keys."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from cli.context import context_of
from cli.lazy import group
from cli.principals import Administers, Name, NewKeyFile, NewPassphraseFile, Profile, new_factor
from cli.prompts import confirm

app = group("Unlock slots, key epochs and backups of keys.")

Branches = Annotated[
    list[str] | None,
    typer.Option("--branch", metavar="BRANCH", help="Which keys; default: genotype, identity, pseudonym. Repeatable."),
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@app.command()
def slots(ctx: typer.Context) -> None:
    """Every unlock slot: whose, which role, opened by what.

    JSON: {"slots": [{"slot_id", "principal", "role", "kind", "administers": bool, "cost"}]}.
    """
    context = context_of(ctx)
    from vault.session import principals

    with context.open() as vault:
        found = principals.slots(vault)
    context.output.document({"slots": [asdict(slot) for slot in found]})
    rows = [(s.slot_id[:12], s.principal, s.role, s.kind, "yes" if s.administers else None, s.cost) for s in found]
    context.output.table(("slot", "principal", "role", "opens with", "administers", "a guess costs"), rows)


@app.command()
def add_slot(
    ctx: typer.Context,
    name: Name,
    new_key_file: NewKeyFile = None,
    new_passphrase_file: NewPassphraseFile = None,
    administers: Administers = False,
    argon2_profile: Profile = "default",
) -> None:
    """A further slot for somebody who acts already, proven by opening it before it is written.

    JSON: as one of slots.
    """
    context = context_of(ctx)
    from time import perf_counter

    from vault.session import principals

    with context.open() as vault:
        factor = new_factor(vault, new_key_file, new_passphrase_file)
        profile = principals.profile_named(argon2_profile, timer=perf_counter)
        slot = principals.add_slot(vault, name, factor, administers=administers, profile=profile)
    context.output.document(asdict(slot))
    context.output.line(f"added slot {slot.slot_id[:12]} of {slot.principal}")


@app.command()
def remove_slot(
    ctx: typer.Context,
    slot: Annotated[str, typer.Argument(metavar="SLOT", help="Its id, or the beginning of it.", show_default=False)],
) -> None:
    """Remove a slot; never the last one that administers.

    JSON: {"removed": SLOT}.
    """
    context = context_of(ctx)
    from vault.session import principals

    with context.open() as vault:
        principals.remove_slot(vault, slot)
    context.output.document({"removed": slot})
    context.output.line(f"removed slot {slot}")


@app.command()
def rotate(
    ctx: typer.Context,
    branch: Branches = None,
    root: Annotated[bool, typer.Option("--root", help="New root and branch keys too. Every other slot is dropped.")] = False,
    tokens: Annotated[bool, typer.Option("--tokens", help="New audit tokens for everybody instead.")] = False,
    project: Annotated[str | None, typer.Option(metavar="P", help="A new pseudonym key for this project instead.")] = None,
    yes: Yes = False,
) -> None:
    """Start new epochs and wrap every stored key anew under them; the vault stays in use.

    Goes on at the next open if it is killed. With --root nobody whose slot was removed can open this keystore or a later one;
    add the other slots again afterwards. A new log-sign key is handed over: the old and the new one sign the next head.

    JSON: {"rewrapped": n, "branches": [...], "slots_dropped": [...], "tokens": n, "project_key": version or null}.
    """
    context = context_of(ctx)
    from vault.errors import UsageError
    from vault.operations import key_rotation

    chosen = [key_rotation.branch_named(name) for name in branch or []] or list(key_rotation.BY_DEFAULT)
    if root and not confirm("Every slot but yours will be dropped. Go on?", yes=yes):
        raise UsageError("not_confirmed", "nothing was changed")
    done: dict[str, object] = {"rewrapped": 0, "branches": [], "slots_dropped": [], "tokens": 0, "project_key": None}
    with context.open() as vault, context.output.progress("wrapping", unit="keys") as bar:
        if tokens:
            done["tokens"] = key_rotation.renew_tokens(vault, progress=lambda count: bar(count, None))
        elif project is not None:
            done["project_key"] = key_rotation.renew_project(vault, project)
        else:
            if root:
                done["slots_dropped"] = key_rotation.renew_root(vault, {vault.unlocked.slot.slot_id.hex(): context.factor()})
            done["rewrapped"] = key_rotation.rotate(vault, chosen, progress=lambda count: bar(count, None))
            done["branches"] = [str(name) for name in chosen]
    context.output.document(done)
    for name, value in done.items():
        if value:
            shown = ", ".join(map(str, value)) if isinstance(value, list) else value
            context.output.line(f"{name:13} {shown}")
    if done["slots_dropped"]:
        context.output.line("whoever used a dropped slot, you too, needs a new one: genovault key add-slot")


@app.command()
def epochs(ctx: typer.Context) -> None:
    """Every epoch of every branch, how many keys are under it, and how much it was used.

    JSON: {"epochs": [{"branch", "epoch": n, "current": bool, "keys": n, "wraps": n, "worn": bool}]}.
    """
    context = context_of(ctx)
    from vault.operations import key_rotation

    with context.open() as vault:
        found = key_rotation.epochs(vault)
    context.output.document({"epochs": [asdict(epoch) for epoch in found]})
    rows = [(e.branch, e.epoch, "current" if e.current else None, e.keys, e.wraps, "rotate" if e.worn else None) for e in found]
    context.output.table(("branch", "epoch", "", "keys", "wraps", ""), rows)


@app.command()
def destroy_epoch(
    ctx: typer.Context,
    number: Annotated[int, typer.Argument(metavar="N", min=1, help="Its number.", show_default=False)],
    branch: Branches = None,
    yes: Yes = False,
) -> None:
    """Destroy an old epoch, so that old copies of the key database are unreadable with this keystore.

    Copies of the keystore keep it until they expire: this completes an erasure for backups of the key database alone.

    JSON: {"destroyed": [BRANCH:N]}.
    """
    context = context_of(ctx)
    from vault.errors import UsageError
    from vault.operations import key_rotation

    chosen = [key_rotation.branch_named(name) for name in branch or []] or list(key_rotation.BY_DEFAULT)
    if not confirm(f"Destroy epoch {number} of {', '.join(chosen)} for good?", yes=yes):
        raise UsageError("not_confirmed", "nothing was changed")
    with context.open() as vault:
        for name in chosen:
            key_rotation.destroy_epoch(vault, name, number)
    context.output.document({"destroyed": [f"{name}:{number}" for name in chosen]})
    context.output.line(f"destroyed epoch {number} of {', '.join(chosen)}")


@app.command()
def destroy_tokens(ctx: typer.Context, yes: Yes = False) -> None:
    """Destroy all audit tokens but the newest: entries written under older ones link to nobody any more.

    JSON: {"destroyed": n}.
    """
    context = context_of(ctx)
    from vault.errors import UsageError
    from vault.operations import key_rotation

    if not confirm("Nobody can be found any more in entries older than the last renewal of tokens. Go on?", yes=yes):
        raise UsageError("not_confirmed", "nothing was changed")
    with context.open() as vault:
        gone = key_rotation.destroy_old_tokens(vault)
    context.output.document({"destroyed": gone})
    context.output.line(f"destroyed {gone} tokens")


@app.command()
def backups(ctx: typer.Context) -> None:
    """Backups of the keys that were made: what was erased since can be opened with them until they expire.

    JSON: {"backups": [{"backup", "created", "expires", "destroyed"}]}.
    """
    context = context_of(ctx)
    from vault.operations import key_backups

    found = [backup.as_dict() for backup in key_backups.of_vault(context.vault_folder())]
    context.output.document({"backups": found})
    context.output.table(("backup", "made", "expires", "destroyed"), [tuple(backup.values()) for backup in found])


@app.command()
def backup_destroyed(
    ctx: typer.Context,
    backup: Annotated[str, typer.Argument(metavar="ID", help="As backups lists it.", show_default=False)],
) -> None:
    """Record that a backup of the keys was destroyed. This takes your word for it.

    JSON: {"destroyed": ID}.
    """
    context = context_of(ctx)
    from vault.operations import key_backups

    with context.open() as vault:
        key_backups.destroyed(vault, backup)
    context.output.document({"destroyed": backup})
    context.output.line(f"{backup} is recorded as destroyed")
