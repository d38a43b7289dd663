"""Audit trail of an unlocked vault: entries in the principal's name, signed checkpoints, anchors."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from policies import authority
from vault.audit.actions import Action, ActorKind, Outcome
from vault.audit.anchors import Anchor
from vault.audit.committer import GroupCommitter
from vault.audit.entry import Actor, Event, Prepared
from vault.audit.guarded_entries import Guard, GuardedEntry, Then, record_guarded
from vault.audit.head_seal import HeadSeal
from vault.audit.log import Appended, AuditLog
from vault.audit.note import ED25519, VerifierKey
from vault.crypto.keystore import Branch, Unlocked
from vault.crypto.primitives import SigningKey
from vault.crypto.secret import Secret
from vault.errors import GenovaultError, IntegrityError, RefusedError, UnavailableError
from vault.ids import AuditToken, Clock, RandomBytes, SubjectId
from vault.session.on_behalf import OnBehalf
from vault.session.subject_keys import SubjectKeys
from vault.session.wrapped_keys import WrappedKeys
from vault.storage.book_tables import VaultRow
from vault.storage.database import Database, Transaction

_IN_APPROVALS = (Action.PROJECT_SHOW, Action.REQUEST_SHOW, Action.RELEASE_SHOW)  # what auditors read from the log instead


class AuditTrail:
    """Appends, signs and reads the audit log for one unlocked principal.

    Args:
        books: database that holds the log.
        keys: refreshed when another process has rotated the signing key.
        subject_keys: source of audit tokens.
        unlocked: principal, role and the branches held.
        row: the vault's origin and set salt.
        anchors: folders that take each signed checkpoint.
        seal: MAC of the log's head; None in a vault that was not upgraded.
        signed: called after each checkpoint.
        standing: called where an entry is to say that something is begun or done; raises where the slot was removed since.
    """

    def __init__(
        self,
        books: Database,
        keys: WrappedKeys,
        subject_keys: SubjectKeys,
        unlocked: Unlocked,
        row: VaultRow,
        *,
        anchors: Sequence[Anchor],
        seal: HeadSeal | None,
        clock: Clock,
        random: RandomBytes,
        signed: Callable[[], None] = lambda: None,
        state: Callable[[Transaction], int | None] = lambda _: None,
        standing: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.origin = row.origin
        self.anchors = tuple(anchors)
        self._books = books
        self._keys = keys
        self._subject_keys = subject_keys
        self._unlocked = unlocked
        self._vault_id = row.vault_id
        self._set_salt = row.set_salt
        self._clock = clock
        self._random = random
        self._seal = seal
        self._signed = signed
        self._state = state
        self._standing = standing
        self.person: OnBehalf | None = None
        self.newest: Appended | None = None  # the last entry of this trail; of a served person their own
        self.log = self._new_log()
        self._committer = GroupCommitter(self._commit_entries, self._commit_guarded)

    def acting(self, person: OnBehalf) -> AuditTrail:
        """The trail of what this service does in a person's name: its entries say so, and its acts are those that a service may do for them."""
        own = copy.copy(self)
        own.person = person
        return own

    def use(self, unlocked: Unlocked, *, new_log: bool = False) -> None:
        """Go on with newer keys; ``new_log``: seal the details of further entries to the new audit-read key."""
        self._unlocked = unlocked
        if new_log:
            self.log = self._new_log()

    def append(
        self, tx: Transaction, act: Action, outcome: Outcome, *, subjects: Sequence[SubjectId] = (), **fields: Any
    ) -> Appended:
        """Append an entry in the caller's transaction, so that change and entry are one. ``fields`` as ``event``'s.

        An entry of a transaction that has changed what stewards decide states the number of the state that it leaves.
        """
        if (state := self._state(tx)) is not None:
            fields["counts"] = {**fields.get("counts", {}), "state": state}
        self.newest = self.log.append(tx, self.event(act, outcome, subjects=subjects, **fields))
        return self.newest

    def record(self, act: Action, outcome: Outcome, *, subjects: Sequence[SubjectId] = (), **fields: Any) -> Appended:
        """Append an entry of its own, durable on return; threads of one process share commits."""
        return self.record_event(self.event(act, outcome, subjects=subjects, **fields))

    def record_event(self, event: Event) -> Appended:
        """Append a ready event, as ``record`` does. Raises UnavailableError ``slot_outdated``: whoever acts was disabled since."""
        if event.outcome in (Outcome.INTENT, Outcome.DONE):
            with self._books.read() as tx:
                self._standing(tx.scalars(select(VaultRow.keystore_seq)).one())
        self.newest = self._committer.record(self.log.prepare(event))
        return self.newest

    def prepare(self, act: Action, outcome: Outcome, **fields: Any) -> Prepared:
        """Make an entry to be recorded later, by ``record_prepared``, when what it says is done. ``fields`` as ``event``'s."""
        return self.log.prepare(self.event(act, outcome, **fields))

    def record_prepared(self, entry: Prepared) -> Appended:
        """Append a prepared entry, durable on return. Raises UnavailableError ``slot_outdated``: whoever acts was disabled since."""
        with self._books.read() as tx:
            self._standing(tx.scalars(select(VaultRow.keystore_seq)).one())
        return self._committer.record(entry)

    def record_guarded(self, entry: Prepared, *, guards: Sequence[Guard], then: Then | None = None) -> Appended:
        """Append a prepared entry that is written only while its guards hold (``guarded_entries``). Raises as ``GroupCommitter.record``."""
        return self._committer.record(entry, guards=guards, then=then)

    def post(self, entry: Prepared, *, guards: Sequence[Guard], then: Then | None = None) -> asyncio.Future[Appended]:
        """As ``record_guarded``, answered in the running event loop. Raises as ``GroupCommitter.post``."""
        return self._committer.post(entry, guards=guards, then=then)

    def event(
        self,
        act: Action,
        outcome: Outcome,
        *,
        subjects: Sequence[SubjectId] = (),
        tokens: Sequence[AuditToken] = (),
        asserted_for: str | None = None,
        **fields: Any,
    ) -> Event:
        """Make an event of this principal, for the caller to append.

        Args:
            subjects: subjects to name by their audit tokens.
            tokens: audit tokens of further subjects, already at hand.
            asserted_for: user on whose behalf the principal claims to act; unverified.
            fields: further fields of ``Event``.

        Raises:
            RefusedError: ``not_authorised``: the entry would say that something was done which the role may not do.
        """
        if outcome in (Outcome.INTENT, Outcome.DONE):
            self.require_authority(act)
        tokens = sorted((*tokens, *self._subject_keys.tokens(subjects))) if subjects else sorted(tokens)
        if self.person is not None:
            asserted_for, fields["flags"] = self.person.principal, (*fields.get("flags", ()), *self.person.flags())
        actor = Actor(ActorKind(self._unlocked.role.value), self._unlocked.principal, asserted_for)
        return Event(act=act, outcome=outcome, actor=actor, subjects=tokens, **fields)

    def require_authority(self, act: Action) -> None:
        """Hold an act against the principal's role (``policies.authority``). Raises RefusedError ``not_authorised``."""
        person = self.person
        role = self._unlocked.role.value if person is None else person.role.value
        if not (authority.may if person is None else authority.may_for)(role, act.value):
            hint = "genovault audit approvals" if role == "auditor" and act in _IN_APPROVALS else "ask a steward"
            raise RefusedError("not_authorised", f"a principal with the role {role} may not do this", hint=hint)

    @contextmanager
    def attempting(self, act: Action, **fields: Any) -> Iterator[Attempt]:
        """Log an exception raised inside by its code (a refusal as ``refused``, others as ``failed``) and re-raise it.

        Whoever opens genotypes says so first, by ``Attempt.opens``; the exception's entry closes that intent. Used outside any write
        transaction, which would roll the entry back with the attempt.
        """
        attempt = Attempt(self, act)
        try:
            self.require_authority(act)
            yield attempt
        except GenovaultError as error:
            outcome = Outcome.REFUSED if isinstance(error, RefusedError) else Outcome.FAILED
            self._record_quietly(act, outcome, error.code, attempt.closing(fields))
            raise
        except Exception:
            self._record_quietly(act, Outcome.FAILED, "internal_error", attempt.closing(fields))
            raise
        except BaseException:
            if attempt.intent is not None:
                self._record_quietly(act, Outcome.ABORTED, "interrupted", attempt.closing(fields))
            raise

    def checkpoint(self) -> str:
        """Sign the log's head, publish it to every anchor and return the note's text.

        Raises:
            UnavailableError: ``branch_closed`` without the log-sign branch; ``anchor_unreachable``.
        """
        try:
            return self._sign_head(self.log_signer())
        except (IntegrityError, UnavailableError) as error:
            if error.code not in {"note_signature_missing", "signer_outdated"}:
                raise
            self._keys.refresh()  # another process has rotated the signing key and signed since
            return self._sign_head(self.log_signer())

    def hand_over(self, old_epoch: int) -> str:
        """Sign the log's head with the new and the old signing key: a verifier that trusts the old one learns the new one."""
        return self._sign_head(self.log_signer(), SigningKey(self._unlocked.keyring.epoch(Branch.LOG_SIGN, old_epoch)))

    def log_keys(self, origin: str | None = None) -> tuple[VerifierKey, ...]:
        """Verifier keys of the log (or of an earlier one, by its origin), newest first."""
        keys = self._unlocked.public.by_epoch[Branch.LOG_SIGN]
        return tuple(VerifierKey(origin or self.origin, ED25519, keys[epoch]) for epoch in sorted(keys, reverse=True))

    @property
    def signs(self) -> bool:
        """True if this principal's slot holds the key that signs the log."""
        return self._unlocked.keyring.has(Branch.LOG_SIGN)

    def log_signer(self) -> SigningKey:
        """Signing key of the log. Raises UnavailableError ``branch_closed`` without the log-sign branch."""
        return SigningKey(self._unlocked.keyring.current(Branch.LOG_SIGN)[1])

    def detail(self, index: int) -> dict[str, Any] | None:
        """Open the sealed detail of log entry ``index``; None where there is none. Raises as ``details``; InputError ``no_such_entry``."""
        found = self.details([index])
        if index not in found:
            self.log.entry(index)
        return found[index]

    def details(self, indices: Sequence[int]) -> dict[int, dict[str, Any] | None]:
        """Open the sealed details of log entries, by number. Raises as ``LogReader.details``; UnavailableError ``branch_closed``."""
        keyring = self._unlocked.keyring
        current, newest = keyring.current(Branch.AUDIT_READ)
        epochs = {key: number for number, key in self._unlocked.public.audit_read.items()}

        def private(public: bytes) -> Secret:
            epoch = epochs.get(public)
            return newest if epoch in (None, current) else keyring.epoch(Branch.AUDIT_READ, epoch)

        return self.log.details(indices, private)

    def close(self) -> None:
        """Stop the committer once it has written what it was given; sign nothing."""
        self._committer.close()

    def _commit_entries(self, batch: Sequence[Prepared]) -> list[Appended]:
        return self.log.record_many(batch)  # of the log as it then is: ``use`` may have replaced it

    def _commit_guarded(self, group: Sequence[GuardedEntry]) -> list[Appended | GenovaultError]:
        return record_guarded(self.log, group)

    def _sign_head(self, *signers: SigningKey) -> str:
        note = self.log.checkpoint(*signers, trusted=self.log_keys(), outdated=self._outdated)
        for anchor in self.anchors:
            anchor.publish(note)
        self._signed()
        return note

    def _outdated(self, tx: Transaction) -> bool:
        """True if the books know of a newer keystore: its log may have another signing key."""
        return tx.scalars(select(VaultRow.keystore_seq)).one() > self._unlocked.public.seq

    def _new_log(self) -> AuditLog:
        return AuditLog(
            self._books,
            vault_id=self._vault_id,
            origin=self.origin,
            set_salt=self._set_salt,
            audit_read_public=self._unlocked.public.current(Branch.AUDIT_READ)[1],
            clock=self._clock,
            random=self._random,
            seal=self._seal,
        )

    def _record_quietly(self, act: Action, outcome: Outcome, code: str, fields: Mapping[str, Any]) -> None:
        # Nothing is released either way, and the first error is the one the person has to mend.
        with suppress(GenovaultError):
            self.record(act, outcome, reasons={code: 1}, **fields)


@dataclass
class Attempt:
    """An act on its way. ``intent``: id of the entry that its end closes; None while nobody's genotypes are open."""

    trail: AuditTrail
    act: Action
    intent: str | None = None

    def opens(self, subjects: Sequence[SubjectId], **fields: Any) -> str:
        """Log whose genotypes are about to be opened, durable on return; the id for ``refers`` of the entry that says it is done."""
        self.intent = self.trail.record(self.act, Outcome.INTENT, subjects=subjects, **fields).event_id
        return self.intent

    def closed(self) -> None:
        """Say that the intent is closed, where the act goes on."""
        self.intent = None

    def closing(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of an entry, with the intent that it closes."""
        return dict(fields) if self.intent is None else {**fields, "refers": self.intent}
