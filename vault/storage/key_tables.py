"""Tables of the key database: wrapped keys, and rows that live only as long as they do."""

from __future__ import annotations

from sqlalchemy import Boolean
from sqlalchemy.orm import Mapped, mapped_column

from vault.storage.base import Code, Count, Digest, Id, KeysBase, Micros, Sealed


class WrappedKeyRow(KeysBase):
    """One key under an epoch of its branch. ``owner`` is the subject, part, chunk table or project that it belongs to.

    Ordered by purpose, then owner: a cohort's keys are one range scan.
    """

    __tablename__ = "wrapped_key"
    __table_args__ = ({"sqlite_with_rowid": False},)

    purpose: Mapped[Code] = mapped_column(primary_key=True)
    owner: Mapped[Id] = mapped_column(primary_key=True)
    version: Mapped[Count] = mapped_column(primary_key=True)
    key_id: Mapped[Id] = mapped_column(unique=True)
    epoch: Mapped[Count]
    wrapped: Mapped[Sealed]  # nonce 12 ‖ ciphertext 32 ‖ tag 16


class SubjectTokenRow(KeysBase):
    """A subject's audit token, made once from the audit salt. It lives here, not in the books, because an old backup of the
    books must not be enough to link log entries to a subject after erasure.
    """

    __tablename__ = "subject_token"

    subject_id: Mapped[Id] = mapped_column(primary_key=True)
    version: Mapped[Count] = mapped_column(primary_key=True)  # of the audit salt; entries are written with the newest
    token: Mapped[Code] = mapped_column(unique=True)


class BranchEpochRow(KeysBase):
    """Use counter of one epoch of one branch, for the alarm before the cipher's limit."""

    __tablename__ = "branch_epoch"

    branch: Mapped[Code] = mapped_column(primary_key=True)
    epoch: Mapped[Count] = mapped_column(primary_key=True)
    wraps: Mapped[Count]
    closed: Mapped[bool] = mapped_column(Boolean)  # about to be destroyed: nothing is wrapped under it any more
    created: Mapped[Micros]


class ErasedRow(KeysBase):
    """An erasure whose keys are gone, by its random id: says whether this key database is older than the books."""

    __tablename__ = "erased"

    erasure_id: Mapped[Code] = mapped_column(primary_key=True)


class HighWaterRow(KeysBase):
    """Known extent of the books (``vault.session.high_water``): one row."""

    __tablename__ = "high_water"

    id: Mapped[Count] = mapped_column(primary_key=True)  # always 1
    marks: Mapped[Code]  # canonical JSON
    epoch: Mapped[Count]  # of log-append, whose key made the MAC
    mac: Mapped[Digest]
