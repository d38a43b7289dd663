"""Extracts: folders of files that appear whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from vault.access import delivery, leftovers, publication, release_limits, releases
from vault.access.release_manifest import manifest_without_files
from vault.access.releases import Release
from vault.access.scope import Reissue, scope_of_request
from vault.access.told import told
from vault.audit.actions import Action
from vault.errors import RefusedError
from vault.extracts.genotype_files import ONE_VCF, FileChoice, FinishedContig, Progress, Unfinished
from vault.extracts.manifest import Counts
from vault.extracts.release_folder import write_folder
from vault.extracts.staging import Staging, clear_leftover
from vault.gate import accesses, blocks, decision
from vault.gate.accesses import Access, Destination
from vault.gate.frozen_decisions import AskedScope
from vault.session.process_lock import process_lock
from vault.session.unlocked_vault import UnlockedVault

if TYPE_CHECKING:
    from vault.views.deidentify import Deidentified


def extract(
    vault: UnlockedVault,
    request_id: str,
    output: Path,
    chosen: FileChoice = ONE_VCF,
    *,
    recipients: Sequence[str] = (),
    reissue: Reissue | None = None,
    resume: str | None = None,
    progress: Progress | None = None,
    spooled_as: str | None = None,
) -> Release:
    """Release a request's records, in the files that are ``chosen``, as a folder that appears whole or not at all.

    It is sealed where the project declares recipients: to all, or to the ``recipients`` that are named here. ``reissue``: of the people of a release
    that is made anew alone. ``resume``: a release that was stopped, whose finished contigs are used as they are. ``spooled_as``: id of a release
    that a server keeps, to hand it out: sealed to somebody, or not made.

    Raises:
        InputError: ``request_unknown``, ``output_not_empty``, or of the format; as ``leftovers.find``. RefusedError, IntegrityError,
            UnavailableError as ``view``. RefusedError with a code of ``leftovers.STARTS_OVER``: nothing of the stopped release can be used.
    """

    def made() -> Release:
        if resume is not None:
            return _resume(vault, request_id, output, chosen, recipients=recipients, release_id=resume, progress=progress)
        return _extract(
            vault,
            request_id,
            output,
            chosen,
            recipients=recipients,
            reissue=reissue,
            progress=progress,
            spooled_as=spooled_as,
        )

    return told(vault, made)


def _extract(
    vault: UnlockedVault,
    request_id: str,
    output: Path,
    chosen: FileChoice,
    *,
    recipients: Sequence[str],
    reissue: Reissue | None,
    progress: Progress | None,
    spooled_as: str | None,
) -> Release:
    with vault.trail.attempting(Action.EXTRACT_INTENT, request=request_id):
        scope = replace(scope_of_request(vault, request_id, recipients=recipients), reissue=reissue)
        chosen.require_fits(panel=scope.panel is not None)
        if spooled_as is not None and not scope.readers:
            raise RefusedError("recipient_needed", "what a server keeps is sealed to a recipient")
        vault.release_signer()  # fail before opening blocks if no release-signing key is held
        decision.ready_decision_classes(vault)
        release_id = releases.new_id(vault) if spooled_as is None else spooled_as
    with Staging(output, random=vault.random) as staging, process_lock(vault.folder, release_id):
        to = Destination(staging, chosen, spooled=spooled_as is not None)
        with vault.trail.attempting(Action.EXTRACT_INTENT, request=request_id):
            access = accesses.begin(vault, AskedScope(scope), release_id, Action.EXTRACT_INTENT, Action.EXTRACT_OUTCOME, to=to)
        return _deliver(vault, access, to, progress)


def _resume(
    vault: UnlockedVault,
    request_id: str,
    output: Path,
    chosen: FileChoice,
    *,
    recipients: Sequence[str],
    release_id: str,
    progress: Progress | None,
) -> Release:
    leftovers.require_id(release_id)
    with process_lock(vault.folder, release_id) as mine:
        with vault.trail.attempting(Action.EXTRACT_INTENT, request=request_id):
            if not mine:
                raise RefusedError("extract_running", "this extract is being written by another process", hint="wait for it")
            left = leftovers.find(vault, release_id, request_id=request_id, output=output, chosen=chosen)
            scope = scope_of_request(vault, request_id, recipients=recipients)
            scope = replace(scope, stopped=left.people, reissue=left.reissue)
            leftovers.require_same_readers(left, scope)
            vault.release_signer()
            decision.ready_decision_classes(vault)
            try:
                staged = Path(left.release.content.staged)
                clear_leftover(staged, left.files)
                to = Destination(Staging(output, random=vault.random, leftover=staged), chosen, left)
                access = accesses.begin(
                    vault, AskedScope(scope), release_id, Action.EXTRACT_INTENT, Action.EXTRACT_OUTCOME, to=to
                )
            except RefusedError as error:
                if error.code in leftovers.STARTS_OVER:
                    publication.abort(vault, left.release, error.code)
                raise
        return _deliver(vault, access, to, progress)


def _deliver(vault: UnlockedVault, access: Access, to: Destination, progress: Progress | None) -> Release:
    """Steps 5 to 8 of an extract: into the staged folder, contig by contig where it may be stopped between them."""
    scope, staging, release_id = access.scope, to.staging, access.release_id
    finished = list(to.left.finished) if to.left else []
    with staging:
        try:
            made = blocks.open_view(vault, access, to=to)
            n_sites = made.summary.n_sites
            release_limits.require_sites(n_sites)
            counts = Counts(subjects=len(access.decided.permitted), sites=n_sites, not_assayed=len(made.not_assayed))
            facts = manifest_without_files(
                scope,
                access.decided.obligations,
                counts,
                access.limits.rules,
                release_id=release_id,
                log=vault.trail.origin,
                created=vault.clock(),
                sealing=delivery.sealing(vault, scope.readers),
            )
            unfinished = _between_contigs(vault, access, made, to, finished) if to.chosen.by_contig else None
            _, document = write_folder(
                made,
                staging,
                to.chosen,
                facts=facts,
                signing_key=vault.release_signer(),
                envelope=delivery.envelope(vault, scope.readers),
                progress=progress,
                unfinished=unfinished,
            )
            staging.retain()  # if the commit's outcome is unknown, recovery needs the folder
            if to.chosen.by_contig:
                leftovers.end_order(vault, release_id)
            accesses.commit(
                vault,
                access,
                replace(access.content, manifest=document.decode(), leftover={}),
                n_sites=n_sites,
                bits=made.counted(),
            )
        except BaseException as error:
            if accesses.log_failure(vault, access, error, to=to, going_on=bool(finished)):
                raise leftovers.may_go_on(error, release_id) from None
            raise
        publication.finish(vault, releases.load(vault, release_id))
    return releases.load(vault, release_id)


def _between_contigs(
    vault: UnlockedVault, access: Access, made: Deidentified, to: Destination, finished: list[FinishedContig]
) -> Unfinished:
    """Hold the view against what was begun of it, and record each contig once its files are on the disk.

    Raises:
        RefusedError: ``extract_changed``: it has other people, columns or records than what was begun.
    """
    shape = leftovers.shape(made.pseudonyms, made.summary, made.not_assayed)
    if to.left is not None and to.left.shape != shape:
        raise RefusedError("extract_changed", "this is another view than the one that was begun")

    def note(one: FinishedContig) -> None:
        leftovers.keep(vault, access.release_id, access.content, [*finished, one], staging=to.staging, shape_of=shape)
        finished.append(one)

    return Unfinished(tuple(finished), note)
