"""Resolving a pseudonym: one person, a reason, two people with two keys, in time, once; and one answer to whatever is no pseudonym."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from tests.support import vaults
from tests.support.vaults import opened, sql
from vault import gate
from vault.access import named_people, resolutions
from vault.access.accounting import account_for
from vault.audit.actions import Action
from vault.audit.reports.records import Filter, records
from vault.consent import recording
from vault.crypto.keystore import PassphraseFactor, Role
from vault.crypto.primitives import Argon2Profile
from vault.errors import InputError, IntegrityError, RefusedError
from vault.operations import doctor
from vault.operations.erasure import process as erasure
from vault.session import principals


@pytest.fixture
def both(folder, s):
    """The steward's session and a custodian's, and the pseudonyms that left."""
    factor = vaults.add_role(folder, Role.CUSTODIAN)
    view = gate.view(s, project="demo", dataset="cohort", panel="pgx")
    with opened(folder, factor=factor, principal="custodian") as second:
        yield s, second, list(view.pseudonyms)


def asked(s, pseudonym, **rest):
    return resolutions.open_request(s, pseudonym, project="demo", reason="a call that cannot be", **rest).resolution_id


def name_of(s, sample):
    return named_people.names_of(s, sample, project="demo", reason="x")[0].pseudonym


def test_two_people_learn_one_person(both):
    ann, second, _ = both
    own = asked(ann, name_of(ann, "S03"), case="T-17")
    assert resolutions.approve(second, own).state == resolutions.APPROVED
    found = resolutions.execute(ann, own)
    assert (found.mrn, found.samples) == ("MRN0003", ("S03",))
    acts = [record.act for record in records(ann.trail.log, Filter(act="pseudonym.resolve"))]
    assert acts == [Action.PSEUDONYM_OPEN.value, Action.PSEUDONYM_APPROVE.value, Action.PSEUDONYM_RESOLVE.value]
    assert Action.PSEUDONYM_RESOLVE.value in [record.act for record in account_for(ann, "S03").other]
    assert doctor.examine(ann).ok


def test_it_is_told_once(both):
    ann, second, names = both
    own = asked(ann, names[0])
    resolutions.approve(second, own)
    resolutions.execute(second, own)
    with pytest.raises(InputError, match="executed"):
        resolutions.execute(ann, own)


def test_nobody_approves_their_own_and_nothing_unapproved_is_told(both):
    ann, second, names = both
    own = asked(ann, names[0])
    with pytest.raises(RefusedError) as caught:
        resolutions.approve(ann, own)
    assert (caught.value.code, caught.value.hint) == ("self_approval", "custodian may")
    with pytest.raises(InputError, match="open"):
        resolutions.execute(ann, own)
    with pytest.raises(InputError, match="open"):
        resolutions.execute(second, own)


def test_alone_nobody_asks(s):
    (name, *_) = gate.view(s, project="demo", dataset="cohort", panel="pgx").pseudonyms
    with pytest.raises(RefusedError) as caught:
        asked(s, name)
    assert caught.value.code == "second_person_missing"
    assert "custodian" in caught.value.hint


def test_whatever_is_no_pseudonym_has_one_answer(both):
    ann, _, names = both
    vaults.approve(ann, "second", "cohort")
    (other, *_) = gate.view(ann, project="second", dataset="cohort", panel="pgx").pseudonyms
    mistyped = names[0][:-1] + ("q" if names[0][-1] != "q" else "p")
    gone = name_of(ann, "S04")
    erasure.erase(ann, "S04")
    answers = set()
    for given in (mistyped, other, gone, "", "demo1", names[0].upper()):
        with pytest.raises(InputError) as caught:
            asked(ann, given)
        answers.add((caught.value.code, caught.value.message, caught.value.hint))
    assert len(answers) == 1


def test_too_late_is_too_late(both, monkeypatch):
    ann, second, names = both
    first, later = asked(ann, names[0]), asked(ann, names[1])
    resolutions.approve(second, later)
    now = ann.clock() + timedelta(days=8)
    for session in (ann, second):
        monkeypatch.setattr(session, "clock", lambda: now)
    with pytest.raises(InputError, match="expired"):
        resolutions.approve(second, first)
    with pytest.raises(InputError, match="expired"):
        resolutions.execute(ann, later)
    assert {one.state for one in resolutions.listed(ann)} == {resolutions.EXPIRED}


def test_what_was_closed_is_not_told(both):
    ann, second, names = both
    own = asked(ann, names[0])
    resolutions.approve(second, own)
    resolutions.close(second, own, reason="it was another record")
    with pytest.raises(InputError, match="closed"):
        resolutions.execute(ann, own)


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE resolution SET opened_by = 'custodian'",
        "UPDATE resolution SET expires = expires + 1",
        "UPDATE resolution SET approved = approved + 1",
        "UPDATE resolution SET approved_by = 'ann'",
        "UPDATE resolution SET approver = signer, second_signature = signature",
        "UPDATE resolution SET approved_by = opened_by, approved = opened, approver = signer, second_signature = signature",
        "UPDATE resolution SET approved_by = NULL",
        "UPDATE resolution SET sealed = x'00'",
        "UPDATE resolution SET opened_event = 'x'",
        "UPDATE resolution SET opened_event = (SELECT opened_event FROM resolution ORDER BY opened LIMIT 1)",
    ],
)
def test_a_row_that_whoever_may_sign_it_edited_resolves_nothing(both, edit):
    ann, second, names = both
    resolutions.close(ann, asked(ann, names[0]), reason="x")
    own = asked(ann, names[1])
    resolutions.approve(second, own)
    with second.books.write() as tx:
        tx.execute(text(edit))
    with pytest.raises((IntegrityError, InputError)) as caught:
        resolutions.execute(ann, own)
    assert caught.value.code in {"approval_missing", "resolution_altered", "seal_broken", "blob_truncated"}
    assert any(finding.code == "resolution_altered" for finding in doctor.examine(ann).findings)


def test_an_approval_is_of_one_pseudonym(folder, both):
    """All of an approved request but what is asked, under another's id."""
    ann, second, names = both
    good, other = asked(ann, names[0]), asked(ann, names[1])
    resolutions.approve(second, good)
    columns = ("approved_by", "approved", "approver", "second_signature")
    (row,) = sql(folder / "books.db", (f"SELECT {', '.join(columns)} FROM resolution WHERE resolution_id = ?", (good,)))
    sets = ", ".join(f"{one} = :{one}" for one in columns)
    with second.books.write() as tx:
        tx.execute(
            text(f"UPDATE resolution SET {sets} WHERE resolution_id = :own"),
            {**dict(zip(columns, row, strict=True)), "own": other},
        )
    with pytest.raises(InputError, match="open"):
        resolutions.execute(ann, other)
    (event,) = sql(folder / "books.db", ("SELECT opened_event FROM resolution WHERE resolution_id = ?", (good,)))
    with second.books.write() as tx:
        tx.execute(
            text("UPDATE resolution SET opened_event = :event WHERE resolution_id = :own"), {"event": event[0], "own": other}
        )
    with pytest.raises(IntegrityError):
        resolutions.execute(ann, other)


def test_two_slots_of_one_person_are_one_person(folder, both):
    ann, _, names = both
    own = asked(ann, names[0])
    again = PassphraseFactor.from_text("another passphrase of hers")
    principals.add_slot(ann, "ann", again, profile=Argon2Profile.TEST_ONLY)
    with opened(folder, factor=again) as same, pytest.raises(RefusedError):
        resolutions.approve(same, own)


def test_who_was_disabled_since_has_not_approved(folder, s):
    factor = vaults.add_role(folder, Role.CUSTODIAN)
    (name, *_) = gate.view(s, project="demo", dataset="cohort", panel="pgx").pseudonyms
    own = asked(s, name)
    with opened(folder, factor=factor, principal="custodian") as second:
        resolutions.approve(second, own)
    principals.disable(s, "custodian")
    with pytest.raises((InputError, IntegrityError)):
        resolutions.execute(s, own)


@pytest.mark.parametrize("role", [Role.ENGINE, Role.AUDITOR])
def test_engines_and_auditors_are_no_second_person(folder, both, role):
    ann, _, names = both
    own = asked(ann, names[0])
    factor = vaults.add_role(folder, role)
    with opened(folder, factor=factor, principal=role.value) as other:
        for act in (resolutions.approve, resolutions.execute):
            with pytest.raises(RefusedError):
                act(other, own)


def test_the_way_back_names_only_who_left(s):
    vaults.approve(s, "once", "cohort", pseudonyms="release")
    (first, *_), (second, *_) = (
        gate.view(s, project="once", dataset="cohort", regions=["22:1-1200"]).pseudonyms for _ in range(2)
    )
    assert first != second
    names = named_people.names_of(s, "S03", project="once", reason="x")
    assert len({one.pseudonym for one in names}) == len({one.ref for one in names}) == 2
    for sample, project in (("S11", "once"), ("S03", "demo")):
        with pytest.raises(InputError) as caught:
            named_people.names_of(s, sample, project=project, reason="x")
        assert caught.value.code == "not_released"
    with pytest.raises(InputError):
        named_people.names_of(s, "S03", project="once", reason=" ")


def test_a_name_of_one_release_is_resolved(folder, s):
    factor = vaults.add_role(folder, Role.CUSTODIAN)
    vaults.approve(s, "once", "cohort", pseudonyms="release")
    gate.view(s, project="once", dataset="cohort", regions=["22:1-1200"])
    gate.view(s, project="once", dataset="cohort", regions=["22:1-1100"])
    for name in named_people.names_of(s, "S07", project="once", reason="x"):
        own = resolutions.open_request(s, name.pseudonym, project="once", reason="x").resolution_id
        with opened(folder, factor=factor, principal="custodian") as second:
            resolutions.approve(second, own)
        assert resolutions.execute(s, own).samples == ("S07",)


def test_who_withdrew_is_still_found(both):
    ann, second, _ = both
    name = name_of(ann, "S05")
    recording.withdraw(ann, "S05")
    own = asked(ann, name)
    resolutions.approve(second, own)
    assert resolutions.execute(ann, own).samples == ("S05",)
