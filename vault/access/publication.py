"""Publication of a committed release as a visible folder, and its abort.

A live process holds ``process_lock`` of the release's id, so recovery never touches work in progress.
"""

from __future__ import annotations

from pathlib import Path

from vault.access import leftovers, release_names, releases
from vault.access.releases import RELEASED, STAGING, Release
from vault.access.scope import UNINFORMED_ROLES
from vault.access.told import told
from vault.audit.actions import Action, ActorKind, Outcome, ending
from vault.audit.entry import ObjectRef, decode_leaf
from vault.audit.reports.records import record_of
from vault.errors import IntegrityError, RefusedError, UnavailableError
from vault.extracts.release_folder import RECEIPT_NAME
from vault.extracts.staging import discard_staged, publish_staged, unwritable
from vault.files import durable
from vault.session.unlocked_vault import UnlockedVault


def receive(vault: UnlockedVault, index: int) -> str:
    """Sign the log's head and return the receipt of entry ``index``."""
    vault.trail.checkpoint()
    return vault.trail.log.receipt(index)


def receipt_for(vault: UnlockedVault, index: int) -> str:
    """Receipt of an entry, as the asker may see its leaf: a researcher or an engine of what they did and were told was done. A leaf says why an
    access was refused, and of others when people withdrew.

    Raises:
        RefusedError: ``refused``, whether the entry is another's, a refusal, or none. InputError: as ``AuditReader.receipt``.
    """
    if vault.role not in UNINFORMED_ROLES:
        return vault.trail.log.receipt(index)

    def own() -> str:
        entry = next(iter(vault.trail.log.entries(index, index + 1)), None)
        leaf = decode_leaf(entry.leaf) if entry is not None and entry.leaf else {}
        if leaf.get("actor", {}).get("id") != vault.principal or leaf.get("outcome") != Outcome.DONE.value:
            raise RefusedError("not_authorised", "this entry is not of something that was done for the asker")
        return vault.trail.log.receipt(index)

    return told(vault, own)


def served_receipt(vault: UnlockedVault, project: str, index: int) -> str | None:
    """Receipt of an entry of what a service did for whoever it serves, in this project or in none; None while no signed checkpoint covers it.

    Raises:
        RefusedError: ``refused``, whether the entry is another's, a refusal, of another project, or none.
    """

    def own() -> str | None:
        with vault.trail.attempting(Action.AUDIT_PROVE, project=project):
            entry = next(iter(vault.trail.log.entries(index, index + 1)), None)
            leaf = decode_leaf(entry.leaf) if entry is not None and entry.leaf else {}
            actor = leaf.get("actor", {})
            served = actor.get("kind") == ActorKind.SERVICE.value and actor.get("for") == vault.principal
            if not served or leaf.get("outcome") != Outcome.DONE.value or leaf.get("project", project) != project:
                raise RefusedError("not_yours", "this entry is not of something that was done for the asker")
            try:
                found = vault.trail.log.receipt(index)
            except UnavailableError as error:
                if error.code != "not_signed_yet":
                    raise
                return None
            vault.trail.record(Action.AUDIT_PROVE, Outcome.DONE, project=project, obj=ObjectRef("entry", str(index)))
        return found

    return told(vault, own)


def finish(vault: UnlockedVault, release: Release) -> None:
    """Make a committed release visible: write the receipt, rename the folder, set the state. Idempotent.

    Raises:
        IntegrityError: ``release_incomplete``.
    """
    staged, output = Path(release.content.staged), Path(release.content.output)
    if release.outcome_index is None:
        raise IntegrityError("release_incomplete", "a committed release has no outcome entry", hint="run genovault doctor")
    if staged.is_dir():
        _write_receipt(staged / RECEIPT_NAME, receive(vault, release.outcome_index))
    publish_staged(staged, output)
    releases.mark(vault, release.release_id, RELEASED)


def is_visible(release: Release) -> bool:
    """True if a committed release's folder has taken its place: nobody can call it back."""
    staged, output = Path(release.content.staged), Path(release.content.output)
    return not staged.is_dir() and output.is_dir() and any(output.iterdir())


def abort(vault: UnlockedVault, release: Release, reason: str) -> None:
    """Delete the staged folder and the keys of its names and of its columns' order, and log the abort.

    Raises:
        IntegrityError: ``release_altered``: the log, or the sealed record, has a ``done`` outcome; the books were edited.
    """
    said = vault.trail.log.closings([release.intent_event]).get(release.intent_event, [])
    ended = ending(record_of(entry).outcome for entry in said)
    if release.state == STAGING and (ended == Outcome.DONE or release.outcome_index is not None):
        raise IntegrityError(
            "release_altered", f"release {release.release_id} left, whatever the books say", hint="genovault doctor"
        )
    if release.content.staged:  # a view in memory has no folder
        discard_staged(Path(release.content.staged))
    if ended != Outcome.DONE and release.outcome_index is None:  # who is said to have it is still told by its names
        release_names.forget(vault, release.release_id)
    if release.content.leftover:
        leftovers.end_order(vault, release.release_id)
    with vault.books.write() as tx:
        releases.drop(tx, release.release_id)
        vault.trail.append(
            tx,
            _outcome_of(release),
            Outcome.ABORTED,
            project=release.project,
            request=release.request_id,
            refers=release.intent_event,
            reasons={reason: 1},
            obj=ObjectRef("release", release.release_id),
        )


def close_stream(vault: UnlockedVault, release: Release) -> None:
    """Say of a stream whose process ended that it has left, as far as it came: nobody knows how far.

    Raises:
        RefusedError: ``release_ended``.
    """
    with vault.books.write() as tx:
        outcome = vault.trail.append(
            tx,
            _outcome_of(release),
            Outcome.DONE,
            project=release.project,
            refers=release.intent_event,
            reasons={"interrupted": 1},
            flags=(releases.STREAM, releases.CUT),
            obj=ObjectRef("release", release.release_id),
        )
        releases.commit(
            tx,
            vault,
            release.release_id,
            outcome=outcome,
            n_sites=0,
            content=release.content,
            manifest_sha256=None,
            state=RELEASED,
        )


def _outcome_of(release: Release) -> Action:
    if release.request_id is not None:
        return Action.EXTRACT_OUTCOME
    return Action.VIEW_OUTCOME if release.content.asked.get("criteria") is None else Action.MATCH_OUTCOME


def _write_receipt(path: Path, receipt: str) -> None:
    try:
        with durable.creating(path, overwrite=True) as file:
            file.write(receipt.encode())
    except OSError as error:
        raise unwritable(error) from None
