"""Drop lists: whoever holds a person who may not be held any more is told once, under the right name, whatever happens in whatever order."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from policies.consent import Level, SignerRole, Status
from policies.dropping import WITHIN, Todo
from tests.support import vaults
from tests.support.vaults import opened, sql
from tests.support.vcf_text import vcf
from vault import gate
from vault.access import holdings, notice_records, notices, projects, release_names, releases
from vault.audit.actions import Action, Outcome
from vault.audit.reports.records import Filter, records
from vault.consent import corrections, drop_lists, recording
from vault.consent.signatures import Signature
from vault.crypto.keystore import Role
from vault.errors import InputError, IntegrityError, RefusedError
from vault.operations import doctor, key_rotation
from vault.operations.erasure import process as erasure
from vault.subjects import sheet_import
from vault.subjects.references import resolve
from vault.subjects.subject_sheet import read_subject_sheet


def named(s, sample, *, release="", project="demo"):
    (name,) = release_names.names_told(s, projects.load(s, project), release, [resolve(s, sample)], version=1)
    return name


def told(s):
    """(release or holding, pseudonym, what to do) of every drop in force, in order."""
    open_ = [notice for notice in notices.list_all(s) if notice.state in notice_records.IN_FORCE]
    return sorted((notice.ref, drop.pseudonym, drop.todo) for notice in open_ for drop in notice.in_force)


def out(s, tmp_path, *, project="demo"):
    return gate.extract(s, vaults.ask(s, project=project), tmp_path / f"out-{s.random(4).hex()}").release_id


def test_a_withdrawal_tells_the_recipients_of_each_release_and_each_holding(s, tmp_path):
    release = out(s, tmp_path)
    for _ in range(2):
        gate.view(s, project="demo", dataset="cohort", panel="pgx")
    (held,) = holdings.list_all(s)
    done = recording.withdraw(s, "S03")
    name = named(s, "S03")
    assert told(s) == sorted([(release, name, "stop"), (held.holding_id, name, "stop")])
    assert len(done.notices) == 2
    notice = next(one for one in notices.list_all(s) if one.ref == held.holding_id)
    assert (notice.content.kind, notice.content.recipients, notice.content.about) == ("holding", ("ann",), "pgx version 1")
    assert notice.due - notice.created == WITHIN[Todo.STOP]
    assert doctor.examine(s).ok


def test_who_was_in_nothing_is_in_no_notice(s, tmp_path):
    out(s, tmp_path)
    recording.withdraw(s, "S12")
    assert told(s) == []


def test_levels_say_what_is_to_be_done(s, tmp_path):
    release = out(s, tmp_path)
    recording.withdraw(s, "S01", level=Level.NO_CONTACT)
    recording.withdraw(s, "S02", level=Level.NO_NEW_DATA)
    assert told(s) == []
    recording.withdraw(s, "S03", level=Level.NO_NEW_USE)
    recording.withdraw(s, "S04", level=Level.ERASE)
    assert told(s) == sorted([(release, named(s, "S03"), "stop"), (release, named(s, "S04"), "delete")])
    recording.withdraw(s, "S03", level=Level.ERASE)
    assert told(s) == sorted([(release, named(s, sample), "delete") for sample in ("S03", "S04")])


def test_an_erasure_tells_recipients_before_it_destroys_the_keys(s, tmp_path):
    release, name = out(s, tmp_path), named(s, "S05")
    erasure.erase(s, "S05")
    assert told(s) == [(release, name, "delete")]
    drop_lists.bring_up_to_date(s)
    assert told(s) == [(release, name, "delete")]


def test_a_withdrawal_from_one_purpose_is_about_its_projects_alone(s, tmp_path):
    vaults.approve(s, "firm", "cohort", purpose=stated(s, commercial=True))
    vaults.approve(s, "care", "cohort", purpose=stated(s, commercial=False))
    one, other = out(s, tmp_path, project="care"), out(s, tmp_path, project="firm")
    recording.withdraw(s, "S03", scope="purpose:commercial")
    assert told(s) == [(other, named(s, "S03", project="firm"), "stop")]
    assert one not in {ref for ref, _, _ in told(s)}


def stated(s, *, commercial):
    declared = projects.load(s, "demo").declaration.purpose
    return {"use_kinds": [str(kind) for kind in declared.use_kinds], "commercial": commercial, "commitments": ["no_reid"]}


def test_a_withdrawal_recorded_wrongly_calls_its_notices_off(s, tmp_path):
    out(s, tmp_path)
    done = recording.withdraw(s, "S03")
    corrections.correct(s, done.event_id, reason="another person's letter", evidence="0" * 64)
    assert told(s) == []
    (notice,) = notices.list_all(s)
    assert (notice.state, notice.content.drops[0].pseudonym) == (notice_records.CALLED_OFF, named(s, "S03"))
    assert doctor.examine(s).ok


def test_who_agrees_again_may_be_held_again(s, tmp_path):
    out(s, tmp_path)
    recording.restrict(s, "S03")
    assert [todo for _, _, todo in told(s)] == ["stop"]
    recording.restrict(s, "S03", lift=True)
    assert told(s) == []
    recording.note(s, "S03", Status.RESTRICTED)
    assert len(told(s)) == 1


def test_consent_that_never_was_is_deleted(s, tmp_path):
    release = out(s, tmp_path)
    accepted = recording.history(s, "S03").events[0]
    corrections.correct(s, accepted.event_id, reason="the sheet was of another person", evidence="0" * 64)
    assert told(s) == [(release, named(s, "S03"), "delete")]


def test_a_child_who_comes_of_age_is_found_by_a_run(s, tmp_path, monkeypatch):
    born = b"sample_id,mrn,name,birth_date,sex,country,diagnoses\nT01,MRN77,Tim,2010-05-06,M,DE,\n"
    sheet_import.import_sheet(s, read_subject_sheet(born, today=vaults.TODAY))
    vaults.bring(s, vcf("T01", "22 1000 A G 0|1"), "cohort", append=True)
    signed = Signature(signer=SignerRole.GUARDIAN, signed_by="his mother")
    recording.record(s, "T01", "broad-research", {"research_use": "yes", "recontact": "yes"}, signature=signed)
    release, name = out(s, tmp_path), named(s, "T01")
    drop_lists.bring_up_to_date(s)
    assert told(s) == []
    of_age = datetime(2028, 5, 6, 1, tzinfo=UTC)
    monkeypatch.setattr(s, "clock", lambda: of_age)
    before = s.trail.log.size()
    for _ in range(2):
        drop_lists.bring_up_to_date(s)
        assert told(s) == [(release, name, "stop")]
    (notice,) = notices.list_all(s)
    assert notice.content.drops[0].why == "pending_reconsent"
    opened_ = [record.object for record in records(s.trail.log, Filter(first=before, act=Action.RELEASE_NOTICE.value))]
    assert opened_ == [f"notice:{notice.notice_id}"]
    recording.record(s, "T01", "broad-research", {"research_use": "yes", "recontact": "yes"})
    assert told(s) == []


def test_a_rule_that_ends_is_told_and_called_off(s, tmp_path):
    """The project's standing changes, nobody's consent: the run finds it, twice the same, and takes it back."""
    release = out(s, tmp_path)
    with s.books.write() as tx:
        subject = resolve(s, "S03")
        made = drop_lists.plan(s, tx, subject)
        assert not made.opening
        one = drop_lists._wanted(s, tx, drop_lists.held_at(s, tx, subject), ())[0]
        drop_lists._open(s, tx, [replace(one, todo=Todo.STOP, why="pending_reconsent")])
    assert told(s) == [(release, named(s, "S03"), "stop")]
    drop_lists.bring_up_to_date(s)
    assert told(s) == []


def test_late_ones_are_flagged_once(s, tmp_path, monkeypatch):
    out(s, tmp_path)
    recording.withdraw(s, "S03")
    later = s.clock() + timedelta(days=15)
    monkeypatch.setattr(s, "clock", lambda: later)
    for _ in range(2):
        (notice,) = drop_lists.bring_up_to_date(s)
    assert notice.late is not None
    late = list(records(s.trail.log, Filter(act=Action.RELEASE_ESCALATE.value)))
    assert [(record.flags, record.object) for record in late] == [(("late",), f"notice:{notice.notice_id}")]
    assert any(finding.code == "notice_late" for finding in doctor.examine(s).findings)
    notices.acknowledge(s, notice.notice_id, reason="mail of the 3rd", evidence="1" * 64)
    assert not any(finding.code == "notice_late" for finding in doctor.examine(s).findings)


def test_an_acknowledgement_is_taken_back_and_nothing_is_acknowledged_twice(s, tmp_path):
    out(s, tmp_path)
    recording.withdraw(s, "S03")
    (notice,) = notices.list_all(s)
    notices.acknowledge(s, notice.notice_id, reason="mail")
    with pytest.raises(InputError, match="acknowledged") as caught:
        notices.acknowledge(s, notice.notice_id, reason="mail")
    assert "--take-back" in (caught.value.hint or "")
    notices.reopen(s, notice.notice_id, reason="it was of another notice")
    assert notices.load(s, notice.notice_id).state == notice_records.OPEN
    with pytest.raises(InputError) as caught:
        notices.acknowledge(s, "ntc-0", reason="mail")
    assert caught.value.code == "notice_unknown"


def test_what_was_deleted_is_not_asked_to_be_kept(s, tmp_path):
    out(s, tmp_path)
    recording.withdraw(s, "S04", level=Level.ERASE)
    (notice,) = notices.list_all(s)
    notices.acknowledge(s, notice.notice_id, reason="done")
    recording.withdraw(s, "S04")
    assert [one.state for one in notices.list_all(s)] == [notice_records.ACKNOWLEDGED]


def test_names_of_a_destroyed_key_mean_the_whole_release(s, tmp_path):
    release = out(s, tmp_path)
    key_rotation.renew_project(s, "demo")
    recording.withdraw(s, "S03")
    assert told(s) == [(release, notice_records.WHOLE, "stop")]
    recording.withdraw(s, "S02")
    assert {name for _, name, _ in told(s)} == {notice_records.WHOLE}


def test_a_name_is_the_one_that_the_release_has(s, tmp_path):
    first, old = out(s, tmp_path), named(s, "S03")
    key_rotation.renew_project(s, "demo", keep_old=True)
    second = out(s, tmp_path)
    recording.withdraw(s, "S03")
    names = {ref: name for ref, name, _ in told(s)}
    assert names[first] == old
    assert names[second] not in {old, ""}


def test_names_of_a_release_of_its_own(s, tmp_path):
    vaults.approve(s, "once", "cohort", pseudonyms="release")
    release = out(s, tmp_path, project="once")
    recording.withdraw(s, "S03")
    assert told(s) == [(release, named(s, "S03", release=release, project="once"), "stop")]


def test_a_custodian_who_records_a_withdrawal_tells_recipients(folder, s, tmp_path):
    release = out(s, tmp_path)
    name = named(s, "S03")
    factor = vaults.add_role(folder, Role.CUSTODIAN)
    with opened(folder, factor=factor, principal="custodian") as c:
        recording.withdraw(c, "S03")
        with pytest.raises(RefusedError):
            notices.acknowledge(c, notices.list_all(c)[0].notice_id, reason="x")
    assert told(s) == [(release, name, "stop")]


def test_a_withdrawal_stands_where_nobody_can_be_told(s, tmp_path):
    out(s, tmp_path)
    sql(s.folder / "books.db", "UPDATE release SET sealed = x'00'")
    recording.withdraw(s, "S03")
    failed = list(records(s.trail.log, Filter(act=Action.RELEASE_NOTICE.value)))
    assert [record.outcome for record in failed] == [Outcome.FAILED.value]


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE notice SET state = 'acknowledged'",
        "UPDATE notice SET due = due + 1",
        "UPDATE notice SET ref = 'rel-0'",
        "UPDATE notice SET late = 1",
        "DELETE FROM notice",
    ],
)
def test_a_notice_that_whoever_may_sign_it_edited_is_found(s, tmp_path, edit):
    out(s, tmp_path)
    recording.withdraw(s, "S03")
    with s.books.write() as tx:
        tx.execute(text(edit))
    assert notices.faults(s)


def test_a_row_of_before_cannot_answer_for_a_notice(folder, s, tmp_path):
    out(s, tmp_path)
    recording.withdraw(s, "S03")
    (notice,) = notices.list_all(s)
    notices.acknowledge(s, notice.notice_id, reason="mail")
    columns = ("state", "version", "late", "issued", "sealed")
    (row,) = sql(folder / "books.db", f"SELECT {', '.join(columns)} FROM notice")
    notices.reopen(s, notice.notice_id, reason="of another")
    with s.books.write() as tx:
        tx.execute(
            text(f"UPDATE notice SET {', '.join(f'{one} = :{one}' for one in columns)}"), dict(zip(columns, row, strict=True))
        )
    assert notices.faults(s)
    for read in (lambda: notices.load(s, notice.notice_id), lambda: notices.reopen(s, notice.notice_id, reason="again")):
        with pytest.raises(IntegrityError):
            read()


@pytest.mark.parametrize("edit", ["DELETE FROM holding", "UPDATE holding SET holder = 'eve'", "UPDATE holding SET names = 9"])
def test_an_edited_holding_is_found(folder, s, edit):
    gate.view(s, project="demo", dataset="cohort", panel="pgx")
    assert holdings.faults(s) == []
    sql(folder / "books.db", edit)
    assert holdings.faults(s)


def test_a_view_of_the_same_people_adds_nothing(s):
    for _ in range(3):
        gate.view(s, project="demo", dataset="cohort", panel="pgx")
    (held,) = holdings.list_all(s)
    assert len(held.sets) == 1
    recording.withdraw(s, "S03")
    gate.view(s, project="demo", dataset="cohort", panel="pgx")
    (held,) = holdings.list_all(s)
    assert len(held.sets) == 2
    assert len(holdings.people_in(s, held)) == len(vaults.PERMITTED)
    assert [release.state for release in releases.list_all(s)] == ["released"] * 4
