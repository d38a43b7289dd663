"""Health checks of a vault: damage, leftovers, unfinished work, worn keys, and the remedy of each finding.

Nothing is changed. A check whose branches the principal does not hold is skipped, and the report names it.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

from sqlalchemy import func, select, true

from vault.access import recipients, releases, signed_approvals
from vault.audit import row_checks
from vault.audit.actions import Action, Outcome
from vault.audit.live_source import check_live
from vault.consent import ledger
from vault.crypto import keystore_files
from vault.crypto.key_wrapping import PURPOSE_BRANCH, KeyPurpose
from vault.crypto.keystore import Branch
from vault.errors import GenovaultError, IntegrityError
from vault.genotypes.catalog.object_inventory import table_keys
from vault.limits import ALARM_KEK_WRAPS
from vault.operations import (
    consent_times,
    dataset_upgrade,
    key_backups,
    object_checks,
    people_checks,
    put_back,
    release_checks,
    repair,
)
from vault.operations.erasure.job import DONE, ERASED
from vault.operations.health import HealthFinding, Severity
from vault.session import moments
from vault.session.high_water import NEWER_KEYS
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import ErasureRow, JobRow, LeaseRow, PrincipalRow, ReleaseRow, SubjectRow, VaultRow
from vault.storage.database import PRAGMAS
from vault.storage.planted import missing_guards
from vault.storage.timestamps import to_micros

__all__ = ["HealthFinding", "HealthReport", "Severity", "examine"]

DETAILS_OPENED = 1_000  # the newest: each takes a key agreement
RESTORE = "genovault restore SRC"
PEOPLE_CHECKS = people_checks.members, people_checks.chunks, people_checks.evidence

Check = Callable[[UnlockedVault], Iterator["HealthFinding"]]


_error, _warning, _note = (partial(HealthFinding, severity) for severity in Severity)


@dataclass(frozen=True)
class HealthReport:
    """Findings, gravest first, and the names of skipped checks."""

    findings: tuple[HealthFinding, ...]
    skipped: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """True without a finding of severity error."""
        return not any(finding.severity is Severity.ERROR for finding in self.findings)


def examine(vault: UnlockedVault, *, on_progress: Callable[[str], None] = lambda _: None) -> HealthReport:
    """Run all checks; the run is an entry of the log, unless the vault is one that an opening refuses: such a log is left alone.

    Args:
        on_progress: called with the name of each check as it begins.

    Raises:
        UnavailableError: a database or the object store does not answer.
    """
    refused = list(put_back.refusals(vault))
    found = [_error(error.code, error.message, put_back.least(error, RESTORE)) for error in refused]
    skipped: list[str] = []
    with nullcontext() if refused else vault.trail.attempting(Action.DOCTOR_RUN):
        for name, check, branches in _CHECKS:
            if not all(vault.keyring.has(branch) for branch in branches) or (refused and check is _signing):
                skipped.append(name)
                continue
            on_progress(name)
            found.extend(_run_check(vault, name, check))
    counts = {severity.value: sum(f.severity is severity for f in found) for severity in Severity}
    try:
        put_back.closed(refused)
        if not refused:
            vault.trail.record(Action.DOCTOR_RUN, Outcome.DONE, counts=counts)
    except GenovaultError as error:  # nothing was released, and the report has to tell the state of the log
        closed = f"the log takes no entry, of this run neither: {error.message}"
        found.append(_error("log_closed", closed, put_back.least(error, RESTORE)))
    order = list(Severity)
    return HealthReport(tuple(sorted(dict.fromkeys(found), key=lambda f: order.index(f.severity))), tuple(skipped))


def _run_check(vault: UnlockedVault, name: str, check: Check) -> Iterator[HealthFinding]:
    """Findings of one check; an integrity error that ends it is a finding too."""
    try:
        yield from check(vault)
    except IntegrityError as error:
        yield _error(error.code, f"{name}: {error.message}", put_back.least(error, RESTORE))
    except (ValueError, LookupError) as error:  # a stored value that no program wrote; its text could be anything
        yield _error("row_unreadable", f"{name}: a row holds what no program wrote ({type(error).__name__})", RESTORE)


def _collections(vault: UnlockedVault) -> Iterator[HealthFinding]:
    if not vault.books.upgraded:
        yield _warning("not_upgraded", "what decides in this vault is not signed", "genovault upgrade")
        return
    altered = vault.books.altered()
    for message in altered.values():
        yield _error("collection_altered", message, put_back.LEAST["collection_altered"])
    if altered:  # what rests on them cannot be read
        return
    with vault.books.read() as tx:
        stated, found = row_checks.newest_state(tx), vault.books.state_number(tx)
    if found < stated:
        text = f"what stewards decide is of change {found}, but the log tells of change {stated}: it was put back"
        yield _error("state_put_back", text, RESTORE)
    if vault.keyring.has(Branch.BOOKS):
        for message in signed_approvals.missing(vault):
            yield _error("approval_missing", message, "approve it again, if it was approved")
        for message in recipients.faults(vault):
            yield _error("recipient_altered", message, "retire it, then add and confirm the key again")


def _keystore(vault: UnlockedVault) -> Iterator[HealthFinding]:
    if not keystore_files.copies_agree(vault.folder):
        yield _warning("keystore_copies", "the two copies of the keystore differ or one is damaged", "genovault doctor --mend")
    with vault.books.read() as tx:
        known = tx.scalars(select(VaultRow.keystore_seq)).one()
        active = set(tx.scalars(select(PrincipalRow.name).where(PrincipalRow.state == "active")))
    if known < vault.public.seq:
        yield _warning("keystore_unlogged", "the log does not know of the newest keystore", "open the vault as a steward")
    slots = vault.unlocked.keystore.slots
    orphaned = {slot.principal for slot in slots} - active
    if orphaned:
        text = f"{len(orphaned)} names have slots and are no active principals"
        yield _error("slot_of_nobody", text, "genovault key remove-slot ID")
    if sum(slot.administers for slot in slots) == 1:
        text = "one slot alone administers the keys: if it is lost, so is that"
        yield _note("one_administrator", text, "genovault key add-slot")


def _permissions(vault: UnlockedVault) -> Iterator[HealthFinding]:
    paths = [vault.folder, *vault.folder.iterdir()]
    exposed = [path for path in paths if path.lstat().st_mode & (stat.S_IRWXG | stat.S_IRWXO) and not path.is_symlink()]
    for path in exposed:
        yield _error("open_permissions", f"{path.name} is open to other users", f"chmod go= {path}")
    for path in vault.folder.glob(".*"):
        yield _note("left_over", f"{path.name} was left by a process that died", f"rm -r {path}")
    beside = f".{vault.folder.name}."
    for path in vault.folder.parent.glob(f"{beside}*"):
        if path.suffix in (".backup", ".restore", ".init"):
            yield _warning("left_over", f"{path.name} was left by a process that died; it may hold keys", f"rm -r {path}")


def _databases(vault: UnlockedVault) -> Iterator[HealthFinding]:
    for name, database in vault.databases():
        for pragma, found in database.settings():
            if found != dict(PRAGMAS)[pragma]:
                yield _error("sqlite_setting", f"{name}: {pragma} is {found}", "use a local file system")
        if name == "books" and (gone := missing_guards(database)):
            yield _warning("guards_missing", f"{gone} triggers that keep the log from being rewritten are gone", RESTORE)
        for message in database.damage():
            yield _error("database_damaged", f"{name}: {message}", RESTORE)


def _log(vault: UnlockedVault) -> Iterator[HealthFinding]:
    report = check_live(vault.trail.log, None, "\n".join(key.to_text() for key in vault.trail.log_keys()))
    for finding in report.findings:
        yield _error("log_broken", finding.message, "genovault audit verify; then restore a backup")
    for index, time, before in report.steps_back:
        text = f"entry {index} of the log says {time}, earlier than {before} before it"
        yield _warning("log_time_back", text, consent_times.LOOK)
    with vault.books.read() as tx:
        if (when := moments.moment(vault, tx)).behind:
            yield _warning("clock_behind", f"{when.words()}: decisions are for that time", moments.REMEDY)
        for message in row_checks.faults(tx):
            yield _error("log_rows_altered", message, RESTORE)
    if vault.keyring.has(Branch.AUDIT_READ):
        for index in vault.trail.log.with_detail(DETAILS_OPENED):
            try:
                vault.trail.detail(index)
            except GenovaultError as error:
                yield _error("detail_altered", f"the detail of entry {index} does not open: {error.message}", RESTORE)
    if not vault.trail.anchors:
        yield _note("no_anchor", "no anchor guards the log against an old copy of the vault", "genovault audit anchor DIR")


def _signing(vault: UnlockedVault) -> Iterator[HealthFinding]:
    try:
        vault.trail.checkpoint()  # as every command does at its end, and would fail there
    except GenovaultError as error:
        message = f"the newest entries cannot be signed: {error.message}"
        yield _error("log_unsigned", message, put_back.least(error, RESTORE))


def _ledger(vault: UnlockedVault) -> Iterator[HealthFinding]:
    try:
        with vault.books.read() as tx:
            book = ledger.read(tx, vault)
    except GenovaultError as error:
        yield _error(error.code, error.message, put_back.least(error, RESTORE))
        return
    for message in consent_times.odd_times(book, vault.clock()):
        yield _warning("consent_time_odd", message, consent_times.REMEDY)


def _dates(vault: UnlockedVault) -> Iterator[HealthFinding]:
    for message in consent_times.impossible_dates(vault):
        yield _warning(
            "consent_date_impossible", message, "genovault consent show REF, then genovault consent correct EVENT --reason TEXT"
        )


def _records(vault: UnlockedVault) -> Iterator[HealthFinding]:
    yield from (_error("release_altered", message, RESTORE) for message in releases.faults(vault))


def _people(vault: UnlockedVault) -> Iterator[HealthFinding]:
    yield from (_error(*fault, RESTORE) for check in PEOPLE_CHECKS for fault in check(vault))


def _identities(vault: UnlockedVault) -> Iterator[HealthFinding]:
    yield from (_error(*fault, RESTORE) for fault in people_checks.identities(vault))


def _objects(vault: UnlockedVault) -> Iterator[HealthFinding]:
    yield from (_error(*fault) for fault in object_checks.objects(vault))
    if lost := repair.orphaned_objects(vault):
        yield _warning("orphans", f"{len(lost)} objects that nothing names", "genovault doctor --mend")


def _containers(vault: UnlockedVault) -> Iterator[HealthFinding]:
    checks = (object_checks.containers, object_checks.counts)
    yield from (_error(*fault) for check in checks for fault in check(vault))


def _keys(vault: UnlockedVault) -> Iterator[HealthFinding]:
    """Named keys that are gone, subjects without keys, orphaned keys, use counters, unfinished rotations."""
    with vault.books.read() as tx:
        needed = table_keys(tx)
        erased = set(tx.scalars(select(ErasureRow.erasure_id)))
    if missing := vault.keys.missing_ids(key_id for _, key_id in needed):
        yield _error("key_missing", f"{len(missing)} keys of stored genotypes are gone", "import those datasets again")
    for code, message in people_checks.keys(vault):
        yield _error(code, message, "genovault restore SRC beside the newest keys")
    if orphaned := repair.orphaned_keys(vault):
        text = f"{len(orphaned)} people have keys and are in no book: an import was killed, or the books are older than the keys"
        mendable = repair.may_sweep_orphaned_keys(vault)
        remedy = (
            "genovault doctor --mend, if no newer books exist"
            if mendable
            else "keep them: they do no harm, and newer books may turn up"
        )
        yield _warning("keys_of_nobody", text, remedy)
    if erased - vault.keys.erasures():
        yield _error("keys_behind", "the key database is older than the books", NEWER_KEYS)
    for epoch in vault.keys.epochs.undercounted():
        yield _error("key_usage_altered", f"the use of epoch {epoch} was counted too low", "genovault key rotate")
    held = {(branch, number) for branch in Branch for number in vault.unlocked.keystore.epochs(branch)}
    for use in vault.keys.epochs.uses():
        if use.wraps >= ALARM_KEK_WRAPS:
            yield _warning("key_worn", f"epoch {use.epoch} of {use.branch} has wrapped {use.wraps} keys", "genovault key rotate")
        if use.keys and (use.branch, use.epoch) not in held:
            yield _error(
                "epoch_gone", f"{use.keys} keys are under a destroyed epoch of {use.branch}", "restore the newest keystore"
            )
        newest = max(number for branch, number in held if branch is use.branch)
        if use.keys and use.epoch < newest:
            text = f"{use.keys} keys of {use.branch} are still under epoch {use.epoch}"
            yield _warning("rotation_unfinished", text, "open the vault as a steward")


def _wraps(vault: UnlockedVault) -> Iterator[HealthFinding]:
    """Keys that do not open where they stand, of the branches that whoever looks holds."""
    for purpose in filter(vault.keys.opens, KeyPurpose):
        if broken := vault.keys.unopenable(purpose):
            yield _error("key_altered", f"{broken} {purpose.value} keys do not open where they stand", NEWER_KEYS)


def _unfinished(vault: UnlockedVault) -> Iterator[HealthFinding]:
    now = to_micros(vault.clock())
    with vault.books.read() as tx:
        jobs = tx.execute(select(JobRow.kind, JobRow.state).where(JobRow.state != DONE)).all()
        over = select(func.count()).select_from(LeaseRow).where(LeaseRow.expires < now, LeaseRow.retired.is_not(true()))
        leases = tx.scalar(over) or 0
        at_work = select(func.count()).select_from(LeaseRow).where(LeaseRow.expires >= now)
        live = tx.scalar(at_work.where(LeaseRow.retired.is_not(true()))) or 0
        halves = tx.scalar(select(func.count()).where(ReleaseRow.state.in_(("staging", "committed")))) or 0
    for kind, state in jobs:
        yield _warning("job_unfinished", f"a job ({kind}) stopped after: {state}", "open the vault as a steward: it goes on")
    if leases:
        yield _note("lease_expired", f"{leases} imports were given up", "open the vault: it removes what they left")
    if live:
        text = f"{live} imports are at work, or were killed in the last two days"
        yield _note("being_written", text, "nothing: what is left over goes when their time is over")
    if halves:
        yield _note("release_unfinished", f"{halves} releases are being made, or were stopped", "open the vault: it sees to them")


def _copies(vault: UnlockedVault) -> Iterator[HealthFinding]:
    now = vault.clock()
    backups = key_backups.list_all(vault.books)
    for backup in backups:
        if backup.destroyed is None and backup.expires <= now:
            text = f"key backup {backup.backup_id} has expired and is not recorded as destroyed"
            yield _warning("key_backup_expired", text, f"destroy it, then genovault key backup-destroyed {backup.backup_id}")
    if not any(backup.held(now) for backup in backups):
        text = "no backup of the keys is known: losing them loses everything"
        yield _note("no_key_backup", text, "genovault backup --keys DEST")
    with vault.books.read() as tx:
        erased = tx.scalar(select(func.count()).where(SubjectRow.state == ERASED)) or 0
    if erased and (end := key_backups.horizon(backups, at=now)):
        text = f"{erased} erased people can be opened with key backups until {end.date()}"
        yield _note("erasure_horizon", text, "destroy the key backups that were made before, and record it")


_CHECKS: tuple[tuple[str, Check, tuple[Branch, ...]], ...] = (
    ("keystore", _keystore, ()),
    ("permissions", _permissions, ()),
    ("databases", _databases, ()),
    ("what decides", _collections, ()),
    ("log", _log, ()),
    ("signing", _signing, (Branch.LOG_SIGN,)),
    ("consent ledger", _ledger, ()),
    ("dates of signatures", _dates, (PURPOSE_BRANCH[KeyPurpose.IDENTITY], PURPOSE_BRANCH[KeyPurpose.HANDLE])),
    ("requests and releases", release_checks.findings, ()),
    ("records of releases", _records, (Branch.BOOKS,)),
    ("notices and holdings", release_checks.notices_and_holdings, (Branch.BOOKS,)),
    ("budgets and answers", release_checks.budgets_and_answers, (Branch.BOOKS,)),
    ("people", _people, ()),
    ("identities", _identities, (Branch.IDENTITY,)),
    ("keys", _keys, ()),
    ("wrapped keys", _wraps, ()),
    ("objects", _objects, ()),
    ("containers", _containers, (PURPOSE_BRANCH[KeyPurpose.SITE_TABLE],)),
    ("datasets", dataset_upgrade.findings, ()),
    ("unfinished work", _unfinished, ()),
    ("copies of the keys", _copies, ()),
)
"""(name, check, branches that it opens)."""
