"""Tables of the books for what answers and releases have disclosed: budgets, stored answers, sites, tables, decisions on linkage, criteria, reports."""

from __future__ import annotations

from sqlalchemy import LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from vault.storage.base import Base, Code, Count, Digest, Id, Micros, Sealed


class BudgetRow(Base):
    """Evidence about one dataset's people that has left by counts, for one owner of a budget. What a family spent is the sum of its datasets."""

    __tablename__ = "budget"

    scope: Mapped[Code] = mapped_column(primary_key=True)  # project | organisation | world
    owner: Mapped[Code] = mapped_column(primary_key=True)  # code of the project, id of the organisation, or nothing
    dataset_id: Mapped[Id] = mapped_column(primary_key=True)  # also of one that is gone: what left stays spent
    spent: Mapped[Count]  # millionths of a nat


class BudgetFamilyRow(Base):
    """Dataset of a family: those that once shared a person."""

    __tablename__ = "budget_family"

    dataset_id: Mapped[Id] = mapped_column(primary_key=True)
    family: Mapped[Id]  # smallest id of its datasets when it was found


class BudgetRaiseRow(Base):
    """Raise of a budget, on which two signatures stand."""

    __tablename__ = "budget_raise"

    scope: Mapped[Code] = mapped_column(primary_key=True)
    owner: Mapped[Code] = mapped_column(primary_key=True)
    number: Mapped[Count] = mapped_column(primary_key=True, autoincrement=False)  # from 1 on
    dataset_id: Mapped[Id]  # of the family that it is for
    nats: Mapped[Count]  # millionths of a nat
    proposed_by: Mapped[str | None] = mapped_column(Text)  # None: there was one steward
    proposed: Mapped[Micros | None]
    approved_by: Mapped[Code]
    approved: Mapped[Micros]


class StoredAnswerRow(Base):
    """Answer about one allele in one cohort, drawn once, so that the same question gets the same answer."""

    __tablename__ = "stored_answer"

    answer_id: Mapped[Digest] = mapped_column(primary_key=True)  # digest of cohort and allele
    dataset_id: Mapped[Id] = mapped_column(index=True)
    drawn: Mapped[Micros]
    sealed: Mapped[Sealed]  # the noisy number, its epsilon, and the columns before; books branch


class ReleasedSitesRow(Base):
    """Sites that a release added to what had left to an organisation, or to a project without one."""

    __tablename__ = "released_sites"

    owner: Mapped[Code] = mapped_column(primary_key=True)  # id of the organisation, or the project's code
    number: Mapped[Count] = mapped_column(primary_key=True, autoincrement=False)  # from 1 on
    release_id: Mapped[Code]
    dataset_id: Mapped[Id]  # also of one that is gone: what left has left
    n_sites: Mapped[Count]  # 0 once somebody of the dataset is erased
    digest: Mapped[Digest]  # of the sealed column
    sealed: Mapped[Sealed]  # names of the sites with their bits, and the columns before; books branch


class TableApprovalRow(Base):
    """Panel in one version that a project may have an exact frequency table of, on which two signatures stand."""

    __tablename__ = "table_approval"

    project_id: Mapped[Id] = mapped_column(primary_key=True)
    panel_id: Mapped[Id] = mapped_column(primary_key=True)  # of one version
    dataset_id: Mapped[Id]
    alleles: Mapped[Count]  # that the panel names
    nats: Mapped[Count]  # millionths of a nat that the table costs
    proposed_by: Mapped[str | None] = mapped_column(Text)  # None: there was one steward
    proposed: Mapped[Micros | None]
    approved_by: Mapped[Code]
    approved: Mapped[Micros]


class FrequencyTableRow(Base):
    """Exact frequency table that was given to a project. The row stays when what it says is forgotten, for the cohorts to come."""

    __tablename__ = "frequency_table"

    table_id: Mapped[Id] = mapped_column(primary_key=True)
    project_id: Mapped[Id]
    dataset_id: Mapped[Id]  # also of one that is gone: what left has left
    panel_id: Mapped[Id]
    made: Mapped[Micros]
    gone: Mapped[Count]  # people of its cohort who were erased since
    sealed: Mapped[Sealed]  # the table until somebody is erased, its cohort without them, and the columns before; books branch


class LinkageDecisionRow(Base):
    """Sites that are linked with an excluded place, as it was decided on a dataset's people: for the cohorts that differ by few."""

    __tablename__ = "linkage_decision"

    decision_id: Mapped[Id] = mapped_column(primary_key=True)
    dataset_id: Mapped[Id]  # also of one that is gone: what left has left
    made: Mapped[Micros]
    gone: Mapped[Count]  # people it was decided on who were erased since
    sealed: Mapped[Sealed]  # place, rules, people and linked sites, and the columns before; books branch


class CriteriaPackRow(Base):
    """A pack of criteria in one version, and for which version of a panel two signatures allow it to be asked."""

    __tablename__ = "criteria_pack"

    name: Mapped[Code] = mapped_column(primary_key=True)
    version: Mapped[Count] = mapped_column(primary_key=True, autoincrement=False)  # from 1 on
    sha256: Mapped[Digest]  # of its text
    panel_id: Mapped[bytes | None] = mapped_column(LargeBinary(16))  # that it is approved for
    added_by: Mapped[Code]
    added: Mapped[Micros]
    proposed_by: Mapped[str | None] = mapped_column(Text)  # None: there was one steward
    proposed: Mapped[Micros | None]
    approved_by: Mapped[str | None] = mapped_column(Text)
    approved: Mapped[Micros | None]
    retired: Mapped[Micros | None]
    sealed: Mapped[Sealed]  # the pack's text, and the columns before; books branch


class RiskReportRow(Base):
    """Risk report of a request, the last that was made."""

    __tablename__ = "risk_report"

    request_id: Mapped[Code] = mapped_column(primary_key=True)
    dataset_id: Mapped[Id] = mapped_column(index=True)
    made: Mapped[Micros]
    sealed: Mapped[Sealed]  # the report, what it rests on, who made it, and the columns before; books branch
