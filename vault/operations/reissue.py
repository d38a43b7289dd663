"""Releasing an extract anew to those who hold it, without the people who left since, under the names that they have there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from policies.purposes import PseudonymScope
from vault import gate
from vault.access import projects, release_names, releases
from vault.access.releases import Release
from vault.access.scope import Reissue
from vault.access.told import told
from vault.audit.actions import Action
from vault.errors import InputError, RefusedError
from vault.extracts.genotype_files import ONE_VCF, FileChoice, Progress, choice_of
from vault.session.unlocked_vault import UnlockedVault


def reissue(
    vault: UnlockedVault,
    release_id: str,
    output: Path,
    chosen: FileChoice | None = None,
    *,
    recipients: Sequence[str] = (),
    progress: Progress | None = None,
) -> Release:
    """Extract a release's request again, of those of its people who may be released now; nobody is added. The new one names the old.

    It is for those whom the old one was sealed for, or for some of them that ``recipients`` names, and in the old one's files unless others are ``chosen``.
    Notices about the old release stay: its copies are deleted or left alone as they say.

    Raises:
        InputError: ``release_unknown``; ``not_an_extract``. RefusedError: ``names_not_kept``: the project gives new names to each
            release, or its key was renewed; ``not_a_holder``. Else as ``gate.extract``.
    """
    return told(vault, lambda: _reissue(vault, release_id, output, chosen, recipients=recipients, progress=progress))


def _reissue(
    vault: UnlockedVault,
    release_id: str,
    output: Path,
    chosen: FileChoice | None,
    *,
    recipients: Sequence[str],
    progress: Progress | None,
) -> Release:
    with vault.trail.attempting(Action.EXTRACT_INTENT):
        old = releases.load(vault, release_id)
        if old.request_id is None or old.state != releases.RELEASED:
            message = "only an extract that was released is released anew"
            raise InputError("not_an_extract", message, hint="genovault release list")
        project = projects.load(vault, old.project)
        again = f"extract {old.request_id} makes a new release, with new names"
        if project.declaration.pseudonyms is PseudonymScope.RELEASE:
            raise RefusedError("names_not_kept", f"project {project.code} gives new names to each release", hint=again)
        if (old.content.names or release_names.FIRST_VERSION) != release_names.newest_version(vault, project):
            raise RefusedError("names_not_kept", f"the names of project {project.code} were renewed since", hint=again)
        holders = tuple(old.sealed_for)
        strange = [name for name in recipients if holders and name not in holders]
        if strange:
            hint = f"it was sealed for {', '.join(holders)}; to give it to somebody else: genovault extract {old.request_id} --recipient {strange[0]}"
            raise RefusedError("not_a_holder", f"release {release_id} was not sealed for {strange[0]}", hint=hint)
        written = chosen or (choice_of(old.content.manifest) if old.content.manifest else ONE_VCF)
        people = vault.subject_keys.owners_of(vault.trail.log.subjects_of(old.subject_set))
        kept = Reissue(release_id, frozenset(people))
    return gate.extract(vault, old.request_id, output, written, recipients=recipients or holders, reissue=kept, progress=progress)
