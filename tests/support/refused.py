"""Refusals, by their codes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vault.errors import GenovaultError


def code_of(act: Callable[[], object]) -> str:
    """Code of the error that an act ends in."""
    with pytest.raises(GenovaultError) as caught:
        act()
    return str(caught.value.code)
