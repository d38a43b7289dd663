"""A steward's work on consent, through the services that the commands call."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from sqlalchemy import update

from policies.consent import Level, SignerRole, Status
from policies.declarations import project_template
from tests.support.held import Held
from tests.support.shell import cohort
from vault import gate
from vault.access import projects, releases, rulings
from vault.audit.actions import Action
from vault.consent import coverage, explanations, forms, ledger, recording, reference_data, subject_export, work_queue
from vault.consent.recording import Signature
from vault.errors import GenovaultError, InputError, IntegrityError, RefusedError
from vault.files.csv_sheets import SheetRejectedError
from vault.storage.book_tables import ConsentBatchRow, ConsentPrivateRow, PrincipalRow
from vault.subjects.registry import import_sheet
from vault.subjects.subject_sheet import read_subject_sheet

START = datetime(2026, 6, 1, 12, tzinfo=UTC)
FORM = "broad-research"
SITE_FORM = """
form: site
version: "2"
title: Our own consent
language: en
material_change: true
effective: 2026-06-10
questions:
  - id: research_use
    required: true
    wording: I allow it.
    alternatives: [{permission: GRU}]
"""
PAIRS = "MONDO:0008903\tMONDO:0004992\nMONDO:0004992\tMONDO:0000001\n"


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        self.now += timedelta(microseconds=1)
        return self.now

    def forward(self, **by: int) -> None:
        self.now += timedelta(**by)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def held(tmp_path: Path, clock: Clock) -> Iterator[Held]:
    """Twelve people with genotypes, SAMPLE_1 a child in Germany and SAMPLE_2 one in Scotland's country, nobody asked yet."""
    made = Held.make(tmp_path, clock=clock)
    lines = ["sample_id,mrn,birth_date,country", "SAMPLE_1,M1,2010-02-28,DE", "SAMPLE_2,M2,2010-07-01,GB"]
    rows = read_subject_sheet(made.write("s.csv", "\n".join(lines)), today=START.date())
    import_sheet(made.session, rows, update=False)
    made.load(made.write("c.vcf", cohort().data))
    yield made
    made.session.close()


def sheet(*rows: dict[str, str]) -> bytes:
    text = io.StringIO()
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(text, names)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def refused(held: Held, *rows: dict[str, str], form: str = FORM) -> list[tuple[int, str]]:
    """Where a sheet is refused; nothing of it is recorded."""
    before = held.traces()
    with pytest.raises(SheetRejectedError) as caught:
        recording.import_answers(held.session, sheet(*rows), form)
    assert held.traces() == before
    return [(problem.line, problem.column) for problem in caught.value.problems]


def permits(held: Held, code: str = "demo") -> int:
    return gate.check(held.session, code).permit


# What is refused


@pytest.mark.parametrize(
    ("row", "column"),
    [
        ({"subject": "SAMPLE_99"}, "subject"),
        ({"research_use": "maybe"}, "research_use"),
        ({"research_use": ""}, "research_use"),
        ({"legal_time": "2026-01-01T09:00:00"}, "legal_time"),
        ({"legal_time": "2027-01-01"}, "legal_time"),
        ({"signer": "aunt"}, "signer"),
        ({"signer": "guardian"}, "signer"),  # SAMPLE_3 has no birth date
        ({"evidence": "no-such-file"}, "evidence"),
        ({"qc": "invalid"}, "qc"),
    ],
)
def test_a_bad_field_refuses_the_sheet(held, row, column):
    good = {"subject": "SAMPLE_4", "research_use": "yes"}
    assert refused(held, good, {"subject": "SAMPLE_3", "research_use": "yes", **row}) == [(3, column)]


def test_an_unknown_question_form_or_version_refuses_the_sheet(held):
    assert refused(held, {"subject": "SAMPLE_3", "research_use": "yes", "colour": "blue"}) == [(1, "column 3")]
    for name in ("nope", f"{FORM}@9"):
        with pytest.raises(InputError) as caught:
            recording.import_answers(held.session, sheet({"subject": "SAMPLE_3", "research_use": "yes"}), name)
        assert caught.value.code == "form_unknown"


def test_a_sheet_brings_nobody_back_who_withdrew(held):
    held.answer({"SAMPLE_3": "yes"})
    recording.withdraw(held.session, "SAMPLE_3")
    assert refused(held, {"subject": "SAMPLE_3", "research_use": "yes"}) == [(2, "research_use")]
    header, rows = recording.blank_sheet(held.session, "clinical-matching", accept=True)
    assert "sample:SAMPLE_3" not in {row[header.index("subject")] for row in rows}
    held.project("demo")
    assert permits(held) == 0
    recording.record(held.session, "SAMPLE_3", FORM, {"research_use": "yes"})
    assert permits(held) == 1


def test_a_refusal_can_always_be_imported(held):
    held.answer({"SAMPLE_3": "yes"})
    recording.withdraw(held.session, "SAMPLE_3")
    held.answer({"SAMPLE_3": "no"})


def guardian(sample: str, name: str, **more: str) -> dict[str, str]:
    return {"subject": sample, "research_use": "yes", "signer": "guardian", "signed_by": name, **more}


def test_two_guardians_overlap_and_one_may_sign_again(held):
    recording.import_answers(held.session, sheet(guardian("SAMPLE_1", "Ada")), FORM)
    assert refused(held, guardian("SAMPLE_1", "Bob")) == [(2, "signer")]
    recording.import_answers(held.session, sheet(guardian("SAMPLE_1", "Ada")), FORM)
    recording.record(
        held.session,
        "SAMPLE_1",
        FORM,
        {"research_use": "no"},
        signature=Signature(signer=SignerRole.GUARDIAN, signed_by="Bob"),
    )
    shown = recording.history(held.session, "SAMPLE_1")
    assert [event.signer_ref for event in shown.events] == ["1", "1", "2"]
    assert [shown.private[event.event_id]["signed_by"] for event in shown.events] == ["Ada", "Ada", "Bob"]
    assert dict(shown.standing.refused)["research_use"] == "declined"
    recording.record(
        held.session,
        "SAMPLE_1",
        FORM,
        {"research_use": "yes"},
        signature=Signature(signer=SignerRole.GUARDIAN, signed_by="Ada"),
    )
    assert dict(recording.history(held.session, "SAMPLE_1").standing.refused)["research_use"] == "guardians_disagree"


def test_a_guardian_cannot_sign_for_somebody_of_age_where_they_live(held):
    assert refused(held, guardian("SAMPLE_2", "Ada", legal_time="2026-07-01")) == [(2, "legal_time")]  # still to come
    recording.import_answers(held.session, sheet(guardian("SAMPLE_2", "Ada")), FORM)
    (event,) = recording.history(held.session, "SAMPLE_2").events
    assert event.lapses_at == datetime(2026, 7, 1, tzinfo=UTC)  # sixteen


def test_of_age_is_said_at_the_signer(held, clock):
    clock.forward(days=60)
    assert refused(held, guardian("SAMPLE_2", "Ada")) == [(2, "signer")]


def test_a_site_loads_its_own_ages(held):
    text = '{"version": "own", "source": "statute", "date": "2026-01-01", "default": 18, "leap_day": "mar_1", "ages": {"GB": 18}}'
    reference_data.load(held.session, reference_data.MAJORITY, text, version="own")
    recording.import_answers(held.session, sheet(guardian("SAMPLE_2", "Ada")), FORM)
    (event,) = recording.history(held.session, "SAMPLE_2").events
    assert event.lapses_at == datetime(2028, 7, 1, tzinfo=UTC)


# What is recorded


def test_the_report_names_line_and_event(held):
    rows = [{"subject": f"SAMPLE_{n}", "research_use": "yes"} for n in (3, 5, 4)]
    report = recording.import_answers(held.session, sheet(*rows), FORM)
    assert report.rows == ((2, 1), (3, 2), (4, 3))
    assert [event.seq for event in recording.history(held.session, "SAMPLE_5").events] == [2]


def test_a_digest_of_the_evidence_is_sealed(held):
    paper = held.write("paper.pdf", b"signed")
    signature = Signature(evidence=str(paper), channel="told Dr Who on the phone")
    recording.record(held.session, "SAMPLE_3", FORM, {"research_use": "yes"}, signature=signature)
    shown = recording.history(held.session, "SAMPLE_3")
    assert (shown.events[0].evidence_hash, shown.events[0].channel) == ("sealed", "")
    assert shown.private[shown.events[0].event_id]["channel"] == "told Dr Who on the phone"
    assert b"Dr Who" not in (held.folder / "v" / "books.db").read_bytes() + (held.folder / "v" / "books.db-wal").read_bytes()
    assert len(shown.private[shown.events[0].event_id]["evidence"]) == 64
    with pytest.raises(InputError) as caught:
        recording.withdraw(held.session, "SAMPLE_3", signature=Signature(evidence="nothing-here"))
    assert caught.value.code == "bad_evidence"


def test_pending_permits_nothing_and_a_correction_names_its_event(held):
    held.project("demo")
    event = recording.record(
        held.session, "SAMPLE_3", FORM, {"research_use": "yes"}, signature=Signature(qc=recording.QcState.PENDING)
    )
    assert gate.check(held.session, "demo").deny == (("consent_not_checked", 1), ("no_active_consent", 11))
    with pytest.raises(InputError) as caught:
        recording.record(held.session, "SAMPLE_4", FORM, {"research_use": "yes"}, signature=Signature(supersedes=event.event_id))
    assert caught.value.code == "event_unknown"
    recording.record(held.session, "SAMPLE_3", FORM, {"research_use": "yes"}, signature=Signature(supersedes=event.event_id))
    assert permits(held) == 1


def test_a_death_stops_use_unless_it_was_allowed(held):
    held.everyone_consents()
    held.project("demo")
    recording.note(held.session, "SAMPLE_3", Status.DECEASED, signature=Signature(at=START - timedelta(days=3)))
    assert gate.check(held.session, "demo").deny == (("deceased", 1),)


def test_what_was_true_and_what_was_known_are_two_questions(held, clock):
    recording.record(held.session, "SAMPLE_3", FORM, {"research_use": "yes"}, signature=Signature(at=START - timedelta(days=100)))
    before = clock.now
    clock.forward(days=1)
    recording.withdraw(held.session, "SAMPLE_3", signature=Signature(at=START - timedelta(days=50)))

    def granted(**when: datetime) -> bool:
        return bool(recording.history(held.session, "SAMPLE_3", **when).standing.grants)

    assert granted(at=START - timedelta(days=60), known_at=clock.now)
    assert not granted(at=START - timedelta(days=40), known_at=clock.now)
    assert granted(at=START - timedelta(days=40), known_at=before)
    assert not granted(at=START - timedelta(days=60), known_at=START - timedelta(days=1))
    assert not granted()


def test_a_place_excluded_by_name_is_hidden_and_an_unknown_one_refuses(held):
    held.everyone_consents()
    held.project("demo")
    recording.withdraw(held.session, "SAMPLE_3", scope="loci:mito")
    held.extract("demo", regions=["22:1-17000000"])
    recording.withdraw(held.session, "SAMPLE_3", scope="loci:unheard_of")
    with pytest.raises(RefusedError) as caught:
        held.extract("demo", out="again", regions=["22:1-17000000"])
    assert caught.value.code == "loci_unresolved"
    own = '{"version": "own 1", "source": "ours", "date": "2026-01-01", "assemblies": {"GRCh38": {"categories": {"unheard_of": ["22:16000100-16000300"]}}}}'
    reference_data.load(held.session, reference_data.LOCI, own, version="own 1")
    with pytest.raises(RefusedError) as caught:
        held.extract("demo", out="third", regions=["22:16000100-16100001"])
    assert caught.value.code == "nothing_left"
    held.extract("demo", out="fourth", regions=["22:16000100-17000000", "X"])  # 500 kb on each side are hidden too
    assert releases.list_all(held.session)[0].n_sites == 1


def test_the_end_of_a_consent_stands_on_the_release(held, clock):
    recording.import_answers(
        held.session, sheet({"subject": "SAMPLE_3", "research_use": "any_health", "commercial": "yes"}), "disease-research"
    )
    held.project("demo")
    folder = held.extract("demo", regions=["22:1-17000000"])
    manifest = json.loads((folder / "manifest.json").read_text())
    assert "2056-06-01" in json.dumps(manifest)  # 30 years from the signature


# Forms, ontologies


def test_a_form_of_a_sites_own_is_kept_and_changes_nothing_silently(held, clock):
    form = forms.add(held.session, SITE_FORM)
    assert (form.id, form.version) in {(one.id, one.version) for one in forms.list_all(held.session)}
    forms.add(held.session, SITE_FORM)
    with pytest.raises(InputError) as caught:
        forms.add(held.session, SITE_FORM.replace("I allow it.", "I allow all of it."))
    assert caught.value.code == "form_exists"
    with pytest.raises(InputError) as caught:
        forms.add(held.session, SITE_FORM.replace("id: research_use", "id: signer"))
    assert caught.value.code == "document_rejected"
    with pytest.raises(InputError) as caught:
        forms.add(held.session, SITE_FORM + "colour: blue\n")
    assert "colour" in str(caught.value)
    with pytest.raises(InputError) as caught:
        forms.add(held.session, "#" * 10_000_000)
    assert caught.value.code == "document_too_large"


def test_a_material_change_ends_the_old_version_for_later_purposes_alone(held, clock):
    old = SITE_FORM.replace('"2"', '"1"').replace("material_change: true\neffective: 2026-06-10\n", "")
    forms.add(held.session, old)
    recording.import_answers(held.session, sheet({"subject": "SAMPLE_3", "research_use": "yes"}), "site@1")
    held.project("early")
    forms.add(held.session, SITE_FORM)
    clock.forward(days=30)
    held.project("late")
    assert (permits(held, "early"), permits(held, "late")) == (1, 0)
    assert dict(gate.check(held.session, "late").deny)["material_change"] == 1
    recording.import_answers(held.session, sheet({"subject": "SAMPLE_3", "research_use": "yes"}), "site@2")
    assert permits(held, "late") == 1


def disease_project(held: Held, **purpose: object) -> None:
    document = yaml.safe_load(project_template("lungs", "cohort"))
    document["purpose"] |= {"use_kinds": ["disease"], "diseases": ["MONDO:0008903"], **purpose}
    projects.create(held.session, document)
    projects.change(held.session, "lungs", "approve")


def test_diseases_wait_for_an_ontology(held):
    answers = {"subject": "SAMPLE_3", "research_use": "disease_only", "commercial": "yes"}
    recording.import_answers(held.session, sheet(answers), "disease-research")
    disease_project(held)
    assert gate.check(held.session, "lungs").review == (("ontology_not_loaded", 1),)
    reference_data.load(held.session, reference_data.ONTOLOGY, PAIRS, version="tiny")
    assert permits(held, "lungs") == 1
    with pytest.raises(InputError) as caught:
        reference_data.load(held.session, reference_data.ONTOLOGY, PAIRS + "MONDO:0000001\tMONDO:0008903\n", version="round")
    assert caught.value.code == "document_rejected"
    with pytest.raises(InputError) as caught:
        reference_data.load(held.session, reference_data.ONTOLOGY, "MONDO:0008903\tMONDO:0000001\n", version="tiny")
    assert caught.value.code == "pack_exists"
    assert [(pack.kind, pack.version) for pack in reference_data.loaded(held.session)] == [("ontology", "tiny")]


# Explain, coverage, agenda, rulings


def test_an_explanation_has_the_clause_of_the_form(held):
    held.answer({"SAMPLE_3": "yes"})
    held.project("demo")
    found = explanations.explain(held.session, "SAMPLE_3", "demo")
    assert found.words[0].startswith("Yes")
    assert "under a code instead of my name" in found.clauses[0].wording
    assert found.clauses[0].answer == "yes (GRU)"
    recording.withdraw(held.session, "SAMPLE_3", level=Level.ERASE)
    found = explanations.explain(held.session, "SAMPLE_3", "demo")
    assert found.words[:2] == (
        "No: this person's data cannot be released to the project.",
        "The person withdrew. A withdrawal never expires. [research_use]",
    )
    assert (found.clauses[-1].wording, found.clauses[-1].answer) == ("withdrawal of everything", "erase")
    assert held.entries()[-1]["act"] == Action.CONSENT_EXPLAIN


def test_an_explanation_says_that_there_is_no_data(held):
    import_sheet(held.session, read_subject_sheet(held.write("t.csv", "sample_id\nELSE\n"), today=START.date()), update=False)
    held.project("demo")
    found = explanations.explain(held.session, "ELSE", "demo")
    assert not found.has_data
    assert found.words[1] == "The project's datasets hold no data of this person."


def test_coverage_counts_everybody_once(held):
    held.answer({"SAMPLE_3": "yes", "SAMPLE_4": "no"})
    held.project("demo")
    (share,) = coverage.coverage(held.session, "demo")
    assert (share.people, share.usable) == (12, 1)
    assert [(str(o), r.code, n) for o, r, n in share.counts] == [
        ("deny", "no_active_consent", 10),
        ("deny", "declined", 1),
        ("permit", "consent_covers_purpose", 1),
    ]
    plain = {share.purpose: share.usable for share in coverage.coverage(held.session)}
    assert plain["research of any kind"] == plain["ancestry research"] == 1
    assert plain["clinical care"] == plain["matching to treatments"] == 0


def test_what_ends_soon_is_listed_with_its_cause(held, clock):
    recording.import_answers(held.session, sheet(guardian("SAMPLE_2", "Ada")), FORM)
    answers = {"subject": "SAMPLE_3", "research_use": "any_health", "legal_time": "1996-06-20"}
    recording.import_answers(held.session, sheet(answers), "disease-research")
    assert work_queue.expiring(held.session, within=timedelta(days=1)) == []
    found = work_queue.expiring(held.session, within=timedelta(days=60))
    assert [(due.policy, due.ends.date().isoformat(), due.cause) for due in found] == [
        ("research_use", "2026-06-20", "validity"),
        ("research_use", "2026-07-01", "majority"),
    ]
    clock.forward(days=61)
    assert work_queue.expiring(held.session, within=timedelta(days=60)) == []


def test_one_stewards_ruling_settles_a_review_and_can_be_taken_back(held):
    held.everyone_consents()
    disease_project(held, controls=True)
    (open_question,) = work_queue.queue(held.session).waiting
    assert (open_question.reason.about, open_question.people, open_question.by_ruling) == ("controls", 12, True)
    ruling = rulings.rule(held.session, "lungs", "controls", reason="not contacted")
    assert ruling.confirmed_by == "ann"
    assert "self_approved" in held.entries()[-1]["flags"]
    assert permits(held, "lungs") == 12
    assert work_queue.queue(held.session).waiting == ()
    rulings.rule(held.session, "lungs", "controls", reason="reconsidered", allows=False)
    assert permits(held, "lungs") == 0
    assert [(one.allows, one.reason) for one in rulings.list_all(held.session, "lungs")] == [
        (True, "not contacted"),
        (False, "reconsidered"),
    ]


def test_with_two_stewards_a_ruling_takes_both(held):
    held.everyone_consents()
    disease_project(held, controls=True)
    with held.session.books.write() as tx:
        tx.add(PrincipalRow(name="bea", role="steward", state="active", created=0))
    assert rulings.rule(held.session, "lungs", "controls", reason="x").confirmed_by is None
    assert permits(held, "lungs") == 0
    assert [one.item for one in work_queue.queue(held.session).unconfirmed] == ["controls"]
    with pytest.raises(RefusedError) as caught:
        rulings.rule(held.session, "lungs", "controls", reason="x")
    assert caught.value.code == "self_confirmation"
    held.session.principal = "bea"
    assert rulings.rule(held.session, "lungs", "controls", reason="y").confirmed_by == "bea"
    assert permits(held, "lungs") == 12


@pytest.mark.parametrize(("item", "reason", "code"), [("colour", "x", "item_unknown"), ("controls", " ", "reason_missing")])
def test_a_ruling_names_a_known_item_and_a_reason(held, item, reason, code):
    held.project("demo")
    with pytest.raises(InputError) as caught:
        rulings.rule(held.session, "demo", item, reason=reason)
    assert caught.value.code == code


# A person's own copy


def test_a_persons_copy_holds_acts_decisions_and_disclosures_and_is_logged(held):
    answers = {"subject": "SAMPLE_3", "matching": "yes", "research_use": "yes", "results_drugs": "want"}
    recording.import_answers(held.session, sheet(answers), "clinical-matching")
    held.project("demo")
    held.extract("demo", regions=["22:1-17000000"])
    recording.withdraw(held.session, "SAMPLE_3", signature=Signature(signed_by="<b>Eve</b>"))
    folder = held.folder / "copy"
    document = subject_export.export(held.session, "SAMPLE_3", folder)
    assert json.loads((folder / "dossier.json").read_text()) == document
    assert [len(document[key]) for key in ("consent", "releases")] == [2, 1]
    assert document["preferences"]["pharmacogenes"] == "want"
    assert document["decisions"][0]["answer"] == "deny"
    acts = {entry["act"] for entry in document["log"]}
    assert {"consent.import", "extract.intent", "consent.withdraw"} <= acts
    page = (folder / "dossier.html").read_text()
    assert "<b>Eve</b>" not in page
    assert "&lt;b&gt;Eve&lt;/b&gt;" in page
    assert "http" not in page.split("</head>")[1].replace("http-equiv", "")
    assert held.entries()[-1]["act"] == "consent.export"
    with pytest.raises(InputError) as caught:
        subject_export.export(held.session, "SAMPLE_3", folder)
    assert caught.value.code == "output_exists"


@pytest.mark.parametrize(("withdrawn", "answer"), [("after", "permit"), ("before", "deny")])
def test_a_persons_copy_answers_as_the_gate_does_where_new_data_are_excluded(held, withdrawn, answer):
    signature = Signature(at=START - timedelta(days=60))
    recording.record(held.session, "SAMPLE_3", FORM, {"research_use": "yes"}, signature=signature)
    at = START - timedelta(days=10) if withdrawn == "before" else None
    recording.withdraw(held.session, "SAMPLE_3", level=Level.NO_NEW_DATA, signature=Signature(at=at))
    held.project("demo")
    document = subject_export.export(held.session, "SAMPLE_3", held.folder / "copy")
    explained = explanations.explain(held.session, "SAMPLE_3", "demo").decision
    assert document["decisions"][0]["answer"] == explained.outcome == answer
    assert document["decisions"][0]["reasons"] == [reason.words() for reason in explained.reasons]
    assert permits(held) == (answer == "permit")


# Integrity


@pytest.mark.parametrize("touch", ["edited", "deleted", "moved", "truncated"])
def test_a_ledger_that_was_touched_is_noticed_before_anything_is_decided(held, touch):
    for sample in ("SAMPLE_3", "SAMPLE_4"):
        held.answer({sample: "yes"})
        recording.withdraw(held.session, sample)
    held.project("demo")
    held.reopen()
    with held.session.books.write() as tx:
        rows = {seq: tx.get_one(ConsentBatchRow, seq) for seq in (1, 2, 3, 4)}
        if touch == "edited":
            altered = bytearray(rows[2].events)
            altered[60] ^= 1
            tx.execute(update(ConsentBatchRow).where(ConsentBatchRow.last_seq == 2).values(events=bytes(altered)))
        elif touch == "moved":
            rows[1].events, rows[2].events = rows[2].events, rows[1].events
        else:
            tx.delete(rows[4 if touch == "truncated" else 2])
    with pytest.raises(IntegrityError) as caught:
        gate.check(held.session, "demo")
    assert caught.value.code == ("consent_ledger_behind" if touch == "truncated" else "consent_ledger_altered")


def test_a_sealed_part_of_another_event_is_noticed(held):
    held.answer({"SAMPLE_3": "yes", "SAMPLE_4": "yes"})
    with held.session.books.write() as tx:
        first, second = (tx.get_one(ConsentPrivateRow, seq) for seq in (1, 2))
        first.sealed, second.sealed = second.sealed, first.sealed
    with pytest.raises(IntegrityError) as caught:
        recording.history(held.session, "SAMPLE_3")
    assert caught.value.code == "consent_ledger_altered"


def test_a_session_keeps_what_it_checked_and_reads_what_follows(held):
    held.answer({"SAMPLE_3": "yes"})
    with held.session.books.read() as tx:
        first = ledger.read(tx, held.session)
        assert ledger.read(tx, held.session).columns is first.columns
    recording.withdraw(held.session, "SAMPLE_3")
    with held.session.books.read() as tx:
        assert [event.seq for event in ledger.read(tx, held.session).events_of(recording.resolve(held.session, "SAMPLE_3"))] == [
            1,
            2,
        ]


def test_every_service_refuses_an_unknown_person_and_says_so_in_the_log(held):
    held.project("demo")
    for call in (
        lambda: recording.withdraw(held.session, "NOBODY"),
        lambda: recording.note(held.session, "NOBODY", Status.DECEASED),
        lambda: recording.record(held.session, "NOBODY", FORM, {"research_use": "yes"}),
        lambda: explanations.explain(held.session, "NOBODY", "demo"),
        lambda: subject_export.export(held.session, "NOBODY", held.folder / "x"),
    ):
        with pytest.raises(GenovaultError) as caught:
            call()
        assert caught.value.code == "subject_unknown"
        assert held.entries()[-1]["reasons"] == {"subject_unknown": 1}
