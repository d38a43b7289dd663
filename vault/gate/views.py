"""Views in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vault.access import askable, asked_regions, publication, releases
from vault.access.told import told
from vault.audit.actions import Action
from vault.audit.log import Appended
from vault.gate import accesses, blocks, frozen_decisions
from vault.gate.accesses import Access
from vault.session.process_lock import process_lock
from vault.session.unlocked_vault import UnlockedVault
from vault.views.view import View


def view(vault: UnlockedVault, *, project: str, dataset: str, panel: str | None = None, regions: Sequence[str] = ()) -> View:
    """Make a de-identified view in memory, with the receipt of this access.

    Raises:
        RefusedError: nothing may be released. InputError: as ``scope_of_view``. IntegrityError: stored data was altered.
        UnavailableError: the access cannot be logged.
    """
    with vault.trail.attempting(Action.VIEW_INTENT):
        asked_regions.require_form(regions)
    return told(
        vault,
        lambda: made(vault, project, dataset, panel=panel, regions=regions)[0],
        form=lambda: askable.require_names(vault, project, dataset, panel=panel, regions=regions),
    )


def made(
    vault: UnlockedVault, project: str, dataset: str, *, panel: str | None, regions: Sequence[str]
) -> tuple[View, Access, Appended]:
    """A view with its receipt, the access that made it, and its outcome. Raises as ``view``, with the true reason."""
    with vault.trail.attempting(Action.VIEW_INTENT):
        asked = frozen_decisions.view(vault, project, dataset, panel=panel, regions=tuple(regions))
        release_id = releases.new_id(vault)
    with process_lock(vault.folder, release_id):
        with vault.trail.attempting(Action.VIEW_INTENT):
            access = accesses.begin(vault, asked, release_id, Action.VIEW_INTENT, Action.VIEW_OUTCOME)
        try:
            opened = blocks.open_view(vault, access, at_once=True)
            shown = opened.view()
            outcome = accesses.commit(vault, access, access.content, n_sites=len(shown.sites), bits=opened.counted())
        except BaseException as error:
            accesses.log_failure(vault, access, error)
            raise
    return replace(shown, receipt=publication.receive(vault, outcome.index)), access, outcome
