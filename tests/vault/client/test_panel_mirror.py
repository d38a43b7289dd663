"""A mirror against answers made here: it drops before it asks, and holds what the last answers let it hold."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.vcf_text import vcf
from tests.support.views import view_of
from vault.client.panel_genotypes import PanelGenotypes
from vault.client.panel_mirror import PanelMirror
from vault.client.server_answers import ChangesAnswer
from vault.errors import InputError, RefusedError


def rows(names, *, cursor, calls=None, drop=(), whole=True, sites_id="s"):
    calls = calls or ["0|1"] * len(names)
    view = view_of(vcf(" ".join(names), f"22 100 A G,T {' '.join(calls)}"))
    turned = np.ascontiguousarray(view.genotypes.transpose(1, 0, 2))
    return PanelGenotypes(tuple(names), view.sites, turned, view.phased.T, "GRCh38", (), sites_id, 1, cursor, drop, whole)


class Server:
    """Answers in turn; what was asked, and what the mirror held when it was."""

    def __init__(self, *answers):
        self.answers, self.asked, self.mirror = list(answers), [], None

    def genotypes(self, since=None):
        return self._next("genotypes", since)

    def changes(self, since, *, wait):
        assert wait == 1
        return self._next("changes", since)

    def _next(self, what, since):
        self.asked.append((what, since, sorted(self.mirror.rows) if self.mirror else None))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def mirrored(*answers):
    server = Server(rows(["a", "b", "c"], cursor="1"), *answers)
    server.mirror = PanelMirror(server.genotypes, server.changes, wait=1)
    return server, server.mirror


def test_a_row_is_dropped_before_anything_else_is_asked():
    server, mirror = mirrored(ChangesAnswer((), ("b",), True, "2"), rows([], cursor="3", whole=False))
    change = mirror.step()
    assert (change.added, change.dropped, change.sites_changed) == ((), ("b",), False)
    assert server.asked[2] == ("genotypes", "2", ["a", "c"])
    assert mirror.genotypes().pseudonyms == ("a", "c")


def test_rows_that_came_are_asked_for_from_before_they_came():
    server, mirror = mirrored(
        ChangesAnswer(("d",), ("a",), True, "2"), rows(["d"], cursor="3", calls=["0/0/1"], drop=("a",), whole=False)
    )
    change = mirror.step()
    assert (change.added, change.dropped) == (("d",), ("a",))
    assert server.asked[2][:2] == ("genotypes", "1")
    held = mirror.genotypes()
    assert held.pseudonyms == ("b", "c", "d")
    assert held.genotypes.shape == (1, 3, 3)
    assert [held.calls_of(name) for name in held.pseudonyms] == [["0|1"], ["0|1"], ["0/0/1"]]
    assert mirror.genotypes(["d", "nobody"]).pseudonyms == ("d",)


def test_a_whole_answer_replaces_what_is_held():
    _, mirror = mirrored(ChangesAnswer((), (), True, "1"), rows(["c", "d"], cursor="2", sites_id="t"))
    change = mirror.step()
    assert (change.added, change.dropped, change.sites_changed) == (("c", "d"), ("a", "b"), True)
    assert sorted(mirror.rows) == ["c", "d"]


def test_a_cursor_that_does_not_hold_is_read_anew():
    server, mirror = mirrored(InputError("cursor_invalid", "x"), rows(["a"], cursor="9"))
    assert mirror.step().dropped == ("b", "c")
    assert server.asked[2][:2] == ("genotypes", None)


def test_nothing_is_no_change_and_a_refusal_is_raised():
    _, mirror = mirrored(ChangesAnswer((), (), False, "1"), RefusedError("refused", "x"))
    assert mirror.step() is None
    with pytest.raises(RefusedError):
        mirror.step()


def test_its_text_holds_no_call_and_no_name():
    _, mirror = mirrored()
    assert repr(mirror) == "PanelMirror(3 rows, 1 sites)"
    assert "array" not in repr(mirror.rows["a"])


def test_a_row_holds_nothing_of_other_people_s():
    _, mirror = mirrored()
    assert all(one.alleles.base is None and one.phased.base is None for one in mirror.rows.values())
