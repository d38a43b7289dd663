"""Releases that a killed process left unfinished: each is finished, or aborted with an entry in the log.

staging    a stream has left as far as it came: say so; of all else nothing became visible: abort, unless contigs of an extract are finished, all of it may be released still, and it may go on from there
committed  the outcome is in the log, the folder not yet visible: re-check consent, project and request, then finish or abort
           the folder is visible: it has left, whatever was decided since
"""

from __future__ import annotations

from contextlib import suppress

from policies.disclosure.view_profiles import OptOuts
from vault.access import (
    leftovers,
    projects,
    publication,
    recipients,
    reference_data,
    release_limits,
    releases,
    requests,
    signed_approvals,
    view_profiles,
)
from vault.access.releases import Release
from vault.consent import cohort_decisions
from vault.errors import GenovaultError, RefusedError
from vault.genotypes.catalog import datasets
from vault.session.moments import moment
from vault.session.process_lock import process_lock
from vault.session.unlocked_vault import UnlockedVault

LOST_OUTPUT = ("output_not_empty", "staged_missing")  # a committed release whose folder can never appear


def recover(vault: UnlockedVault) -> int:
    """Finish or abort unfinished releases whose process has ended; return their number. Extracts that may go on stay as they are.

    A release that cannot be ended now (its folder is not writable, the consent ledger does not verify) waits for the next opening.
    """
    found = 0
    for left in releases.unfinished(vault):
        with process_lock(vault.folder, left.release_id) as mine, suppress(GenovaultError):
            release = releases.load(vault, left.release_id)  # again: the lock's previous holder may have ended it
            if mine and release.state in releases.UNFINISHED and not _stays(vault, release):
                found += 1
                _end(vault, release)
    return found


def _stays(vault: UnlockedVault, release: Release) -> bool:
    """Tell whether a stopped extract is kept for ``extract --resume``."""
    return leftovers.is_kept(vault, release, at=vault.clock()) and still_permitted(vault, release)


def _end(vault: UnlockedVault, release: Release) -> None:
    if release.state == releases.STAGING and release.content.streamed:
        publication.close_stream(vault, release)
    elif release.state == releases.STAGING:
        publication.abort(vault, release, "interrupted")
    elif not still_permitted(vault, release):
        if publication.is_visible(release):  # it has left: what the log says was done stays done
            releases.mark(vault, release.release_id, releases.RELEASED)
        else:
            publication.abort(vault, release, "consent_changed")
    else:
        try:
            publication.finish(vault, release)
        except GenovaultError as error:
            if error.code not in LOST_OUTPUT:
                raise
            publication.abort(vault, release, error.code)


def still_permitted(vault: UnlockedVault, release: Release) -> bool:
    """Decide a release again: project, request and limits allow it, recipients have the keys that it is sealed to, and each subject of the release is
    permitted under the same locus restrictions, its calls where they were.
    """
    project = projects.load(vault, release.project)
    if project.state != projects.APPROVED or release.content.asked.get("project_version", project.version) != project.version:
        return False
    dataset = datasets.by_name(vault, str(release.content.asked["dataset"]))
    sealed_for = release.sealed_for
    try:
        with vault.books.read() as tx:
            signed_approvals.require(vault, tx, project)
            if release.request_id is not None and not requests.is_open(vault, tx, release.request_id):
                return False
            if {key.name: key.fingerprint for key in recipients.require(vault, tx, list(sealed_for))} != sealed_for:
                return False
            now = moment(vault, tx).at
            purpose, rules = project.declaration.purpose, view_profiles.rules(tx, project.declaration)
            left = rules.opt_outs is OptOuts.LEAVE_OUT
            decided = cohort_decisions.decide(vault, tx, purpose, [dataset.dataset_id], legal_at=now, leave_out=left)
            places = reference_data.catalogue(tx, dataset.assembly)
            tags = reference_data.tagged_sites(tx, dataset.assembly)
        if "replaces" in release.content.asked or release.content.leftover:  # decided of its own people alone
            own = vault.subject_keys.owners_of(vault.trail.log.subjects_of(release.subject_set))
            decided = decided.among(frozenset(own))
        duties, number = decided.obligations, len(decided.permitted)
        release_limits.limits(project.declaration, duties, rules, permitted=number, places=places, tags=tags, asked=(), now=now)
    except RefusedError:
        return False
    same_places = all(release.content.obligations.get(key) == duties.as_dict().get(key) for key in ("mask", "only"))
    released = set(vault.trail.log.subjects_of(release.subject_set))
    tokens = vault.subject_keys.all_tokens(decided.permitted)
    people = [subject for subject, own in tokens.items() if not released.isdisjoint(own)]
    unmoved = release.content.places in ("", decided.members.places(people).hex())
    return same_places and unmoved and released.issubset(token for subject in people for token in tokens[subject])
