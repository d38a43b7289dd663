"""Cursors: what was signed comes back, and nothing else does."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import vaults
from tests.support.vaults import opened
from vault.errors import InputError
from vault.server.panels.cursors import LONGEST, PanelCursor, cursor_text, read_cursor, signed_fields, signed_text

KEY = bytes(range(32))
FIELDS = st.dictionaries(st.text(max_size=20), st.text(max_size=40) | st.integers(0, 1 << 60), max_size=6)
PLACE = {"project": "demo", "dataset": "cohort", "panel": "pgx"}


@given(FIELDS)
def test_fields_come_back(fields):
    assert signed_fields(KEY, signed_text(KEY, fields)) == fields


@given(FIELDS, st.data())
def test_nothing_else_comes_back(fields, data):
    text = signed_text(KEY, fields)
    at = data.draw(st.integers(0, len(text) - 1))
    one = data.draw(st.characters(max_codepoint=0x17F))
    changed = data.draw(st.sampled_from([text[:at], text[at:], text[:at] + one + text[at:], text[:at] + one + text[at + 1 :]]))
    assert signed_fields(KEY, changed) is None or changed == text
    assert signed_fields(bytes(32), text) is None


@given(st.text(max_size=300))
def test_no_text_is_more_than_refused(text):
    assert signed_fields(KEY, text) is None


@pytest.fixture(scope="module")
def s(tmp_path_factory):
    with opened(vaults.copy(tmp_path_factory.mktemp("cursors"))) as it:
        yield it


@pytest.fixture
def cursor(s):
    return PanelCursor(s.principal, *PLACE.values(), people=(bytes(32), bytes(range(32))), sites_id="ab" * 32, rows="cd" * 32)


def test_a_cursor_is_read_where_it_belongs(s, cursor):
    assert read_cursor(s, cursor_text(s, cursor), **PLACE) == cursor


@pytest.mark.parametrize("name", [*PLACE, "principal"])
def test_a_cursor_of_something_or_somebody_else_does_not_hold(s, cursor, name):
    refuse(s, cursor_text(s, replace(cursor, **{name: "another"})))


def test_within_a_minute_the_same_state_has_the_same_text(s, cursor, monkeypatch):
    now = datetime(2126, 5, 4, 3, 2, 1, tzinfo=UTC)  # later than any entry of the log, by which a cursor ends
    texts = []
    for later in (0, 58, 60):
        monkeypatch.setattr(s, "clock", lambda later=later: now + timedelta(seconds=later))
        texts.append(cursor_text(s, cursor))
        assert read_cursor(s, texts[-1], **PLACE) == cursor
    assert texts[0] == texts[1] != texts[2]
    assert cursor_text(s, replace(cursor, rows="0" * 64)) != texts[2]


def test_a_cursor_ends(s, cursor, monkeypatch):
    text, then = cursor_text(s, cursor), s.clock() + LONGEST
    monkeypatch.setattr(s, "clock", lambda: then - timedelta(seconds=1))
    assert read_cursor(s, text, **PLACE) == cursor
    monkeypatch.setattr(s, "clock", lambda: then + timedelta(seconds=60))
    refuse(s, text)


def test_a_cursor_of_another_vault_does_not_hold(s, cursor, tmp_path):
    vaults.make(tmp_path / "v")
    with opened(tmp_path / "v") as other:
        refuse(s, cursor_text(other, cursor))


def refuse(s, text):
    with pytest.raises(InputError) as caught:
        read_cursor(s, text, **PLACE)
    assert caught.value.code == "cursor_invalid"
