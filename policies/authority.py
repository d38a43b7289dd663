"""Act by role: which roles may do what. Deny by default.

Asked wherever an act is logged, before its entry says that it was done (``docs/design/access.md`` §1). The table binds the
program; what a role's keys can open is the keyring's table (``docs/design/keys.md`` §3), and what decides over a release is
signed by its actor's own key, so that neither a row nor another program can stand in for a role.

A service (a server's slot) acts for people who hold no keys: what it may do in somebody's name is a table of its own, and narrower.

Acts are the values of the log's vocabulary (``docs/formats/audit.md``), roles those of unlock slots.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

STEWARD, AUDITOR, ENGINE, CUSTODIAN, RESEARCHER = "steward", "auditor", "engine", "custodian", "researcher"
SERVICE = "service"
ROLES = frozenset({STEWARD, AUDITOR, ENGINE, CUSTODIAN, RESEARCHER, SERVICE})

_STEWARDS = frozenset({STEWARD})
_WHO_KNOWS_PEOPLE = frozenset({STEWARD, CUSTODIAN})
_WHO_ASKS = frozenset({STEWARD, ENGINE, RESEARCHER})
_WHO_CHECKS_THE_LOG = frozenset({STEWARD, AUDITOR})
_WHO_COUNTS = frozenset({STEWARD, ENGINE})  # whoever can open genotypes; a researcher gets answers from a steward or a service

_TABLE: dict[frozenset[str], tuple[str, ...]] = {
    # Opening, closing what a killed process left, and looking a vault over: whoever unlocks it.
    ROLES: (
        "vault.open",
        "vault.unlock.failed",
        "view.outcome",
        "view.match.outcome",
        "extract.outcome",
        "job.done",
        "keystore.reconcile",
        "doctor.run",
        "stream.probe",
        "principal.token.shown",
        "dataset.list",
        "release.verify",
        "audit.verify",
        "audit.prove",
    ),
    _STEWARDS: (
        "vault.init",
        "vault.upgrade",
        "vault.relocate",
        "vault.clock",
        "vault.incarnation",
        "subject.import",
        "subject.update",
        "subject.restrict",
        "subject.erase",
        "subject.merge",
        "subject.merge.propose",
        "subject.merge.take_back",
        "subject.compare",
        "consent.import",
        "consent.record",
        "consent.correct",
        "consent.correct.propose",
        "consent.correct.take_back",
        "consent.explain",
        "consent.export",
        "consent.coverage",
        "consent.expiring",
        "consent.queue",
        "consent.form",
        "consent.pack",
        "dataset.import",
        "dataset.check",
        "dataset.compact",
        "dataset.move",
        "dataset.parts",
        "dataset.recount",
        "dataset.rule",
        "dataset.remove",
        "dataset.upgrade",
        "dataset.verify",
        "panel.create",
        "panel.build",
        "criteria.add",
        "criteria.approve",
        "criteria.retire",
        "project.create",
        "project.edit",
        "project.amend",
        "project.take_back",
        "project.reopen",
        "project.approve",
        "project.suspend",
        "project.close",
        "project.check",
        "project.rule",
        "recipient.add",
        "recipient.confirm",
        "recipient.retire",
        "recipient.list",
        "budget.show",
        "budget.raise",
        "table.assess",
        "table.approve",
        "table.list",
        "request.approve",
        "request.deny",
        "request.answer",
        "request.risk",
        "extract.intent",
        "release.show",
        "release.holdings",
        "pseudonym.name",
        "release.notice.issue",
        "release.notice.late",
        "release.notice.acknowledge",
        "release.notice.reopen",
        "audit.anchor",
        "log.continue",
        "principal.add",
        "principal.disable",
        "principal.token",
        "principal.token.revoke",
        "principal.identity",
        "principal.identity.forget",
        "slot.add",
        "slot.remove",
        "key.rotate",
        "key.destroy",
        "backup.restore",
        "backup.destroyed",
        "job.start",
    ),
    # A withdrawal only takes away: whoever can name the person may record one.
    _WHO_KNOWS_PEOPLE: (
        "consent.withdraw",
        "release.notice",
        "release.notice.call_off",
        "consent.show",
        "subject.list",
        "subject.find",
        "subject.show",
        "pseudonym.resolve",
        "pseudonym.resolve.open",
        "pseudonym.resolve.approve",
        "pseudonym.resolve.close",
        "pseudonym.resolve.list",
    ),
    _WHO_ASKS: (
        "view.intent",
        "view.read",
        "view.changes",
        "panel.settle",
        "request.submit",
        "request.withdraw",
        "request.show",
        "project.show",
        "dataset.show",
        "criteria.show",
    ),
    _WHO_ASKS | {CUSTODIAN}: ("panel.show",),
    _WHO_COUNTS: ("counts.answer", "table.answer", "view.match.intent"),
    frozenset({ENGINE, RESEARCHER}): ("stream.ticket", "stream.header", "release.download"),  # by a token, through a service
    _WHO_CHECKS_THE_LOG: (
        "audit.read",
        "audit.approvals",
        "audit.export",
        "audit.disclosures",
        "audit.report",
        "principal.list",
        "slot.list",
        "key.list",
    ),
    frozenset({STEWARD, AUDITOR, ENGINE, CUSTODIAN}): ("backup.create",),
}

ALLOWED: Mapping[str, frozenset[str]] = MappingProxyType({act: roles for roles, acts in _TABLE.items() for act in acts})
"""The roles that may do each act. An act that is not here is refused to everybody."""


_SERVED: dict[frozenset[str], tuple[str, ...]] = {
    frozenset({ENGINE, RESEARCHER}): (
        "view.intent",
        "view.outcome",
        "view.read",
        "view.changes",
        "panel.settle",
        "view.match.intent",
        "view.match.outcome",
        "counts.answer",
        "stream.ticket",
        "stream.header",
        "request.submit",
        "request.withdraw",
        "request.show",
        "project.show",
        "dataset.show",
        "panel.show",
        "budget.show",
        "audit.prove",
        "extract.intent",
        "extract.outcome",
        "release.show",
        "release.download",
        "release.notice.issue",
        "release.notice.acknowledge",
    ),
}

SERVED: Mapping[str, frozenset[str]] = MappingProxyType({act: roles for roles, acts in _SERVED.items() for act in acts})
"""The roles of the people for whom a service may do each act. Nothing that decides: approvals need the key of who approves."""


CHANGES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        **dict.fromkeys(
            (
                "vault",
                "principal",
                "access_token",
                "outside_identity",
                "dataset",
                "part",
                "personal_part",
                "people_digest",
                "panel",
                "consent_form",
                "reference_document",
                "ruling",
                "approval",
                "project",
                "project_version",
                "recipient",
                "erasure",
                "erasing_chunk",
                "budget_raise",
                "criteria_pack",
                "table_approval",
                "key_backup",
            ),
            _STEWARDS,
        ),
        "request": _WHO_ASKS | {SERVICE},
        "released_sites": _WHO_ASKS | {SERVICE},  # of views
        "linkage_decision": _WHO_ASKS | {SERVICE},  # of views
        "budget": _WHO_COUNTS | {SERVICE},
        "budget_family": _WHO_COUNTS | {SERVICE},
        "frequency_table": _WHO_COUNTS | {SERVICE},
        "consent_batch": _WHO_KNOWS_PEOPLE,
        "notice": _WHO_KNOWS_PEOPLE
        | {SERVICE},  # a withdrawal opens them, and whom they are for acknowledges them through a service
        "resolution": _WHO_KNOWS_PEOPLE,
        "job": _STEWARDS,
        "lease": ROLES - {RESEARCHER},  # an expired one is closed by whoever opens the vault
    }
)
"""The roles whose keys may sign a changed collection of the books, by its table."""


STEWARDS_OWN = frozenset(collection for collection, roles in CHANGES.items() if roles == _STEWARDS)
"""The collections that stewards alone change: signed once more together, so that none of them goes back alone."""


def may_change(role: str, collection: str) -> bool:
    """Tell whether a role may leave a collection of the books changed; False for what the table does not know."""
    return role in CHANGES.get(collection, frozenset())


def may(role: str, act: str) -> bool:
    """Tell whether a role may do an act; False for acts and roles that the table does not know."""
    return role in ALLOWED.get(act, frozenset())


def may_for(role: str, act: str) -> bool:
    """Tell whether a service may do an act for somebody of a role; False for acts and roles that the table does not know."""
    return role in SERVED.get(act, frozenset())
