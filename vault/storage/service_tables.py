"""Tables of the books for what a server needs beside them."""

from __future__ import annotations

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from vault.storage.base import Base, Code, Count, Digest, Id, Micros, Sealed


class AccessTokenRow(Base):
    """Bearer token of a principal, of which only a MAC is kept."""

    __tablename__ = "access_token"

    accessor: Mapped[Code] = mapped_column(primary_key=True)  # names the token in lists and in the log
    principal: Mapped[Code]
    project: Mapped[Code]  # code of the one project that it is for
    scopes: Mapped[Code]  # sorted, with blanks between
    mac: Mapped[Digest]
    created: Mapped[Micros]
    expires: Mapped[Micros]
    revoked: Mapped[Micros | None]
    issued_by: Mapped[Code]
    sealed: Mapped[
        Sealed | None
    ]  # certificate and networks that it is bound to, and the columns that never change; NULL: to nothing


class StreamTicketRow(Base):
    """Ticket of a stream, good for some minutes, of whose secret only a MAC is kept."""

    __tablename__ = "stream_ticket"

    ticket: Mapped[Code] = mapped_column(primary_key=True)  # names it in what its holder shows, and in the log
    accessor: Mapped[Code]  # of the token that it was given for
    mac: Mapped[Digest]
    expires: Mapped[Micros]
    sealed: Mapped[Sealed]  # what was asked, the epoch that was decided, and the columns above


class ExtractOrderRow(Base):
    """Extract that somebody asked a server for, until a week after."""

    __tablename__ = "extract_order"

    release_id: Mapped[Code] = mapped_column(primary_key=True)  # of the release that it is to become
    created: Mapped[Micros]
    sealed: Mapped[Sealed]  # who asked for what, by which tokens, in which spool, what became of it, and ``created`` once more


class ReadTermsRow(Base):
    """Terms of guarded reads of a panel's version in a project: what was asked for, which duties came with it, and under which names."""

    __tablename__ = "read_terms"

    terms_id: Mapped[Code] = mapped_column(primary_key=True)  # digest of all that follows; entries of the log name it
    project_id: Mapped[Id] = mapped_column(ForeignKey("project.project_id"))
    panel_id: Mapped[Id] = mapped_column(ForeignKey("panel.panel_id"))
    names: Mapped[Count]  # version of the key that made the pseudonyms
    sealed: Mapped[Sealed]  # dataset, panel, profile, duties, and the columns before once more; books branch


class OutsideIdentityRow(Base):
    """Identity with an OpenID provider, and the researcher that it is."""

    __tablename__ = "outside_identity"

    issuer: Mapped[Code] = mapped_column(primary_key=True)  # its address
    subject: Mapped[Code] = mapped_column(primary_key=True)  # as the provider calls them
    principal: Mapped[Code]
    created: Mapped[Micros]
    named_by: Mapped[Code]
