"""Refusals without a reason: nothing of it in the error, and no sooner or later for it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from vault.access import told
from vault.crypto.keystore import Role
from vault.errors import InputError, RefusedError


@pytest.mark.parametrize(("spent", "left"), [(0.01, 0.24), (0.2, 0.05), (0.25, 0), (0.3, 0.2), (5.01, 0.24)])
@pytest.mark.parametrize("part", [0, 0.5])
def test_a_refusal_takes_whole_steps_and_a_part(spent, left, part):
    assert told.remaining(spent, part) == pytest.approx(left + part * 0.25, abs=1e-9)


@pytest.mark.parametrize("role", list(Role))
def test_who_is_told_nothing_waits_and_nobody_else(role, monkeypatch):
    waits = []
    clock = iter([100.0, 100.1])
    monkeypatch.setattr(told, "sleep", waits.append)
    monkeypatch.setattr(told, "monotonic", lambda: next(clock))

    def denied():
        raise RefusedError("budget_spent", "the budget of P7 is spent")

    with pytest.raises(RefusedError) as caught:
        told.told(SimpleNamespace(role=role, random=lambda n: b"\x80" + bytes(n - 1)), denied)
    if role in {Role.RESEARCHER, Role.ENGINE, Role.SERVICE}:
        assert (caught.value.code, caught.value.__context__) == ("refused", None)
        assert waits == [pytest.approx(0.15 + 0.125)]
    else:
        assert (caught.value.code, waits) == ("budget_spent", [])


def test_a_question_that_is_none_is_said_at_once(monkeypatch):
    waits = []
    monkeypatch.setattr(told, "sleep", waits.append)

    def denied():
        raise RefusedError("budget_spent", "spent")

    def misspelt():
        raise InputError("panel_unknown", "there is no such panel")

    with pytest.raises(InputError):
        told.told(SimpleNamespace(role=Role.ENGINE), denied, form=misspelt)
    assert waits == []
