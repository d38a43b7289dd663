"""Secret bytes that do not leak by accident.

A ``Secret`` prints as a constant and refuses every way in which bytes usually escape unnoticed: formatting, comparison (which
would also take variable time), hashing, pickling, copying, iterating, indexing. The one way out is ``reveal()``, which is easy
to search for. Python cannot wipe memory; dropping the last reference is all that is possible, and no more is promised.
"""

from __future__ import annotations

from typing import NoReturn, SupportsIndex, final


@final
class Secret:
    """Opaque holder of a copy of the bytes given."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes | bytearray | memoryview) -> None:
        self._value = bytes(value)

    def reveal(self) -> bytes:
        """Return the bytes. Call it where they are used, and keep no reference."""
        return self._value

    def __len__(self) -> int:
        return len(self._value)

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __format__(self, format_spec: str) -> str:
        return "Secret(…)"

    def __eq__(self, other: object) -> NoReturn:
        raise TypeError("a Secret is not compared with ==; use primitives.constant_time_equal")

    def __hash__(self) -> NoReturn:
        raise TypeError("a Secret is not hashed")

    def __iter__(self) -> NoReturn:
        raise TypeError("a Secret is not iterated")

    def __getitem__(self, index: object) -> NoReturn:
        raise TypeError("a Secret is not indexed")

    def __bytes__(self) -> NoReturn:
        raise TypeError("a Secret is opened with reveal()")

    def __copy__(self) -> NoReturn:
        raise TypeError("a Secret is not copied")

    def __deepcopy__(self, memo: object) -> NoReturn:
        raise TypeError("a Secret is not copied")

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError("a Secret is not pickled")
