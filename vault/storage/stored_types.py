"""Strict reading of stored values: SQLite keeps whatever it is given in any column, so each value is held against its column.

A value of another type or range is one that no program of ours wrote. It is refused where it leaves the database, before anything
computes with it, so that an edit of a row is an integrity error wherever the row is read. PostgreSQL keeps types itself; ranges are
held there too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn, cast

from sqlalchemy import Column, ColumnElement, Dialect, Integer, Table, func, type_coerce
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.types import Boolean, LargeBinary, NullType, TypeDecorator, TypeEngine

from vault.errors import IntegrityError

Check = Callable[[Any], Any]

FIRST_MICROS, LAST_MICROS = -62_135_596_800_000_000, 253_402_300_799_999_999  # years 1 to 9999, as datetime has them
LARGEST = 2**53  # of a count: beyond it, sums and products of two no longer fit 64 bits


class StrictType(TypeDecorator[Any]):
    """Type of one column: values go in as the column's own type takes them, and come out as that type or not at all."""

    impl = LargeBinary  # replaced by each column's own
    cache_ok = True

    def __init__(self, own: TypeEngine[Any], place: str, optional: bool, low: int, high: int) -> None:  # noqa: FBT001 - SQLAlchemy makes its key of the names
        super().__init__()
        self.impl = self.impl_instance = own  # type: ignore[assignment] # of an instance, which SQLAlchemy sets likewise
        self.place, self.optional, self.low, self.high = place, optional, low, high

    def result_processor(self, dialect: Dialect, coltype: object) -> Check:  # noqa: ARG002 - SQLAlchemy's signature
        """Make the function that each value found goes through."""
        return self.check(dialect.name)

    def check(self, dialect: str) -> Check:
        """Make a function that returns a value of the column as it is to be used. It raises IntegrityError ``row_unreadable``."""
        if isinstance(self.impl_instance, Boolean):
            return self._boolean_check(dialect)
        return self._integer_check() if isinstance(self.impl_instance, Integer) else self._sized_check()

    def check_all(self, values: Sequence[Any]) -> None:
        """Check many values at once, which costs a third. Raises IntegrityError ``row_unreadable``."""
        kinds = set(map(type, values))
        if self.optional and type(None) in kinds:
            values = tuple(value for value in values if value is not None)
            kinds.discard(type(None))
        if not kinds:
            return
        if kinds != {self._kind()}:
            self._refuse()
        measured: Iterable[int] = values if isinstance(self.impl_instance, Integer) else set(map(len, values))
        if min(measured) < self.low or max(measured) > self.high:
            self._refuse()

    def _kind(self) -> type[Any]:
        return int if isinstance(self.impl_instance, Integer) else bytes if isinstance(self.impl_instance, LargeBinary) else str

    def _integer_check(self) -> Check:
        low, high, refuse = self.low, self.high, self._refuse_unless_null

        def check(value: Any) -> Any:
            return value if type(value) is int and low <= value <= high else refuse(value)

        return check

    def _sized_check(self) -> Check:
        kind, low, high, refuse = self._kind(), self.low, self.high, self._refuse_unless_null

        def check(value: Any) -> Any:
            return value if type(value) is kind and low <= len(value) <= high else refuse(value)

        return check

    def _boolean_check(self, dialect: str) -> Check:
        kind, refuse = int if dialect == "sqlite" else bool, self._refuse_unless_null

        def check(value: Any) -> Any:
            return bool(value) if type(value) is kind and value in (0, 1) else refuse(value)

        return check

    def _refuse_unless_null(self, value: object) -> None:
        if value is not None or not self.optional:
            self._refuse()

    def _refuse(self) -> NoReturn:
        raise unreadable(self.place)


def unreadable(place: str) -> IntegrityError:
    """The error of a value that no program writes there; ``place``: its table and column, with a dot between."""
    table, _, column = place.partition(".")
    return IntegrityError(
        "row_unreadable",
        f"the database was edited: {column} of a row of {table} is nothing that a program writes there",
        hint="take the edit back, or restore a backup; genovault doctor says what else differs",
    )


def make_strict(table: Table) -> None:
    """Have every column of a table read strictly."""
    for column in table.columns:
        column.type = stored(column)


def stored(column: Column[Any]) -> StrictType:
    """The strict type of a column whose own type says how long its bytes are, and whose ``info`` may say its range."""
    own = column.type
    length = own.length if isinstance(own, LargeBinary) else None
    whole = isinstance(own, Integer)
    low, high = column.info.get("range", (length or 0, LARGEST if whole else length or LARGEST))
    return StrictType(own, f"{column.table.name}.{column.name}", bool(column.nullable), low, high)


def stored_type(column: Any) -> StrictType | None:
    """The strict type of a column or of what a statement selects under its type; None of what the database computes."""
    kind = cast("ColumnElement[Any]", column).type
    return kind if isinstance(kind, StrictType) else None


def as_found(column: InstrumentedAttribute[Any]) -> ColumnElement[Any]:
    """The column unchecked, as the database has it: for the verifier of the log, which reports what no program wrote."""
    return type_coerce(column, NullType())


def largest(column: InstrumentedAttribute[int]) -> ColumnElement[int | None]:
    """The largest value of a column, strictly read; NULL where there is no row."""
    own = cast("StrictType", column.type)
    return func.max(column, type_=StrictType(own.impl_instance, own.place, True, own.low, own.high))


def total(column: InstrumentedAttribute[int]) -> ColumnElement[Any]:
    """The sum of a column, a number of whatever kind the database sums with; NULL where there is no row."""
    return func.sum(column, type_=cast("StrictType", column.type).impl_instance)
