"""THE door: genotypes leave the vault through this module and no other.

    1  load         project, dataset and loci asked for
    2  decide       each subject by the subject's own consent, on a ledger head that the log confirms
    3  limit        the project's declaration, obligations of the consents, smallest group
    4  log          the intent, in the transaction that has decided, durable before any block is opened
    5  open         blocks of the permitted subjects, with keys fetched only now
    6  de-identify  an extract does 5 and 6 window by window, into a hidden staging folder
    7  commit       the outcome, in the transaction that re-checks consent and project: this commit is the release
    8  release      sign the log's head, take the receipt, make the result visible

Step 1 is ``access.scope``, step 8 ``access.publication``; the others are functions of this module, in their order. A refusal is logged
with its reason; researchers and engines get one message, whatever the reason.

Over 350 lines because the steps of one access are read in their order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from policies.decisions import Tally
from policies.purposes import RequestKind
from vault import counting
from vault.access import (
    askable,
    asked_regions,
    delivery,
    holdings,
    leftovers,
    project_versions,
    projects,
    publication,
    release_limits,
    release_names,
    releases,
    requests,
    signed_approvals,
)
from vault.access.disclosure import questions, released_sites
from vault.access.disclosure.carrier_table import Read
from vault.access.release_manifest import manifest_without_files
from vault.access.releases import Release, ReleaseContent
from vault.access.scope import AccessScope, Reissue, scope_of_check, scope_of_counts, scope_of_request, scope_of_view
from vault.access.told import UNKNOWN_COMMIT, told
from vault.audit.actions import Action, Outcome
from vault.audit.bands import banded
from vault.audit.entry import ObjectRef
from vault.audit.log import Appended
from vault.consent import cohort_decisions, ledger, project_check, release_decisions
from vault.consent.cohort_decisions import Decided
from vault.consent.project_check import ProjectCheck
from vault.counting import CountsAnswer
from vault.crypto.key_wrapping import KeyPurpose
from vault.crypto.primitives import sha256
from vault.errors import GenovaultError, IntegrityError, RefusedError, UnavailableError
from vault.extracts.genotype_files import ONE_VCF, FileChoice, FinishedContig, Progress, Unfinished
from vault.extracts.manifest import Counts
from vault.extracts.release_folder import write_folder
from vault.extracts.staging import Staging, clear_leftover, discard_staged
from vault.genotypes.catalog import dataset_reader, declared_assays, panels
from vault.genotypes.store.selections import Selection
from vault.ids import SubjectId
from vault.session.moments import Moment, moment
from vault.session.process_lock import process_lock
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.database import Transaction
from vault.views.view import View

if TYPE_CHECKING:
    from vault.views.deidentify import Deidentified
    from vault.views.released_bits import ReleasedBits


@dataclass(frozen=True)
class _Access:
    """One access between its intent (step 4) and its outcome (step 7)."""

    scope: AccessScope
    decided: Decided
    limits: release_limits.ReleaseLimits
    release_id: str
    intent: Appended
    outcome: Action
    content: ReleaseContent


@dataclass(frozen=True)
class _To:
    """Where and how an extract is written, and what is there of it already."""

    staging: Staging
    chosen: FileChoice
    left: leftovers.Leftover | None = None


def check(
    vault: UnlockedVault,
    code: str,
    *,
    dataset: str | None = None,
    panel: str | None = None,
    regions: Sequence[str] = (),
    version: int | None = None,
) -> ProjectCheck:
    """Say what a request would release now and what stops it, by the tests of ``extract``; opens no block.

    Without ``dataset`` of all the project's datasets; with a ``panel`` of the panel's. ``version``: as if this one were approved.

    Raises:
        InputError: ``project_unknown``, or as ``scope_of_check``. IntegrityError: as ``release_decisions.decide`` and ``signed_approvals.require``.
    """
    with vault.trail.attempting(Action.PROJECT_CHECK):
        project = project_versions.as_project(vault, code, version)
        own = dataset or (panel and panels.by_name(vault, panel).dataset)
        names = [own] if own else project.declaration.datasets
        scopes = [scope_of_check(vault, project, name, panel=panel, regions=tuple(regions)) for name in names]
        with vault.books.read() as tx:
            cohort_decisions.cached_decision_classes(vault, ledger.read(tx, vault))  # outside the lock, where it is long
        with vault.books.write() as tx:  # the entry quotes the ledger's head of its own transaction
            vault.require_standing(tx)
            if project.state == projects.APPROVED:
                signed_approvals.require(vault, tx, project)
            found, head = project_check.examine(vault, tx, scopes, when=(when := moment(vault, tx)))
            found = replace(found, undelivered=delivery.obstacle(vault, tx, project.declaration))
            fields = _decision_fields(found, head, {})
            vault.trail.append(tx, Action.PROJECT_CHECK, Outcome.DONE, project=code, flags=when.flags, **fields)
    return found


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
        lambda: _view(vault, project, dataset, panel=panel, regions=regions),
        form=lambda: askable.require_names(vault, project, dataset, panel=panel, regions=regions),
    )


def _view(vault: UnlockedVault, project: str, dataset: str, *, panel: str | None, regions: Sequence[str]) -> View:
    with vault.trail.attempting(Action.VIEW_INTENT):
        scope = scope_of_view(vault, project=project, dataset=dataset, panel=panel, regions=tuple(regions))
        release_id = _new_release(vault)
    with process_lock(vault.folder, release_id):
        with vault.trail.attempting(Action.VIEW_INTENT):
            access = _begin(vault, scope, release_id, Action.VIEW_INTENT, Action.VIEW_OUTCOME)
        try:
            opened = _open(vault, access, at_once=True)
            made = opened.view()
            outcome = _commit(vault, access, access.content, n_sites=len(made.sites), bits=opened.counted())
        except BaseException as error:
            _log_failure(vault, access, error)
            raise
    return replace(made, receipt=publication.receive(vault, outcome.index))


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
) -> Release:
    """Release a request's records, in the files that are ``chosen``, as a folder that appears whole or not at all.

    It is sealed where the project declares recipients: to all, or to the ``recipients`` that are named here. ``reissue``: of the people of a release
    that is made anew alone. ``resume``: a release that was stopped, whose finished contigs are used as they are.

    Raises:
        InputError: ``request_unknown``, ``output_not_empty``, or of the format; as ``leftovers.find``. RefusedError, IntegrityError,
            UnavailableError as ``view``. RefusedError with a code of ``leftovers.STARTS_OVER``: nothing of the stopped release can be used.
    """

    def made() -> Release:
        if resume is not None:
            return _resume(vault, request_id, output, chosen, recipients=recipients, release_id=resume, progress=progress)
        return _extract(vault, request_id, output, chosen, recipients=recipients, reissue=reissue, progress=progress)

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
) -> Release:
    with vault.trail.attempting(Action.EXTRACT_INTENT, request=request_id):
        scope = replace(scope_of_request(vault, request_id, recipients=recipients), reissue=reissue)
        chosen.require_fits(panel=scope.panel is not None)
        vault.release_signer()  # fail before opening blocks if no release-signing key is held
        release_id = _new_release(vault)
    with Staging(output, random=vault.random) as staging, process_lock(vault.folder, release_id):
        to = _To(staging, chosen)
        with vault.trail.attempting(Action.EXTRACT_INTENT, request=request_id):
            access = _begin(vault, scope, release_id, Action.EXTRACT_INTENT, Action.EXTRACT_OUTCOME, to=to)
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
            _ready_decision_classes(vault)
            try:
                staged = Path(left.release.content.staged)
                clear_leftover(staged, left.files)
                to = _To(Staging(output, random=vault.random, leftover=staged), chosen, left)
                access = _begin(vault, scope, release_id, Action.EXTRACT_INTENT, Action.EXTRACT_OUTCOME, to=to)
            except RefusedError as error:
                if error.code in leftovers.STARTS_OVER:
                    publication.abort(vault, left.release, error.code)
                raise
        return _deliver(vault, access, to, progress)


def _deliver(vault: UnlockedVault, access: _Access, to: _To, progress: Progress | None) -> Release:
    """Steps 5 to 8 of an extract: into the staged folder, contig by contig where it may be stopped between them."""
    scope, staging, release_id = access.scope, to.staging, access.release_id
    finished = list(to.left.finished) if to.left else []
    with staging:
        try:
            made = _open(vault, access, to=to)
            n_sites = made.summary.n_sites
            release_limits.require_sites(n_sites)
            counts = Counts(subjects=len(access.decided.permitted), sites=n_sites, not_assayed=len(made.not_assayed))
            facts = manifest_without_files(
                scope,
                access.decided.obligations,
                counts,
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
            _commit(
                vault,
                access,
                replace(access.content, manifest=document.decode(), leftover={}),
                n_sites=n_sites,
                bits=made.counted(),
            )
        except BaseException as error:
            if _log_failure(vault, access, error, to=to, going_on=bool(finished)):
                raise leftovers.may_go_on(error, release_id) from None
            raise
        publication.finish(vault, releases.load(vault, release_id))
    return releases.load(vault, release_id)


def _between_contigs(
    vault: UnlockedVault, access: _Access, made: Deidentified, to: _To, finished: list[FinishedContig]
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


def counts(
    vault: UnlockedVault,
    *,
    project: str,
    dataset: str,
    kind: RequestKind,
    alleles: Sequence[str] = (),
    panel: str | None = None,
    epsilon: str | None = None,
    accuracy: int | None = None,
) -> CountsAnswer:
    """Answer which alleles are carried in the cohort of a project and dataset, by noisy numbers that are charged (``vault.counting``).

    Raises:
        InputError: the question is none, told to everybody. RefusedError, IntegrityError, UnavailableError: as ``view`` and ``counting.answer``.
    """
    with vault.trail.attempting(Action.COUNTS_ANSWER):
        amount = questions.accuracy(epsilon=epsilon, within=accuracy)
        asked = questions.read_alleles(alleles)
        questions.require_one_source(asked, panel)

    def answered() -> CountsAnswer:
        with vault.trail.attempting(Action.COUNTS_ANSWER):
            scope = scope_of_counts(vault, project=project, dataset=dataset, kind=kind, panel=panel)
            question = questions.of_scope(scope.dataset, scope.panel, asked, kind=kind, epsilon=amount)
        return _count(vault, scope, question)

    return told(vault, answered, form=lambda: askable.require_names(vault, project, dataset, panel=panel, regions=()))


def result(vault: UnlockedVault, request_id: str) -> CountsAnswer:
    """Answer a request for counts or presence. Raises as ``counts``; InputError ``request_unknown``; RefusedError as ``requests.require_served``."""

    def answered() -> CountsAnswer:
        with vault.trail.attempting(Action.COUNTS_ANSWER, request=request_id):
            request = requests.to_be_served(vault, request_id)
            kind, spec = request.kind, request.spec
            if kind not in questions.COUNTED:
                raise RefusedError("kind_not_served", f"this request is for {kind.value}", hint="genovault extract")
            scope = scope_of_counts(
                vault, project=request.project, dataset=request.dataset, kind=kind, panel=spec.panel, request=request
            )
            asked = questions.read_alleles(spec.alleles)
            question = questions.of_scope(scope.dataset, scope.panel, asked, kind=kind, epsilon=spec.epsilon)
        return _count(vault, scope, question)

    return told(vault, answered)


def _count(vault: UnlockedVault, scope: AccessScope, question: questions.CountsQuestion) -> CountsAnswer:
    """Steps 2 to 7 of counts: decision and blocks are lent to ``counting``, which keeps neither."""
    with vault.books.read() as tx:
        cohort_decisions.cached_decision_classes(vault, ledger.read(tx, vault))  # outside the lock, where it is long

    def decide(tx: Transaction, asked: AccessScope, when: Moment) -> Decided:
        return _decide(vault, tx, asked, when)

    def open_calls(asked: AccessScope, people: Sequence[SubjectId]) -> Read:
        keys = _open_keys(vault, KeyPurpose.GENOTYPE, people)
        reader = dataset_reader.GenotypeReader(vault, asked.dataset, people, keys)
        return lambda places: reader.read(Selection(regions=tuple(places)))

    return counting.answer(vault, scope, question, decide=decide, open_calls=open_calls)


def _new_release(vault: UnlockedVault) -> str:
    """Id of a release to be begun; decision classes are made ready, outside the transaction that decides."""
    _ready_decision_classes(vault)
    return f"rel-{vault.random(8).hex()}"


def _ready_decision_classes(vault: UnlockedVault) -> None:
    with vault.books.read() as tx:
        cohort_decisions.cached_decision_classes(vault, ledger.read(tx, vault))


def _begin(
    vault: UnlockedVault, scope: AccessScope, release_id: str, intent: Action, outcome: Action, *, to: _To | None = None
) -> _Access:
    """Steps 2 to 4: decide on each subject, apply the limits, and append intent and row of the release, in one transaction.

    A stopped extract goes on under an intent of its own; the one before is closed, if nothing says how it ended.

    Raises:
        RefusedError: as ``_decide`` and ``release_limits.limits``; ``extract_changed``. IntegrityError: as ``release_decisions.decide``.
    """
    with vault.books.write() as tx:
        when = moment(vault, tx)
        decided = _decide(vault, tx, scope, when)
        limits = release_decisions.limits(tx, scope, decided, when)
        names = release_names.newest_version(vault, scope.project)
        content = ReleaseContent(scope.detail(), decided.obligations.as_dict(), names=names)
        if to is not None:
            staging, places = to.staging, decided.members.places(decided.permitted)
            begun_as = leftovers.begun(vault, to.chosen, lambda: release_decisions.basis(vault, scope, decided, limits))
            content = replace(
                content, staged=str(staging.path), output=str(staging.output), places=places.hex(), leftover=begun_as
            )
            if to.left is not None:
                content = leftovers.taken_up(to.left, content)
        subjects = list(decided.permitted)
        detail = {**scope.detail(), **scope.recipient_detail(), "obligations": sorted(decided.obligations.names())}
        fields: dict[str, Any] = _entry_fields(scope, release_id)
        left = None if to is None else to.left
        if left is not None:
            detail["goes_on"] = len(left.finished)
            if not vault.trail.log.closings([left.release.intent_event]):
                old = left.release.intent_event
                vault.trail.append(tx, outcome, Outcome.ABORTED, refers=old, reasons={"resumed": 1}, **fields)
        fields |= _decision_fields(decided.tally, decided.head, detail)
        begun = vault.trail.append(tx, intent, Outcome.INTENT, subjects=subjects, flags=when.flags, **fields)
        if left is not None:
            releases.renew(tx, vault, release_id, content, intent=begun)
        else:
            releases.begin(
                tx,
                vault,
                release_id,
                project_id=scope.project.project_id,
                request_id=scope.request_id,
                intent=begun,
                n_subjects=len(subjects),
                content=content,
            )
    return _Access(scope, decided, limits, release_id, begun, outcome, content)


def _open(vault: UnlockedVault, access: _Access, *, at_once: bool = False, to: _To | None = None) -> Deidentified:
    """Steps 5 and 6: open the permitted subjects' blocks in random row order and de-identify them. An extract that may go on has its row
    order from a key, and one that goes on the same order and names.

    Nothing else opens a block for a reader. Further windows are opened as pages are asked for; ``at_once``: all now, as one page.

    Raises:
        IntegrityError: ``key_missing``; a block or table was altered. RefusedError: ``extract_changed``.
    """
    from vault.views.deidentify import Deidentified, row_order  # noqa: PLC0415 - kernels load when genotypes are opened, not with every command
    from vault.views.site_selection import Profile  # noqa: PLC0415 - as above

    scope, subjects, selection = access.scope, access.decided.permitted, access.scope.selection()
    keys = _open_keys(vault, KeyPurpose.GENOTYPE, subjects)
    left = None if to is None else to.left
    naming = release_names.begin if left is None else release_names.naming
    names = release_names.names(vault, naming(vault, scope.project, access.release_id), subjects)
    kept = to is not None and to.chosen.by_contig
    order_key = leftovers.column_order(vault, access.release_id, again=left is not None) if kept else vault.random(32)
    order = row_order(order_key, names).tolist()
    # Blocks are decoded straight into the order of the view.
    chosen = dataset_reader.choose(vault, scope.dataset, selection, [subjects[at] for at in order], keys)
    disclosure = scope.project.declaration.disclosure
    return Deidentified(
        chosen,
        [names[at] for at in order],
        profile=Profile(disclosure.keep_phase, disclosure.keep_ids, access.limits.hidden, regions=selection.regions),
        assembly=scope.dataset.assembly,
        panel=selection.panel.index if selection.panel else None,
        assayed=declared_assays.of_dataset(vault, scope.dataset.dataset_id),
        tracked=chosen.reference is not None,
        window_sites=max(1, chosen.n_sites) if at_once else None,
    )


def _open_keys(vault: UnlockedVault, purpose: KeyPurpose, subjects: Sequence[SubjectId]) -> dict[bytes, bytes]:
    """Keys by subject. Raises IntegrityError ``key_missing`` unless every subject has one."""
    found = vault.keys.open_many(purpose, subjects)
    if len(found) != len(subjects):
        raise IntegrityError("key_missing", f"a {purpose.value} key is not in the key database", hint="run genovault doctor")
    return found


def _commit(vault: UnlockedVault, access: _Access, content: ReleaseContent, *, n_sites: int, bits: ReleasedBits) -> Appended:
    """Step 7: re-check, then append the outcome and mark the release, in one transaction.

    Raises:
        RefusedError: ``calls_changed``, ``consent_changed``, ``project_changed``, ``request_denied``, ``release_ended``; ``too_many_bits``.
    """
    digest = sha256(content.manifest.encode()) if content.manifest else None
    counts = {"subjects": len(access.decided.permitted), "sites": n_sites}
    scope, limits = access.scope, (access.scope.project.declaration.disclosure.max_bits, access.decided.obligations.max_bits)
    with vault.books.write() as tx:
        head = _recheck(vault, tx, access, moment(vault, tx))
        left = released_sites.charge(
            vault, tx, scope.project, bits, release_id=access.release_id, dataset_id=scope.dataset.dataset_id, limits=limits
        )
        told = {"mean": round(bits.mean, 3), "largest": round(bits.largest, 3), "cumulative": left / 1000}
        content = replace(content, bits=told)
        outcome = vault.trail.append(
            tx,
            access.outcome,
            Outcome.DONE,
            refers=access.intent.event_id,
            counts=banded(counts),
            detail={"counts": counts, "bits": {name: math.ceil(value) for name, value in content.bits.items()}},
            consent=head.entry(),
            blobs=[digest] if digest else [],
            **_entry_fields(scope, access.release_id),
        )
        releases.commit(
            tx,
            vault,
            access.release_id,
            outcome=outcome,
            n_sites=n_sites,
            content=content,
            manifest_sha256=digest,
            state=releases.COMMITTED if digest else releases.RELEASED,
        )
        holdings.note(tx, vault, scope, access.intent, access.release_id, names=content.names)
    return outcome


def _decide(vault: UnlockedVault, tx: Transaction, scope: AccessScope, when: Moment) -> Decided:
    """Decide each subject of the dataset, where principal, project and request still stand as the transaction sees them.

    Raises:
        RefusedError: ``principal_disabled``, ``project_changed``, ``recipient_changed``; as ``requests.require_served``. IntegrityError: as
            ``release_decisions.decide`` and ``signed_approvals.require``.
    """
    vault.require_standing(tx)
    now = projects.by_id(vault, tx, scope.project.project_id)
    if (now.revision, now.state) != (scope.project.revision, projects.APPROVED):
        raise projects.changed_since(scope.project, now)
    signed_approvals.require(vault, tx, now)
    if scope.request_id is not None:
        requests.require_served(vault, tx, scope.request_id)
    delivery.require_unchanged(vault, tx, now.declaration, scope.readers)
    return release_decisions.decide(vault, tx, scope, when)


def _recheck(vault: UnlockedVault, tx: Transaction, access: _Access, when: Moment) -> ledger.Head:
    """Decide anew, in the transaction that rests on it; return the ledger head that it rests on.

    Raises:
        RefusedError: ``calls_changed``, ``consent_changed``; as ``_decide`` and ``release_limits.limits``.
    """
    decided = access.decided
    again = _decide(vault, tx, access.scope, when)
    if not again.members.keep(decided.permitted, of=decided.members):
        raise RefusedError("calls_changed", "calls were moved, replaced or removed while the view was made", hint="ask again")
    limits = release_decisions.limits(tx, access.scope, again, when, permitted=len(decided.permitted))
    # A locus excluded since the decision is a withdrawal too.
    if set(decided.permitted) - set(again.permitted) or again.obligations != decided.obligations or limits != access.limits:
        raise RefusedError("consent_changed", "a consent was taken back while the view was made", hint="ask again")
    return again.head


def _log_failure(
    vault: UnlockedVault, access: _Access, error: BaseException, *, to: _To | None = None, going_on: bool = False
) -> bool:
    """Append a refused or failed outcome; none where the commit may have happened or the process ends: recovery reads what is durable.

    ``going_on``: contigs are finished. True if the extract may go on from there, because a store or a disk stopped it.
    """
    if not isinstance(error, Exception) or (isinstance(error, UnavailableError) and error.code in UNKNOWN_COMMIT):
        return False
    kept = going_on and isinstance(error, UnavailableError)
    if to is not None and not kept:
        discard_staged(to.staging.path)
    if not kept:
        with suppress(UnavailableError):  # a reader holds the write-ahead log: the key is deleted, and overwritten later
            release_names.forget(vault, access.release_id)
    outcome = Outcome.REFUSED if isinstance(error, RefusedError) else Outcome.FAILED
    code = error.code if isinstance(error, GenovaultError) else "internal_error"
    with vault.books.write() as tx:
        fields = _entry_fields(access.scope, access.release_id)
        vault.trail.append(tx, access.outcome, outcome, refers=access.intent.event_id, reasons={code: 1}, **fields)
        if not kept:
            releases.drop(tx, access.release_id)
    if to is not None and to.chosen.by_contig and not kept:
        leftovers.end_order(vault, access.release_id)
    return kept


def _entry_fields(scope: AccessScope, release_id: str) -> dict[str, Any]:
    """Fields common to an access's log entries."""
    purpose = ",".join(scope.project.declaration.purpose.use_kinds)
    named = {"request": scope.request_id, "asserted_for": scope.asserted_for}
    return {"project": scope.project.code, "purpose": purpose, "obj": ObjectRef("release", release_id), **named}


def _decision_fields(tally: Tally, head: ledger.Head, detail: dict[str, Any]) -> dict[str, Any]:
    """Entry fields of a decision: the ledger head it rests on, counts and reasons in bands, and exact in the sealed detail."""
    counted = {**dict(tally.deny), **{f"review:{code}": count for code, count in tally.review}}
    counts = {"asked": tally.subjects, "permitted": tally.permit}
    exact = {**detail, "counts": counts, "reasons": counted}
    return {"counts": banded(counts), "reasons": banded(counted), "consent": head.entry(), "detail": exact}
