"""A vault that is refused is still looked at: each finding names the least that mends it, and nothing is written meanwhile."""

from __future__ import annotations

import pytest

from tests.attacks.test_stores_put_back import anchored, code, edit, keep, put_back
from tests.support.shell import Shell
from tests.support.vaults import opened, sql
from vault.consent import recording
from vault.operations.erasure import process
from vault.storage.book_tables import LeaseRow

__all__ = ["anchored"]


@pytest.fixture
def shell(small, monkeypatch):
    return Shell(small.parent, monkeypatch)


def files(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.db")}


def shown(shell, *arguments, expected=5):
    ran = shell.try_(" ".join(["--json doctor", *arguments]))
    assert ran.code == expected, ran.err
    return {finding["code"]: finding["remedy"] for finding in ran.json["findings"]}


REFUSED = {
    "books_behind": (lambda v: put_back(v, "books.db"), "put the newest books back"),
    "keys_behind": (lambda v: put_back(v, "keys.db"), "put the newest key database back"),
    "settings_altered": (lambda v: edit(v, objects="./objects"), "put the vault.json of before back; genovault relocate"),
    "marks_missing": (lambda v: sql(v / "keys.db", "DELETE FROM high_water"), "compare the log"),
    "collection_altered": (lambda v: sql(v / "books.db", "UPDATE request SET state = 'approved'"), "take the edit back"),
}


@pytest.mark.parametrize("expected", REFUSED)
def test_doctor_looks_at_what_is_refused_and_names_the_least_repair(small, shell, expected):
    act, remedy = REFUSED[expected]
    keep(small, "books.db", "keys.db")
    with opened(small) as s:
        process.erase(s, "S03")
    act(small)
    before = files(small)
    found = shown(shell, "--mend") if expected != "marks_missing" else shown(shell)
    assert found[expected].startswith(remedy)
    if expected != "collection_altered":  # that vault opens, and what it decides is refused where it is read
        assert files(small) == before
        assert "log_closed" not in found


def test_marks_that_were_removed_are_kept_anew_by_a_steward(small, shell):
    sql(small / "keys.db", "DELETE FROM high_water")
    assert code(small) == "marks_missing"
    shown(shell, "--mend", expected=0)
    assert code(small) == ""


def test_marks_are_not_kept_anew_beside_older_books(anchored, shell):
    keep(anchored, "books.db")
    with opened(anchored) as s:
        recording.withdraw(s, "S03")
    put_back(anchored, "books.db")
    sql(anchored / "keys.db", "DELETE FROM high_water")
    assert "log_behind_anchor" in shown(shell, "--mend")
    assert code(anchored) == "marks_missing"


@pytest.mark.parametrize("lease", ["('', 0)", "('00', 9999999999999999)", "(x'00', 'x')"])
def test_a_planted_lease_is_taken_out_and_nothing_with_it(small, shell, lease):
    objects = sorted((small / "objects").rglob("*"))
    with opened(small) as s, s.books.write() as tx:
        tx.add(LeaseRow(prefix="11" * 16, expires=2**52))
    sql(small / "books.db", f"INSERT INTO lease (prefix, expires) VALUES {lease}")
    assert "collection_altered" in shown(shell)
    assert "collection_altered" not in shown(shell, "--mend", expected=0)
    assert "guards_missing" in shown(shell, expected=0)
    assert sql(small / "books.db", "SELECT prefix FROM lease") == [("11" * 16,)]
    assert sorted((small / "objects").rglob("*")) == objects
    shell.run("project check demo")


@pytest.mark.parametrize("edit", ["UPDATE lease SET expires = 0", "DELETE FROM lease", "UPDATE request SET state = 'approved'"])
def test_an_edit_that_mend_cannot_take_back_is_reported_and_left(small, shell, edit):
    with opened(small) as s, s.books.write() as tx:
        tx.add(LeaseRow(prefix="11" * 16, expires=2**52))
    sql(small / "books.db", edit)
    leases = sql(small / "books.db", "SELECT * FROM lease")
    assert "genovault doctor" not in shown(shell, "--mend")["collection_altered"]
    assert sql(small / "books.db", "SELECT * FROM lease") == leases
    assert "collection_altered" in shown(shell)
