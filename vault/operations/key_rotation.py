"""Rotation of keys while the vault is in use (docs/design/keys.md §13).

    epochs      a branch gets a new epoch to write with, and every stored key of the branch is wrapped anew under it
    old epochs  are destroyed once nothing is wrapped or sealed under them: old key databases are then unreadable with this keystore
    root        new root and branch keys for the slots whose factors are given: a removed principal cannot open a later keystore
    tokens      every subject gets a new audit salt; old ones can be destroyed once the log need no longer be searched by them
    projects    a project gets a new pseudonym key: its later releases cannot be linked with earlier ones by pseudonym

Wrapping anew is a job: bounded batches, each a transaction, resumed at the next open after a kill. Readers in other processes load
the keystore again when they meet an unknown epoch.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select, update

from vault.audit.actions import Action, Outcome
from vault.audit.entry import ObjectRef
from vault.crypto import keystore
from vault.crypto.envelope import blob_key
from vault.crypto.key_wrapping import PURPOSE_BRANCH, KeyPurpose
from vault.crypto.keystore import Branch, Factor
from vault.errors import InputError, UsageError
from vault.ids import new_id
from vault.limits import ALARM_KEK_WRAPS
from vault.session.key_usage import EpochUse
from vault.session.principals import change_keystore, require_administrator
from vault.session.rewrapping import rewrap
from vault.session.unlocked_vault import UnlockedVault
from vault.storage import audit_tables
from vault.storage.base import Base
from vault.storage.book_tables import JOB_DONE, ConsentPrivateRow, IdentityRow, JobRow, ProjectRow
from vault.storage.database import Transaction
from vault.storage.timestamps import to_micros

KIND = "rotate"
BATCH = 5_000  # keys wrapped anew in one transaction: about 0.1 s for other writers to wait
REWRAPPING, DONE = "rewrapping", JOB_DONE
BY_DEFAULT = (Branch.GENOTYPE, Branch.IDENTITY, Branch.PSEUDONYM)
_OTHERWISE = (audit_tables, IdentityRow, ConsentPrivateRow)  # sealed for a session of the log, or under a person's own key
SEALED_IN_BOOKS = tuple(
    mapper.class_.sealed
    for mapper in sorted(Base.registry.mappers, key=lambda one: one.class_.__name__)
    if hasattr(mapper.class_, "sealed") and not {mapper.class_, sys.modules[mapper.class_.__module__]}.intersection(_OTHERWISE)
)
"""Every column of records that the books branch seals itself."""

Progress = Callable[[int], None]
"""``progress(keys wrapped anew so far)``."""


@dataclass(frozen=True)
class EpochSummary:
    """One epoch of a branch, as ``key epochs`` shows it."""

    branch: str
    epoch: int
    current: bool
    keys: int  # wrapped under it now
    wraps: int  # ever made under it
    worn: bool  # past the alarm: rotate


def rotate(vault: UnlockedVault, branches: Sequence[Branch] = BY_DEFAULT, *, progress: Progress = lambda _: None) -> int:
    """Start a new epoch of each branch and wrap its keys anew; return the number of keys.

    Raises:
        UnavailableError: ``not_administrator``; ``keystore_changed``; ``branch_closed``.
    """
    with vault.trail.attempting(Action.KEY_ROTATE):
        require_administrator(vault)
        signing = vault.keyring.current(Branch.LOG_SIGN)[0] if Branch.LOG_SIGN in branches else 0
        row = JobRow(
            job_id=new_id(vault.random),
            kind=KIND,
            state=REWRAPPING,
            payload=json.dumps({"branches": [b.value for b in branches], "hand_over_from": signing}).encode(),
            created=to_micros(vault.clock()),
        )
        with vault.books.write() as tx:
            tx.add(row)
        for branch in branches:
            change_keystore(
                vault,
                Action.KEY_ROTATE,
                lambda unlocked, branch=branch: keystore.add_epoch(unlocked, branch, random=vault.random),  # type: ignore[misc]
                about=ObjectRef("branch", branch.value),
            )
        return _finish(vault, row.job_id, json.loads(row.payload), progress)


def resume(vault: UnlockedVault) -> int:
    """Finish rotations that a killed process began, if this principal holds the branches; return their number."""
    with vault.books.read() as tx:
        query = select(JobRow.job_id, JobRow.payload).where(JobRow.kind == KIND, JobRow.state != DONE)
        found = tx.execute(query.order_by(JobRow.created)).all()
    done = 0
    for row in found:
        job = json.loads(row.payload)
        if all(vault.keyring.has(Branch(branch)) for branch in [*job["branches"], Branch.LOG_SIGN]):
            _finish(vault, row.job_id, job, lambda _: None)
            done += 1
    return done


def renew_root(vault: UnlockedVault, factors: Mapping[str, Factor]) -> list[str]:
    """Renew root and branch keys, drop slots whose factor is not given (by slot id, hex), and return the dropped slots' ids.

    Call ``rotate`` as well when a principal is no longer trusted: earlier epochs may have been copied.

    Raises:
        InputError: ``slot_unknown``. UsageError: ``last_administrator``.
        UnavailableError: ``not_administrator``; ``keystore_changed``; ``cannot_unlock``.
    """
    with vault.trail.attempting(Action.KEY_ROTATE):
        require_administrator(vault)
        given = {bytes.fromhex(slot): factor for slot, factor in factors.items()}
        before = [slot.slot_id for slot in vault.unlocked.keystore.slots]
        change_keystore(
            vault,
            Action.KEY_ROTATE,
            lambda unlocked: keystore.renew(unlocked, given, random=vault.random),
            about=ObjectRef("root", vault.vault_id.hex()),
        )
        return [slot.hex() for slot in before if slot not in given]


def renew_tokens(vault: UnlockedVault, *, progress: Progress = lambda _: None) -> int:
    """Give every subject a new audit salt and token; earlier entries stay linked by the old token. Return the number of subjects.

    Raises:
        UnavailableError: ``branch_closed``.
    """
    with vault.trail.attempting(Action.KEY_ROTATE):
        require_administrator(vault)
        renewed = 0
        target = vault.subject_keys.token_version() + 1
        while count := vault.subject_keys.renew_tokens(target, limit=BATCH):
            renewed += count
            progress(renewed)
        with vault.books.write() as tx:
            _tell_sessions(vault, tx)
            vault.trail.append(
                tx, Action.KEY_ROTATE, Outcome.DONE, obj=ObjectRef("tokens", str(target)), counts={"subjects": renewed}
            )
    return renewed


def destroy_old_tokens(vault: UnlockedVault) -> int:
    """Destroy all but the newest audit salts and tokens, which unlinks the entries under them; return the number of tokens."""
    with vault.trail.attempting(Action.KEY_DESTROY):
        require_administrator(vault)
        with vault.books.write() as tx:
            _tell_sessions(vault, tx)
        gone = vault.subject_keys.destroy_old_tokens()
        vault.trail.record(Action.KEY_DESTROY, Outcome.DONE, obj=ObjectRef("tokens", "old"), counts={"tokens": gone})
    return gone


def _tell_sessions(vault: UnlockedVault, tx: Transaction) -> None:
    """Leave a finished job in the books, where open sessions see that people's tokens are others: they name them by the newest."""
    row = JobRow(
        job_id=new_id(vault.random), kind=KIND, state=DONE, payload=b'{"tokens": true}', created=to_micros(vault.clock())
    )
    tx.add(row)
    tx.flush()


def renew_project(vault: UnlockedVault, code: str, *, keep_old: bool = False) -> int:
    """Give a project a new pseudonym key and return its version; the old key is destroyed unless ``keep_old``, to resolve old pseudonyms.

    Raises:
        InputError: ``project_unknown``. UnavailableError: ``branch_closed``.
    """
    with vault.trail.attempting(Action.KEY_ROTATE, project=code):
        require_administrator(vault)
        with vault.books.read() as tx:
            project_id = tx.scalar(select(ProjectRow.project_id).where(ProjectRow.code == code))
        if project_id is None:
            raise InputError("project_unknown", f"there is no project {code}", hint="genovault project list")
        version = vault.keys.newest_version(KeyPurpose.PROJECT, project_id) + 1
        vault.keys.create(KeyPurpose.PROJECT, [project_id], version=version)
        with vault.books.write() as tx:
            # A release in the making holds pseudonyms of the old key: raising the version stops it.
            tx.execute(update(ProjectRow).where(ProjectRow.project_id == project_id).values(version=ProjectRow.version + 1))
            vault.trail.append(tx, Action.KEY_ROTATE, Outcome.DONE, project=code, obj=ObjectRef("project-key", str(version)))
        if not keep_old:
            vault.keys.destroy_older(KeyPurpose.PROJECT, project_id, than=version)
    return version


def epochs(vault: UnlockedVault) -> list[EpochSummary]:
    """List all epochs with their use counters; the reading is logged."""
    with vault.trail.attempting(Action.KEY_LIST):
        used = {(use.branch, use.epoch): use for use in vault.keys.epochs.uses()}
        found = []
        for branch in Branch:
            numbers = vault.unlocked.keystore.epochs(branch)
            for number in numbers:
                use = used.get((branch, number))
                keys, wraps = (use.keys, use.wraps) if use else (0, 0)
                found.append(EpochSummary(branch.value, number, number == max(numbers), keys, wraps, _worn(use)))
        vault.trail.record(Action.KEY_LIST, Outcome.DONE, counts={"epochs": len(found)})
    return found


def destroy_epoch(vault: UnlockedVault, branch: Branch, number: int) -> None:
    """Destroy an old epoch of a branch, in both copies of the keystore. Backups of the keystore keep it until they expire.

    Raises:
        InputError: ``epoch_unknown``. UsageError: ``epoch_current``; ``epoch_in_use``: something is wrapped or sealed under it.
        UnavailableError: ``not_administrator``; ``keystore_changed``.
    """
    with vault.trail.attempting(Action.KEY_DESTROY):
        require_administrator(vault)
        numbers = vault.unlocked.keystore.epochs(branch)
        if number not in numbers:
            raise InputError("epoch_unknown", f"{branch.value} has no epoch {number}", hint="genovault key epochs lists them")
        if number == max(numbers):
            raise UsageError("epoch_current", "the newest epoch is in use", hint="genovault key rotate starts a new one")
        _require_unsealed(vault, branch, number)
        vault.keys.epochs.close(branch, number)
        change_keystore(
            vault,
            Action.KEY_DESTROY,
            lambda unlocked: keystore.drop_epoch(unlocked, branch, number, random=vault.random),
            about=ObjectRef("epoch", f"{branch.value}:{number}"),
        )


def branch_named(name: str) -> Branch:
    """Branch by its name. Raises UsageError ``branch_unknown``."""
    if name not in set(Branch):
        raise UsageError("branch_unknown", f"there is no branch {name}", hint=", ".join(Branch))
    return Branch(name)


def _finish(vault: UnlockedVault, job_id: bytes, job: Mapping[str, object], progress: Progress) -> int:
    branches = [Branch(branch) for branch in job["branches"]]  # type: ignore[attr-defined]
    count = 0
    for purpose in [purpose for purpose in KeyPurpose if PURPOSE_BRANCH[purpose] in branches]:
        while batch := rewrap(vault.keys, purpose, limit=BATCH, random=vault.random):
            count += batch
            progress(count)
    with vault.books.write() as tx:
        tx.execute(update(JobRow).where(JobRow.job_id == job_id).values(state=DONE, payload=b""))
        vault.trail.append(tx, Action.KEY_ROTATE, Outcome.DONE, obj=ObjectRef("job", job_id.hex()), counts={"keys": count})
    old = job["hand_over_from"]
    if isinstance(old, int) and 0 < old < vault.keyring.current(Branch.LOG_SIGN)[0]:
        vault.trail.hand_over(old)
    return count


def _worn(use: EpochUse | None) -> bool:
    return use is not None and use.wraps >= ALARM_KEK_WRAPS


def sealed_under(tx: Transaction, number: int) -> int:
    """Number of records that are sealed under an epoch of the books branch."""
    return sum(
        blob_key(sealed)[1] == number
        for column in SEALED_IN_BOOKS
        for sealed in tx.scalars(select(column).where(column.is_not(None)))
    )


def _require_unsealed(vault: UnlockedVault, branch: Branch, number: int) -> None:
    """Refuse while records are sealed under an epoch of the books branch, which seals them itself and not through stored keys.

    Raises:
        UsageError: ``epoch_in_use``.
    """
    if branch is not Branch.BOOKS:
        return
    with vault.books.read() as tx:
        held = sealed_under(tx, number)
    if held:
        raise UsageError("epoch_in_use", f"{held} records of the books are sealed under epoch {number}")
