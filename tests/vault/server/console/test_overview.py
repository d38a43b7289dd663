"""The overview of a long log: the newest entries alone, counted once in a while in a session, and said which."""

from __future__ import annotations

from tests.support import pages
from vault.server.console import overview


def test_a_long_log_is_counted_in_part_and_not_for_every_page(desk, monkeypatch):
    counted = []
    real = overview.count
    monkeypatch.setattr(overview, "count", lambda records: counted.append(1) or real(records))
    monkeypatch.setattr(overview, "MOST_ENTRIES", 10)
    with pages.visitor(desk, "auditor") as eve:
        first, again = (eve.client.get("/console/overview").text for _ in range(2))
        assert "newer ones not yet counted" not in first
        assert "1 newer ones not yet counted" in again
        assert len(counted) == 1
        monkeypatch.setattr(overview, "SOON", 1)
        assert "newer ones not yet counted" not in eve.client.get("/console/overview").text
        assert len(counted) == 2


def test_a_short_log_is_counted_anew(desk, monkeypatch):
    counted = []
    real = overview.count
    monkeypatch.setattr(overview, "count", lambda records: counted.append(1) or real(records))
    with pages.visitor(desk, "auditor") as eve:
        assert all("All entries of the log" in eve.client.get("/console/overview").text for _ in range(2))
    assert len(counted) == 2
