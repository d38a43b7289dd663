"""Releases of a person whom a service serves: those of their own requests, in the one project that their token is for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from policies.purposes import RequestKind
from vault.access import delivery, extract_orders, own_requests, projects, releases, spool
from vault.access.extract_orders import ExtractOrder
from vault.access.releases import Release
from vault.access.request_records import APPROVED, RELEASED, Request
from vault.access.spool import KeptFile
from vault.access.told import told
from vault.audit.actions import Action, Outcome
from vault.audit.entry import ObjectRef
from vault.errors import RefusedError
from vault.session.moments import present
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.timestamps import rfc3339

NOT_READY = frozenset({"request_not_ready", "kind_not_served", "recipient_needed"})
"""Codes of refusals that tell the asker nothing but what their own request and project say."""


@dataclass(frozen=True)
class OwnRelease:
    """A release as whoever it is for sees it.

    ``state``: ``making``, ``ready``, ``expired`` (removed from the spool), ``stopped`` (nothing was released), ``delivered`` (by a steward, otherwise);
    of what was asked for and has no record ``waiting``, ``refused``, ``failed``.
    """

    release_id: str
    request_id: str
    state: str
    created: str | None = None
    expires: str | None = None
    sealed_for: tuple[str, ...] = ()
    files: tuple[KeptFile, ...] = ()


def require_extractable(vault: UnlockedVault, project: str, request_id: str) -> Request:
    """An own request whose records may be asked for now, sealed to somebody; what is refused is an entry.

    Raises:
        RefusedError: ``refused``; with a code of ``NOT_READY``.
    """

    def own() -> Request:
        with vault.trail.attempting(Action.EXTRACT_INTENT, project=project):
            return own_requests.require(vault, project, request_id)

    found = told(vault, own)
    with vault.trail.attempting(Action.EXTRACT_INTENT, project=project, request=request_id):
        if found.kind is not RequestKind.RECORDS:
            raise RefusedError("kind_not_served", "only a request for records is extracted")
        if found.state not in (APPROVED, RELEASED) or found.approved_by is None:
            raise RefusedError("request_not_ready", f"the request is {found.state}")
        with vault.books.read() as tx:
            declaration = projects.load(vault, project).declaration
            if not declaration.sealed or delivery.obstacle(vault, tx, declaration) is not None:
                raise RefusedError(
                    "recipient_needed", "over the wire, extracts are sealed to a confirmed recipient of the project"
                )
    return found


def listed(vault: UnlockedVault, project: str, folder: Path) -> list[OwnRelease]:
    """Releases of own requests, newest first, behind extracts that were asked for and have no release; the look is logged.

    Raises:
        RefusedError: ``refused``.
    """

    def look() -> list[OwnRelease]:
        with vault.trail.attempting(Action.RELEASE_SHOW, project=project):
            own = [one.request_id for one in own_requests.all_of(vault, project)]
            known = {one.release_id: one for one in releases.of_requests(vault, own)}
            with vault.books.read() as tx:
                orders = extract_orders.of_spool(vault, tx, str(folder))
            waiting = [_ordered(one) for one in orders if one.request_id in own and one.release_id not in known]
            vault.trail.record(Action.RELEASE_SHOW, Outcome.DONE, project=project)
        return [*waiting, *(_shown(vault, one, folder) for one in known.values())]

    return told(vault, look)


def shown(vault: UnlockedVault, project: str, release_id: str, folder: Path) -> OwnRelease:
    """One own release, or an extract that was asked for; of one that goes on under another id, that one. The look is logged.

    Raises:
        RefusedError: ``refused``.
    """

    def look() -> OwnRelease:
        with vault.trail.attempting(Action.RELEASE_SHOW, project=project):
            order = _order(vault, release_id)
            try:
                release = require(vault, project, release_id if order is None else order.release_id)
            except RefusedError:
                if order is None:
                    raise
                own_requests.require(vault, project, order.request_id)
                found = _ordered(order)
            else:
                found = _shown(vault, release, folder)
                if order is not None and order.state == extract_orders.WAITING and found.state == "stopped":
                    found = _ordered(order)  # it was cut short, and is next in a moment
            vault.trail.record(Action.RELEASE_SHOW, Outcome.DONE, project=project, request=found.request_id)
        return found

    return told(vault, look)


def require(vault: UnlockedVault, project: str, release_id: str) -> Release:
    """A release of an own request. Callers log. Raises RefusedError ``not_yours``; as ``own_requests.require``."""
    found = releases.find(vault, release_id)
    if found is None or found.request_id is None or found.project != project:
        raise RefusedError("not_yours", "there is no such release of this person in this project")
    own_requests.require(vault, project, found.request_id)
    return found


def begin_download(vault: UnlockedVault, release: Release, name: str) -> None:
    """Log that a file of a release begins to be sent to whoever is served, durable on return."""
    vault.trail.record(
        Action.RELEASE_DOWNLOAD,
        Outcome.DONE,
        project=release.project,
        request=release.request_id,
        obj=ObjectRef("release", release.release_id),
        detail={"file": name},
    )


def _order(vault: UnlockedVault, release_id: str) -> ExtractOrder | None:
    """The order of a release's id, or the one that it goes on as."""
    with vault.books.read() as tx:
        found = extract_orders.find(vault, tx, release_id)
        while found is not None and found.state == extract_orders.AGAIN:
            found = extract_orders.find(vault, tx, found.then)
    return found


def _ordered(order: ExtractOrder) -> OwnRelease:
    told = {extract_orders.AGAIN: "stopped", extract_orders.DONE: "expired"}  # of those whose record is gone, as after a restore
    return OwnRelease(order.release_id, order.request_id, told.get(order.state, order.state))


def _shown(vault: UnlockedVault, release: Release, folder: Path) -> OwnRelease:
    spooled = release.content.spooled
    if release.state in releases.UNFINISHED:
        state = "making"
    elif release.state == releases.ABORTED:
        state = "stopped"
    elif not spooled:
        state = "delivered"
    else:
        state = "ready" if present(vault) < spool.until(release) and spool.is_there(folder, release) else "expired"
    return OwnRelease(
        release.release_id,
        release.request_id or "",
        state,
        created=release.created,
        expires=rfc3339(spool.until(release)) if spooled else None,
        sealed_for=tuple(release.sealed_for),
        files=tuple(spool.files_of(release)) if state == "ready" else (),
    )
