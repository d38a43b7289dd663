"""Differences between two versions of a project's declaration, field by field, in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from policies import canonical
from policies.errors import PolicyInputError
from policies.purposes import ApprovalMode

_UNDECLARED = "not declared"
_SILENT = {"approval": str(ApprovalMode.STANDING), "delivery": "sealed where recipients are declared"}
"""Meaning of a field that a declaration leaves out, where it has one."""
_OF_THE_PURPOSE = ("purpose", "organisation")
"""Sections that say what the data are for, and by whom; people, datasets, recipients and limits may change around them."""


@dataclass(frozen=True)
class Change:
    """One field, by its path in PROJECT.yaml, and what each version declares; None: nothing."""

    field: str
    old: object
    new: object

    def words(self) -> str:
        """The change for people: what a list gains and loses, or old and new."""
        if isinstance(self.old, list) or isinstance(self.new, list):
            before, after = ([_said(item) for item in _listed(value)] for value in (self.old, self.new))
            more, less = [item for item in after if item not in before], [item for item in before if item not in after]
            gains = [f"adds {', '.join(more)}"] if more else []
            losses = [f"no longer {', '.join(less)}"] if less else []
            return f"{self.field}: {'; '.join(gains + losses) or 'in another order'}"
        unsaid = _SILENT.get(self.field, _UNDECLARED)
        return f"{self.field}: {_said(self.old) or unsaid} → {_said(self.new) or unsaid}"


def changes(old: str, new: str) -> tuple[Change, ...]:
    """Fields in which two declarations, each as its canonical text, differ, by path."""
    before, after = _flat(canonical.loads(old)), _flat(canonical.loads(new))
    return tuple(
        Change(name, before.get(name), after.get(name))
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    )


def purpose_digest(text: str) -> bytes:
    """SHA-256 of what a declaration, as its canonical text, says the data are for; 32 bytes. Rulings are on this.

    Raises:
        PolicyInputError: ``bad_json``, ``not_a_mapping``: it is no declaration's text.
    """
    document = canonical.loads(text)
    if not isinstance(document, Mapping):
        raise PolicyInputError("not_a_mapping", "a declaration is a mapping of keys to values")
    return bytes.fromhex(canonical.sha256({name: document.get(name) for name in _OF_THE_PURPOSE}))


def _flat(value: object, name: str = "") -> dict[str, object]:
    """Fields of a declaration by their path."""
    if not isinstance(value, Mapping):
        return {name: value}
    return {path: one for key, field in value.items() for path, one in _flat(field, f"{name}.{key}" if name else key).items()}


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _said(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return " ".join(said for one in value.values() if (said := _said(one)))
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
