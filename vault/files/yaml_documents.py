"""YAML at the edge: project declarations and consent forms, read strictly (bounded, no aliases, no duplicate keys)."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any, TypeVar

import yaml

from policies.errors import PolicyInputError
from vault.errors import InputError
from vault.files.given_files import read_given
from vault.files.handed_in import text_of
from vault.limits import MAX_YAML_BYTES, MAX_YAML_DEPTH

T = TypeVar("T")

MAX_VALUE_CHARS = 100  # of what is not text: a number in base 60 takes time with the square of its length
_TEXT = "tag:yaml.org,2002:str"
SHOWN_PROBLEMS = 10  # of a rejected document; the rest is counted


def read_yaml(path: Path) -> dict[str, Any]:
    """Read the mapping in a file. Raises InputError: ``file_missing`` and as ``parse_yaml``."""
    raw = read_given(path, limit=MAX_YAML_BYTES, unreadable="file_missing", too_large="document_too_large")
    return parse_yaml(raw, name=path.name)


def parse_yaml(raw: bytes, *, name: str) -> dict[str, Any]:
    """Parse the mapping in a document, called ``name`` in errors.

    Raises:
        InputError: ``document_too_large``; ``document_malformed`` with the line.
    """
    if len(raw) > MAX_YAML_BYTES:
        raise InputError("document_too_large", f"{name} is larger than {MAX_YAML_BYTES} bytes")
    text = text_of(raw, name=name, code="document_malformed")
    try:
        document = yaml.load(text, _StrictLoader)  # noqa: S506 - a SafeLoader made stricter
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "not YAML"
        raise InputError("document_malformed", f"{name}{place}: {problem}") from None
    except RecursionError:
        raise InputError("document_malformed", f"{name} is nested too deep") from None
    if not isinstance(document, dict):
        raise InputError("document_malformed", f"{name} does not hold named fields")
    return document


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader without aliases (a few lines could grow to gigabytes), deep nesting and silently lost duplicate keys."""

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call] # untyped in PyYAML's stubs
            raise yaml.MarkedYAMLError(problem="aliases are not allowed", problem_mark=mark)
        if self._depth == MAX_YAML_DEPTH:
            raise yaml.MarkedYAMLError(problem="nested too deep", problem_mark=self.peek_event().start_mark)  # type: ignore[no-untyped-call] # as above
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: FBT001, FBT002 - PyYAML's signature
        if isinstance(node, yaml.ScalarNode) and node.tag != _TEXT and len(node.value) > MAX_VALUE_CHARS:
            raise yaml.MarkedYAMLError(problem="a number or date that is too long", problem_mark=node.start_mark)
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, LookupError, TypeError, AttributeError):  # 2026-02-30, !!int x, !!bool x, !!timestamp x
            raise yaml.MarkedYAMLError(
                problem="a value that is not of its kind; quote text", problem_mark=node.start_mark
            ) from None

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 - PyYAML's signature
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str) or key in seen:
                raise yaml.MarkedYAMLError(problem="a field is named twice or not by text", problem_mark=key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


def declared(parse: Callable[[], T], *, name: str) -> T:
    """Run a policy parser; its errors become ``document_rejected``, each problem with its place.

    Raises:
        InputError: ``document_rejected``.
    """
    try:
        return parse()
    except PolicyInputError as error:
        shown = "; ".join(f"{p.place}: {p.message}" if p.place else p.message for p in error.problems[:SHOWN_PROBLEMS])
        more = len(error.problems) - SHOWN_PROBLEMS
        tail = f"; and {more} more" if more > 0 else ""
        raise InputError("document_rejected", f"{name}: {shown}{tail}", hint="nothing was recorded") from None
