"""Sweep of a spool: folders that may still be handed out, and removal of the others (``vault.access.spool``)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from vault.access import extract_orders, projects, recipients, releases, requests, spool
from vault.access.recipients import RecipientKey
from vault.access.releases import Release
from vault.consent import ledger
from vault.errors import GenovaultError, InputError, RefusedError
from vault.extracts.staging import discard_staged
from vault.operations import release_recovery
from vault.session.moments import present
from vault.session.unlocked_vault import UnlockedVault

AGAIN = timedelta(seconds=60)
"""Life of a decision over all people of a release while the consent ledger has no new event: consents end by themselves, too."""


class HandedOut:
    """Releases of a spool that may be handed out, by the last decision over each. Safe among threads."""

    def __init__(self) -> None:
        self._decided: dict[str, tuple[object, datetime]] = {}

    def require(self, vault: UnlockedVault, release: Release) -> None:
        """Hold a release against what stands now: its request, project and recipients each time, its people where anything is new, or was
        decided a minute ago.

        Raises:
            RefusedError: ``spool_expired``; ``spool_ended``: its request or project ended, or somebody in it may not be released any more.
            IntegrityError: as ``requests.is_open``.
        """
        now = present(vault)
        if release.state != releases.RELEASED or not release.content.spooled or now >= spool.until(release):
            raise RefusedError("spool_expired", "what a server keeps is handed out for 7 days", hint="extract the request again")
        basis = _basis(vault, release)
        known = self._decided.get(release.release_id)
        if known is not None and known[0] == basis and now - known[1] < AGAIN:
            return
        if basis is None or not release_recovery.still_permitted(vault, release):
            self._decided.pop(release.release_id, None)
            raise _ended()
        self._decided[release.release_id] = basis, now

    def sweep(self, vault: UnlockedVault, folder: Path, *, is_idle: Callable[[], bool] = lambda: False) -> int:
        """Remove from a spool what may not be handed out any more, and orders of a week ago; how many releases.

        ``is_idle``: True while nothing is being made here: then a folder in the making that no record names was left by a process that was killed.
        """
        found = 0
        for release_id in spool.kept(folder):
            try:
                self.require(vault, releases.load(vault, release_id))
            except (RefusedError, InputError):  # InputError: no record of it, as after a restore
                spool.discard(folder, release_id, random=vault.random)
                found += 1
            except (
                GenovaultError
            ):  # a store does not answer, or an approval is altered: it is not handed out, and looked at again
                continue
        now = present(vault)
        with vault.books.write() as tx:
            extract_orders.forget(tx, now - spool.KEPT)
        spool.forget_notes(folder)
        making = spool.in_the_making(folder)
        if is_idle():
            named = {one.content.staged for one in releases.unfinished(vault)}
            for path in making:
                if str(path) not in named:
                    discard_staged(path)
        return found


def _basis(vault: UnlockedVault, release: Release) -> object:
    """Basis of a decision over a release's people; None where request, project or recipients are not as they were."""
    sealed_for = release.sealed_for
    with vault.books.read() as tx:
        project = projects.by_id(vault, tx, release.project_id)
        if project.state != projects.APPROVED or release.request_id is None or not sealed_for:
            return None
        if not requests.is_open(vault, tx, release.request_id):
            return None
        keys: tuple[RecipientKey, ...] = ()
        with suppress(RefusedError):
            keys = recipients.require(vault, tx, list(sealed_for))
        if {key.name: key.fingerprint for key in keys} != sealed_for:
            return None
        head = ledger.read(tx, vault).head
    return head.seq, head.digest, project.version, project.revision


def _ended() -> RefusedError:
    return RefusedError("spool_ended", "this release is not handed out any more", hint="extract the request again")
