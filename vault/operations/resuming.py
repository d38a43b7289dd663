"""Going on with an extract that was stopped, from the contigs that are finished; from the beginning where these cannot be used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from vault import gate
from vault.access import leftovers, releases
from vault.access.releases import Release
from vault.errors import InputError, RefusedError
from vault.extracts.genotype_files import FileChoice, Progress
from vault.session.unlocked_vault import UnlockedVault


def resume(
    vault: UnlockedVault,
    release_id: str,
    request_id: str,
    output: Path,
    chosen: FileChoice,
    *,
    recipients: Sequence[str] = (),
    progress: Progress | None = None,
    begins_anew: Callable[[str], None] = lambda _: None,
) -> Release:
    """Extract a request, going on with a release of it that was stopped. ``begins_anew`` is told why nothing of that one can be used.

    The same release where it goes on, a new one else.

    Raises:
        InputError: ``reissue_stopped``: nothing is left of a release that was made for the people of an older one alone. Else as
            ``gate.extract``.
    """
    leftovers.require_id(release_id)
    try:
        return gate.extract(vault, request_id, output, chosen, recipients=recipients, resume=release_id, progress=progress)
    except RefusedError as error:
        if error.code not in leftovers.STARTS_OVER:
            raise
        reason = error.message
    if (old := releases.load(vault, release_id).content.asked.get("replaces")) is not None:
        hint = f"genovault release reissue {old} --without-withdrawn --output DIR"
        raise InputError("reissue_stopped", "nothing is left of this release, which was made in the place of another", hint=hint)
    begins_anew(reason)
    return gate.extract(vault, request_id, output, chosen, recipients=recipients, progress=progress)
