"""docs/attacks.md: no figure that no test measures, no attack without a figure."""

from __future__ import annotations

import pytest

from tests.support import attack_figures
from tests.support.attack_figures import PAGE, rows, sections, shown
from tests.support.sources import ROOT

TEXT = PAGE.read_text(encoding="utf-8")
GROUPS = {
    "Membership in allele frequencies",
    "Membership in yes/no answers",
    "Linked variants",
    "Many accounts together",
    "Working out what was hidden",
    "Linking two projects",
    "Draining a budget to look for a person",
    "Before and after a withdrawal",
    "Spending one budget twice",
    "Rebuilding genotypes through matching",
    "What a file brings along",
    "Noise that is not as noisy as it should be",
    "What the time of an answer tells",
}
"""What is known of attacks on answers and files; each is carried out."""


def test_every_attack_has_figures():
    assert sections(TEXT).keys() >= GROUPS
    assert {name for name, body in sections(TEXT).items() if not rows(body)} == set()


def test_every_figure_is_measured_where_it_says():
    for body in sections(TEXT).values():
        for row in rows(body).values():
            assert row.measured in (ROOT / row.shown_by).read_text(encoding="utf-8"), row.text
            assert row.off, row.text
            assert row.guarded, row.text


@pytest.fixture
def page(tmp_path, monkeypatch):
    path = tmp_path / "attacks.md"
    path.write_text("# Attacks\n\n## One\n\nWords.\n\n## Two\n\nMore.\n")
    monkeypatch.setattr(attack_figures, "PAGE", path)
    return path


def test_a_figure_is_written_once_and_compared_from_then_on(page, monkeypatch):
    told = {"on": "data", "bound": "≤ 0.10", "by": "tests/x.py"}
    with pytest.raises(AssertionError, match="does not show"):
        shown("One", "power", off=0.9, guarded=0.05, **told)
    monkeypatch.setenv("GENOVAULT_ATTACKS", "write")
    shown("One", "power", off=0.9, **told)
    shown("One", "power", guarded=0.05, **told)
    shown("One", "words", off="told", guarded="refused", **told)
    shown("Two", "power", off=1.0, guarded=0.5, **told)
    written = page.read_text()
    assert [row.text for body in sections(written).values() for row in rows(body).values()] == [
        "| power | data | 0.90 | 0.05 | ≤ 0.10 | `tests/x.py` |\n",
        "| words | data | told | refused | ≤ 0.10 | `tests/x.py` |\n",
        "| power | data | 1.00 | 0.50 | ≤ 0.10 | `tests/x.py` |\n",
    ]
    assert "Words.\n\n| measured" in written
    assert "More.\n\n| measured" in written
    monkeypatch.delenv("GENOVAULT_ATTACKS")
    shown("One", "power", off=0.93, guarded=0.05, **told)
    for wrong in ({"guarded": 0.2}, {"off": "told"}, {"guarded": 0.05, "on": "other data"}):
        with pytest.raises(AssertionError):
            shown("One", "power", **(told | wrong))
