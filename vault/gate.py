"""THE door. Genotypes leave the vault through this module and no other (DESIGN §3, rules 1 and 2).

    1  load       project, dataset, what is asked
    2  decide     every subject from the subject's own consent, on a ledger that the log vouches for
    3  limit      the project's declaration, the duties that consents carry, group size
    4  log        the intent, durable before anything is opened
    5  open       blocks of the permitted subjects, with keys fetched only now
    6  de-identify; of an extract 5 and 6 go window by window, and what is made is written out of sight
    7  log        the outcome, in the transaction that re-checks consent and project: that commit is the release
    8  release    sign the log's head, receipt, make visible

A refusal is logged and says why to stewards; researchers and engines hear one sentence whatever the reason (rule 9).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from policies import reasons
from policies.decisions import Tally
from policies.purposes import PseudonymScope
from policies.rules import RULE_SET
from vault.access import projects, publication, release_limits, releases, requests, scope
from vault.access.releases import Content, Release
from vault.access.scope import AccessScope
from vault.audit.actions import Action, Outcome
from vault.audit.entry import ObjectRef
from vault.audit.log import Appended
from vault.consent import cohort_decisions, ledger, reference_data
from vault.consent.cohort_decisions import Decided
from vault.crypto.key_wrapping import KeyPurpose
from vault.crypto.keystore import Role
from vault.crypto.primitives import sha256
from vault.errors import GenovaultError, InputError, IntegrityError, RefusedError, UnavailableError
from vault.extracts.manifest import Counts, Loci, Manifest, make_manifest
from vault.extracts.release_folder import Format, write_folder
from vault.extracts.staging import Staging, discard_staged
from vault.genotypes.catalog import dataset_reader, datasets
from vault.ids import Pseudonym, SubjectId
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.database import Transaction
from vault.subjects.pseudonyms import pseudonyms
from vault.views.view import View

if TYPE_CHECKING:
    from vault.views.deidentify import Deidentified


@dataclass(frozen=True)
class _Access:
    """One access on its way through the door."""

    ask: AccessScope
    decided: Decided
    limits: release_limits.ReleaseLimits
    release_id: str
    intent_act: Action
    outcome_act: Action

    def about(self) -> dict[str, Any]:
        """What each of its entries says of it."""
        project = self.ask.project
        purpose = ",".join(project.declaration.purpose.use_kinds)
        release = ObjectRef("release", self.release_id)
        named = {"request": self.ask.request_id, "asserted_for": self.ask.asserted_for}
        return {"project": project.code, "purpose": purpose, "obj": release, **named}


TOLD_NOTHING = (Role.RESEARCHER, Role.ENGINE)
WHOLE_DATASET = "all"  # how a manifest names a request without regions
UNKNOWN_COMMIT = ("database_unavailable", "log_unavailable")
LOST_OUTPUT = ("output_not_empty", "staged_missing")  # a committed release whose folder can never appear


def check(vault: UnlockedVault, code: str) -> Tally:
    """How a project stands with the subjects of its datasets: counts by reason. Opens nothing.

    Raises:
        InputError: ``project_unknown``, ``dataset_unknown``. IntegrityError: as ``cohorts.decide``.
    """
    with vault.trail.attempting(Action.PROJECT_CHECK):
        project = projects.load(vault, code)
        ids = [datasets.by_name(vault, name).dataset_id for name in project.declaration.datasets]
        with vault.books.read() as tx:
            decided = cohort_decisions.decide(vault, tx, project.declaration.purpose, ids, legal_at=vault.clock())
        vault.trail.record(Action.PROJECT_CHECK, Outcome.DONE, project=code, **_decision(decided))
    return decided.tally


def view(vault: UnlockedVault, *, project: str, dataset: str, panel: str | None = None, regions: Sequence[str] = ()) -> View:
    """A de-identified view in memory, for a program beside the vault; its receipt proves this very access.

    Raises:
        RefusedError; IntegrityError: stored data is not what it was; UnavailableError: the access cannot be logged.
    """
    with _speaking(vault):
        with vault.trail.attempting(Action.VIEW_INTENT):
            ask = scope.of_view(vault, project=project, dataset=dataset, panel=panel, regions=tuple(regions))
            access = _decide(vault, ask, Action.VIEW_INTENT, Action.VIEW_OUTCOME)
        content = Content(ask.detail(), access.decided.obligations.as_dict())
        with publication.working(vault, access.release_id):
            intent = _log_intent(vault, access, content)
            try:
                made = _open(vault, access, at_once=True).view()
                outcome = _commit(vault, access, intent, content, n_sites=len(made.sites))
            except BaseException as error:
                _log_failure(vault, access, intent, error)
                raise
        return replace(made, receipt=publication.receive(vault, outcome.index))


def extract(vault: UnlockedVault, request_id: str, output: Path, *, file_format: Format = "vcf") -> Release:
    """Release what a request asks for as a folder that appears whole or not at all.

    Raises:
        InputError: ``request_unknown``, ``output_not_empty``. RefusedError, IntegrityError, UnavailableError.
    """
    with _speaking(vault):
        return _extract(vault, request_id, output, file_format=file_format)


def _extract(vault: UnlockedVault, request_id: str, output: Path, *, file_format: Format) -> Release:
    with vault.trail.attempting(Action.EXTRACT_INTENT, request=request_id):
        ask = scope.of_request(vault, request_id)
        access = _decide(vault, ask, Action.EXTRACT_INTENT, Action.EXTRACT_OUTCOME)
        signer = vault.release_signer()  # who cannot sign the manifest opens nothing
    with Staging(output, random=vault.random) as staging, publication.working(vault, access.release_id):
        folders = {"staged": str(staging.path), "output": str(staging.output)}
        content = Content(ask.detail(), access.decided.obligations.as_dict(), **folders)
        intent = _log_intent(vault, access, content)
        try:
            made = _open(vault, access)
            facts = _facts(vault, access, n_sites=made.summary.n_sites, not_assayed=len(made.not_assayed))
            _, document = write_folder(made, staging, file_format=file_format, facts=facts, signing_key=signer)
            staging.retain()  # if the commit's outcome is unknown, recovery needs the folder
            _commit(vault, access, intent, replace(content, manifest=document.decode()), n_sites=made.summary.n_sites)
        except BaseException as error:
            _log_failure(vault, access, intent, error, staged=staging.path)
            raise
        publication.finish(vault, releases.load(vault, access.release_id))
    return releases.load(vault, access.release_id)


def recover(vault: UnlockedVault) -> int:
    """Finish or abort what a killed process left half released; how many there were.

    What cannot be ended now (its folder is not writable, its ledger does not verify) waits for the next time: a vault opens.
    """
    found = 0
    for left in releases.unfinished(vault):
        with publication.working(vault, left.release_id) as mine, suppress(GenovaultError):
            release = releases.load(vault, left.release_id)  # again: whoever held the lock may have ended it
            if mine and release.state in releases.UNFINISHED:
                found += 1
                _end(vault, release)
    return found


def _end(vault: UnlockedVault, release: Release) -> None:
    if release.state == releases.STAGING:
        publication.abort(vault, release, "interrupted")
    elif not _still_permitted(vault, release):
        publication.abort(vault, release, "consent_changed")
    else:
        try:
            publication.finish(vault, release)
        except GenovaultError as error:
            if error.code not in LOST_OUTPUT:
                raise
            publication.abort(vault, release, error.code)


@contextmanager
def _speaking(vault: UnlockedVault) -> Iterator[None]:
    """To those who are told nothing, every refusal sounds alike, whenever it comes."""
    try:
        yield
    except (RefusedError, InputError):
        if vault.role in TOLD_NOTHING:
            raise RefusedError("refused", reasons.UNIFORM) from None
        raise


def _decide(vault: UnlockedVault, ask: AccessScope, intent_act: Action, outcome_act: Action) -> _Access:
    now, declaration = vault.clock(), ask.project.declaration
    with vault.books.read() as tx:
        decided = cohort_decisions.decide(vault, tx, declaration.purpose, [ask.dataset.dataset_id], legal_at=now)
        places = reference_data.catalogue(tx, ask.dataset.assembly)
    held = release_limits.limits(
        declaration, decided.obligations, permitted=len(decided.permitted), places=places, regions=ask.regions, now=now
    )
    return _Access(ask, decided, held, f"rel-{vault.random(8).hex()}", intent_act, outcome_act)


def _log_intent(vault: UnlockedVault, access: _Access, content: Content) -> Appended:
    ask, decided = access.ask, access.decided
    subjects = list(decided.permitted)
    fields = {**access.about(), **_decision(decided)}
    fields["detail"] = {**ask.detail(), **_recipients(ask), "obligations": sorted(decided.obligations.names())}
    with vault.books.write() as tx:
        intent = vault.trail.append(tx, access.intent_act, Outcome.INTENT, subjects=subjects, **fields)
        releases.begin(
            tx,
            vault,
            access.release_id,
            project_id=ask.project.project_id,
            request_id=ask.request_id,
            intent=intent,
            subjects=subjects,
            content=content,
        )
    return intent


def _recipients(ask: AccessScope) -> dict[str, Any]:
    """Who gets it and what for: what an accounting of disclosures has to tell a person."""
    declaration = ask.project.declaration
    organisation = declaration.purpose.organisation
    named = [recipient.name for recipient in declaration.recipients] or [organisation.name or ask.project.code]
    return {"recipients": named, "organisation": organisation.name, "country": organisation.country, "title": declaration.title}


def _open(vault: UnlockedVault, access: _Access, *, at_once: bool = False) -> Deidentified:
    """Steps 5 and 6: the only place where blocks are opened for a reader. Some are opened now, the others as pages are asked for;
    ``at_once``: all now, as one page.
    """
    from vault.views.deidentify import Deidentified, row_order  # noqa: PLC0415 - kernels load when genotypes are opened, not with every command
    from vault.views.site_selection import Profile  # noqa: PLC0415 - as above

    ask, subjects = access.ask, access.decided.permitted
    keys = _keys(vault, KeyPurpose.GENOTYPE, subjects)
    names = _names(vault, access)
    order = row_order(vault.random(32), names).tolist()
    # Blocks are decoded straight into the order of the view.
    chosen = dataset_reader.choose(vault, ask.dataset, ask.selection(), [subjects[at] for at in order], keys)
    disclosure = ask.project.declaration.disclosure
    return Deidentified(
        chosen,
        [names[at] for at in order],
        profile=Profile(disclosure.keep_phase, disclosure.keep_ids, access.limits.hidden(chosen.contigs)),
        assembly=ask.dataset.assembly,
        panel=ask.panel.index if ask.panel else None,
        window_sites=max(1, chosen.n_sites) if at_once else None,
    )


def _names(vault: UnlockedVault, access: _Access) -> list[Pseudonym]:
    """Pseudonyms of the permitted subjects, in their order."""
    project, subjects = access.ask.project, access.decided.permitted
    if project.declaration.pseudonyms is PseudonymScope.PROJECT:
        key, domain = vault.keys.open(KeyPurpose.PROJECT, project.project_id), f"project:{project.code}"
    else:
        owner = sha256(access.release_id.encode())[:16]
        key, domain = vault.keys.create(KeyPurpose.RELEASE, [owner])[0], f"release:{access.release_id}"
    salts = _keys(vault, KeyPurpose.PSEUDONYM_SALT, subjects)
    return pseudonyms(key.secret.reveal(), domain=domain, prefix=project.code, subjects=subjects, salts=salts)


def _keys(vault: UnlockedVault, purpose: KeyPurpose, subjects: Sequence[SubjectId]) -> dict[bytes, bytes]:
    found = vault.keys.open_many(purpose, subjects)
    if len(found) != len(subjects):
        raise IntegrityError("key_missing", f"a {purpose.value} key is not in the key database", hint="run genovault doctor")
    return found


def _commit(vault: UnlockedVault, access: _Access, intent: Appended, content: Content, *, n_sites: int) -> Appended:
    """Step 7. Raises RefusedError ``consent_changed``, ``project_changed`` if anything was taken back meanwhile."""
    digest = sha256(content.manifest.encode()) if content.manifest else None
    with vault.books.write() as tx:
        head = _recheck(vault, tx, access)
        outcome = vault.trail.append(
            tx,
            access.outcome_act,
            Outcome.DONE,
            refers=intent.event_id,
            counts={"subjects": len(access.decided.permitted), "sites": n_sites},
            consent=head.entry(),
            blobs=[digest] if digest else [],
            **access.about(),
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
    return outcome


def _recheck(vault: UnlockedVault, tx: Transaction, access: _Access) -> ledger.Head:
    ask, decided = access.ask, access.decided
    now = projects.by_id(vault, tx, ask.project.project_id)
    if (now.version, now.state) != (ask.project.version, projects.APPROVED):
        raise RefusedError("project_changed", f"project {now.code} was changed while the view was made", hint="ask again")
    if ask.request_id is not None and not requests.is_open(vault, tx, ask.request_id):
        raise RefusedError("request_denied", f"request {ask.request_id} was denied while the view was made")
    if ledger.last(tx, vault.vault_id) == decided.head:
        return decided.head
    again = cohort_decisions.decide(vault, tx, now.declaration.purpose, [ask.dataset.dataset_id], legal_at=vault.clock())
    # A place that somebody excluded meanwhile is a withdrawal as much as a person who left.
    if set(decided.permitted) - set(again.permitted) or again.obligations != decided.obligations:
        raise RefusedError("consent_changed", "a consent was taken back while the view was made", hint="ask again")
    return again.head


def _log_failure(
    vault: UnlockedVault, access: _Access, intent: Appended, error: BaseException, *, staged: Path | None = None
) -> None:
    """Say how an intent ended. Where the commit may have happened, or nothing can be written, recovery will say it."""
    if not isinstance(error, Exception) or (isinstance(error, UnavailableError) and error.code in UNKNOWN_COMMIT):
        return
    if staged is not None:
        discard_staged(staged)
    outcome = Outcome.REFUSED if isinstance(error, RefusedError) else Outcome.FAILED
    code = error.code if isinstance(error, GenovaultError) else "internal_error"
    with vault.books.write() as tx:
        vault.trail.append(tx, access.outcome_act, outcome, refers=intent.event_id, reasons={code: 1}, **access.about())
        releases.drop(tx, access.release_id)


def _facts(vault: UnlockedVault, access: _Access, *, n_sites: int, not_assayed: int) -> Manifest:
    ask, decided = access.ask, access.decided
    declaration, panel = ask.project.declaration, ask.panel
    regions = () if panel else ask.regions or (WHOLE_DATASET,)
    return make_manifest(
        release=access.release_id,
        log=vault.trail.origin,
        project=ask.project.code,
        request=ask.request_id or "",
        purpose=",".join(declaration.purpose.use_kinds),
        recipients=tuple(recipient.name for recipient in declaration.recipients),
        dataset=ask.dataset.name,
        assembly=ask.dataset.assembly,
        kind="panel" if ask.panel else "region",
        loci=Loci(regions=regions, panel=panel.name if panel else None, panel_version=str(panel.version) if panel else None),
        counts=Counts(subjects=len(decided.permitted), sites=n_sites, not_assayed=not_assayed),
        obligations=release_limits.stated(decided.obligations),
        policies=(RULE_SET,),
        created=vault.clock(),
        expires=min((end for end in (decided.obligations.expires, declaration.expires) if end), default=None),
        files=(),
    )


def _still_permitted(vault: UnlockedVault, release: Release) -> bool:
    """Whether everyone in a release could still be released."""
    project = projects.load(vault, release.project)
    if project.state != projects.APPROVED:
        return False
    dataset = datasets.by_name(vault, str(release.content.asked["dataset"]))
    with vault.books.read() as tx:
        decided = cohort_decisions.decide(vault, tx, project.declaration.purpose, [dataset.dataset_id], legal_at=vault.clock())
    same_places = all(release.content.obligations.get(key) == decided.obligations.as_dict().get(key) for key in ("mask", "only"))
    return same_places and set(vault.trail.log.subjects_of(release.subject_set)) <= set(
        vault.subject_keys.tokens(decided.permitted)
    )


def _decision(decided: Decided) -> dict[str, Any]:
    """What an entry says of a decision: counts, reasons, and the ledger head it rests on."""
    tally = decided.tally
    spoken = {**dict(tally.deny), **{f"review:{code}": count for code, count in tally.review}}
    return {
        "counts": {"asked": tally.subjects, "permitted": tally.permit},
        "reasons": spoken,
        "consent": decided.head.entry(),
    }
