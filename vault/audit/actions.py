"""Closed vocabularies of audit entries: actions, outcomes, kinds of actor (``docs/formats/audit.md`` §2)."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Action(StrEnum):
    """The kind of an event. Adding one is a format change that old verifiers survive: they check form, not vocabulary."""

    VAULT_INIT = "vault.init"
    VAULT_UNLOCK_FAILED = "vault.unlock.failed"
    VAULT_OPEN = "vault.open"
    VAULT_UPGRADE = "vault.upgrade"
    VAULT_RELOCATE = "vault.relocate"
    VAULT_CLOCK = "vault.clock"  # the clock was looked at and is right: times of earlier entries count for nothing
    VAULT_INCARNATION = "vault.incarnation"  # from here on another one than before: restored, copied, or with a log begun anew

    SUBJECT_IMPORT = "subject.import"
    SUBJECT_UPDATE = "subject.update"
    SUBJECT_LIST = "subject.list"
    SUBJECT_FIND = "subject.find"
    SUBJECT_SHOW = "subject.show"
    SUBJECT_RESTRICT = "subject.restrict"
    SUBJECT_ERASE = "subject.erase"
    SUBJECT_MERGE = "subject.merge"
    SUBJECT_PROPOSE_MERGE = "subject.merge.propose"  # the first of two stewards; nothing is changed by it
    SUBJECT_TAKE_BACK_MERGE = "subject.merge.take_back"  # by who proposed; nothing is changed by it
    SUBJECT_COMPARE = "subject.compare"  # two registrations, as a merge would find them

    CONSENT_IMPORT = "consent.import"
    CONSENT_RECORD = "consent.record"
    CONSENT_WITHDRAW = "consent.withdraw"
    CONSENT_CORRECT = "consent.correct"
    CONSENT_PROPOSE_CORRECTION = "consent.correct.propose"  # the first of two stewards; nothing is changed by it
    CONSENT_TAKE_BACK_PROPOSAL = "consent.correct.take_back"  # by who proposed; nothing is changed by it
    CONSENT_SHOW = "consent.show"
    CONSENT_EXPLAIN = "consent.explain"
    CONSENT_EXPORT = "consent.export"
    CONSENT_COVERAGE = "consent.coverage"
    CONSENT_EXPIRING = "consent.expiring"
    CONSENT_QUEUE = "consent.queue"
    CONSENT_FORM = "consent.form"
    CONSENT_PACK = "consent.pack"

    DATASET_IMPORT = "dataset.import"
    DATASET_CHECK = "dataset.check"
    DATASET_COMPACT = "dataset.compact"
    DATASET_MOVE = "dataset.move"
    DATASET_PARTS = "dataset.parts"
    DATASET_RECOUNT = "dataset.recount"
    DATASET_RULE = "dataset.rule"
    DATASET_REMOVE = "dataset.remove"
    DATASET_LIST = "dataset.list"
    DATASET_SHOW = "dataset.show"
    DATASET_UPGRADE = "dataset.upgrade"
    DATASET_VERIFY = "dataset.verify"
    PANEL_CREATE = "panel.create"
    PANEL_BUILD = "panel.build"
    PANEL_SETTLE = "panel.settle"  # what a panel's view shows of a cohort was worked out; nothing left by it
    PANEL_SHOW = "panel.show"

    CRITERIA_ADD = "criteria.add"
    CRITERIA_APPROVE = "criteria.approve"  # with two stewards the first only proposes; flag "proposed"
    CRITERIA_RETIRE = "criteria.retire"
    CRITERIA_SHOW = "criteria.show"

    PROJECT_CREATE = "project.create"
    PROJECT_EDIT = "project.edit"
    PROJECT_AMEND = "project.amend"  # another version is proposed; nothing is changed by it
    PROJECT_TAKE_BACK = "project.take_back"  # a proposed version; nothing is changed by it
    PROJECT_APPROVE = "project.approve"
    PROJECT_SUSPEND = "project.suspend"
    PROJECT_CLOSE = "project.close"
    PROJECT_REOPEN = "project.reopen"
    PROJECT_CHECK = "project.check"
    PROJECT_SHOW = "project.show"
    PROJECT_RULE = "project.rule"

    RECIPIENT_ADD = "recipient.add"
    RECIPIENT_CONFIRM = "recipient.confirm"
    RECIPIENT_RETIRE = "recipient.retire"
    RECIPIENT_LIST = "recipient.list"

    REQUEST_SUBMIT = "request.submit"
    REQUEST_APPROVE = "request.approve"
    REQUEST_DENY = "request.deny"
    REQUEST_WITHDRAW = "request.withdraw"
    REQUEST_SHOW = "request.show"
    REQUEST_RISK = "request.risk"  # a steward was shown what its release would tell; its people's genotypes were opened inside
    REQUEST_ANSWER = "request.answer"  # its state, signed for whoever asked

    VIEW_INTENT = "view.intent"
    VIEW_OUTCOME = "view.outcome"
    VIEW_READ = "view.read"  # of a panel: one entry, done before anything is opened; a failure behind it closes nothing
    VIEW_CHANGES = "view.changes"  # a program was told who came to a panel's view, and whom to drop
    MATCH_INTENT = "view.match.intent"  # criteria asked in place of genotypes
    MATCH_OUTCOME = "view.match.outcome"
    STREAM_TICKET = "stream.ticket"  # what may be fetched for some minutes; nothing was opened for it
    STREAM_HEADER = "stream.header"  # names of the people in a stream; what is streamed of them is a view
    STREAM_PROBE = "stream.probe"  # indexes that clients looked for and that there are none of, over a minute
    EXTRACT_INTENT = "extract.intent"
    EXTRACT_OUTCOME = "extract.outcome"
    COUNTS_ANSWER = "counts.answer"  # noisy numbers of carriers, charged in the same transaction
    BUDGET_SHOW = "budget.show"
    BUDGET_RAISE = "budget.raise"  # with two stewards the first only proposes; flag "proposed"
    TABLE_ASSESS = "table.assess"  # what an exact frequency table would tell, for a steward
    TABLE_APPROVE = "table.approve"  # with two stewards the first only proposes; flag "proposed"
    TABLE_LIST = "table.list"
    TABLE_ANSWER = "table.answer"  # an exact frequency table, charged in the same transaction
    RELEASE_SHOW = "release.show"
    RELEASE_VERIFY = "release.verify"
    RELEASE_DOWNLOAD = "release.download"  # a server began to send a file of a release to whom it is for
    RELEASE_HOLDINGS = "release.holdings"
    RELEASE_NOTICE = "release.notice"  # recipients have to drop somebody
    RELEASE_CALL_OFF = "release.notice.call_off"  # they need not, or another notice says it
    RELEASE_ISSUE_NOTICE = "release.notice.issue"  # its file was written
    RELEASE_ESCALATE = "release.notice.late"
    RELEASE_ACKNOWLEDGE = "release.notice.acknowledge"
    RELEASE_REOPEN_NOTICE = "release.notice.reopen"  # it was acknowledged wrongly
    PSEUDONYM_RESOLVE = "pseudonym.resolve"  # somebody was told whose it is
    PSEUDONYM_OPEN = "pseudonym.resolve.open"  # the first of two people
    PSEUDONYM_APPROVE = "pseudonym.resolve.approve"  # the second
    PSEUDONYM_CLOSE = "pseudonym.resolve.close"  # not to be told after all
    PSEUDONYM_LIST = "pseudonym.resolve.list"
    PSEUDONYM_NAME = "pseudonym.name"  # the way back: what a person is called in a project

    AUDIT_READ = "audit.read"
    AUDIT_APPROVALS = "audit.approvals"
    AUDIT_VERIFY = "audit.verify"
    AUDIT_PROVE = "audit.prove"
    AUDIT_EXPORT = "audit.export"
    AUDIT_ANCHOR = "audit.anchor"
    AUDIT_DISCLOSURES = "audit.disclosures"
    AUDIT_REPORT = "audit.report"
    LOG_CONTINUE = "log.continue"  # leaf 0 of a log that continues another

    PRINCIPAL_ADD = "principal.add"
    PRINCIPAL_DISABLE = "principal.disable"
    PRINCIPAL_LIST = "principal.list"
    PRINCIPAL_TOKEN = "principal.token"  # noqa: S105 - an act, not a secret
    PRINCIPAL_SHOW_TOKEN = "principal.token.shown"  # noqa: S105 - as above: from where it is not good; what is in order is told by what it was shown for
    PRINCIPAL_REVOKE_TOKEN = "principal.token.revoke"  # noqa: S105 - as above
    PRINCIPAL_NAME_IDENTITY = "principal.identity"  # with an OpenID provider, by which they log in
    PRINCIPAL_FORGET_IDENTITY = "principal.identity.forget"
    SLOT_ADD = "slot.add"
    SLOT_REMOVE = "slot.remove"
    SLOT_LIST = "slot.list"
    KEY_ROTATE = "key.rotate"
    KEY_DESTROY = "key.destroy"
    KEY_LIST = "key.list"
    KEYSTORE_RECONCILE = "keystore.reconcile"  # a change of the keystore whose own entry a killed process never wrote

    BACKUP_CREATE = "backup.create"
    BACKUP_RESTORE = "backup.restore"
    BACKUP_DESTROYED = "backup.destroyed"
    DOCTOR_RUN = "doctor.run"
    JOB_START = "job.start"
    JOB_DONE = "job.done"


class Outcome(StrEnum):
    """Outcome of an action. An ``intent`` is written before anything is opened; a later entry that ``refers`` to it closes it."""

    INTENT = "intent"
    DONE = "done"
    REFUSED = "refused"  # by policy or for lack of authority
    FAILED = "failed"  # stopped by an error
    ABORTED = "aborted"  # an intent that recovery closed without a release


def ending(outcomes: Iterable[str | None]) -> str | None:
    """Final outcome of an access, from the outcomes of the entries that close it, oldest first; None if there are none.

    ``done`` stands against any later outcome: an entry cannot take back data that was handed over.
    """
    known = [outcome for outcome in outcomes if outcome is not None]
    return Outcome.DONE.value if Outcome.DONE.value in known else known[-1] if known else None


class ActorKind(StrEnum):
    """Kind of actor. ``system`` acts in recovery and jobs; ``unknown`` stands for a failed unlock."""

    STEWARD = "steward"
    RESEARCHER = "researcher"
    AUDITOR = "auditor"
    ENGINE = "engine"
    CUSTODIAN = "custodian"
    SERVICE = "service"
    SYSTEM = "system"
    UNKNOWN = "unknown"
