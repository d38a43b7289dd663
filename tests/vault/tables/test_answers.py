"""Exact frequency tables: approved beforehand, charged and stored once, given again while everybody in them takes part."""

import json

import pytest

import vault
from policies.disclosure import tables
from policies.disclosure.budgets import BudgetScope
from policies.purposes import RequestKind
from tests.support import counted, tabled, vaults
from tests.support.held import FORM, Held
from tests.support.refused import code_of
from tests.support.tabled import PANEL, PEOPLE, SMALL, WIDE, approve, leave, table
from vault import gate
from vault.access import request_files, requests
from vault.access.disclosure import budget_book, frequency_tables, table_approvals
from vault.access.request_records import Spec
from vault.audit.actions import Action
from vault.audit.receipt import Receipt
from vault.consent import recording
from vault.errors import GenovaultError, IntegrityError, RefusedError, UsageError
from vault.extracts import frequency_files
from vault.extracts.verification import key_fingerprint
from vault.operations import doctor
from vault.operations.corrections import removal
from vault.operations.erasure import process


@pytest.fixture
def held(tmp_path):
    found = tabled.make(tmp_path)
    yield found
    found.vault.abandon()


def left(held, code="one"):
    return {one.scope: one.left for one in budget_book.show(held.vault, code)[0].budgets}


def asked(held, code="one", panel=PANEL):
    return requests.submit(held.vault, code, "cohort", kind=RequestKind.FREQUENCIES, spec=Spec(panel=panel))


def test_a_table_has_the_frequencies_of_common_alleles_and_says_nothing_of_others(held):
    approve(held)
    found = table(held)
    shown = {int(allele.split(":")[1]): frequency for allele, frequency in found.rows}
    assert set(shown) == set(list(tabled.FREQUENCIES)[:8])
    for at, frequency in shown.items():
        assert abs(float(frequency) - tabled.frequency(at)) <= 0.025 + 1e-9
    assert (found.asked, found.n_band, found.step) == (10, "101 to 200", "0.05")
    document = found.as_dict()
    assert json.loads(json.dumps(document)) == document
    assert document["frequencies"][0] == {"allele": "22:1000:A:G", "frequency": float(shown[1000])}


def test_what_it_costs_is_paid_once_and_the_same_table_is_given_again(held):
    approve(held)
    first, price = table(held), tables.price(10, 100)
    again = table(held)
    assert (first.charged, again.charged) == (price / 1_000_000, 0)
    assert (first.rows, first.made) == (again.rows, again.made)
    assert left(held)[BudgetScope.PROJECT] == 2_300_000 - price
    assert left(held)[BudgetScope.WORLD] == 4_610_000 - price


def test_a_panel_that_is_not_approved_is_refused_and_its_next_version_too(held):
    assert code_of(lambda: table(held)) == "table_not_approved"
    assert code_of(lambda: asked(held)) == "table_not_approved"
    approve(held)
    assert code_of(lambda: table(held, panel=SMALL)) == "table_not_approved"
    assert code_of(lambda: table(held, "two")) == "table_not_approved"
    vaults.panel(held.vault, PANEL, loci=tabled.loci(1000))
    assert code_of(lambda: table(held)) == "table_not_approved"


def test_nothing_is_approved_after_the_first_answer(held):
    counted.ask(held, "22:1000:A:G", code="one")
    assert code_of(lambda: approve(held)) == "answered_before"
    approve(held, "two")
    table(held, "two")
    assert code_of(lambda: approve(held, "two", SMALL)) == "answered_before"


def test_several_panels_are_approved_before_it(held):
    approve(held)
    approve(held, panel=SMALL)
    assert code_of(lambda: approve(held)) == "already_approved"
    found = table_approvals.list_of(held.vault, "one")
    assert [(one.panel, one.version, one.alleles, one.price, one.proposed_by) for one in found] == [
        (PANEL, 1, 10, 430_000, None),
        (SMALL, 1, 4, 180_000, None),
    ]
    assert len(table(held).rows) == 8
    assert len(table(held, panel=SMALL).rows) == 4


def test_a_steward_sees_what_it_would_tell(held):
    risk = gate.assess_table(held.vault, "one", PANEL)
    assert (risk.n, risk.alleles, risk.shown, risk.most, risk.covered) == (160, 10, 8, 21, True)
    assert risk.mu == pytest.approx((10 / 160) ** 0.5)
    assert 0.05 < risk.power < 0.1
    assert 0 < risk.p95 <= risk.largest
    assert risk.p95 == pytest.approx(8 / 160, rel=1.5)
    assert [entry["outcome"] for entry in held.entries() if entry["act"] == Action.TABLE_ASSESS] == ["intent", "done"]


def test_more_alleles_than_m_max_are_neither_approved_nor_given(held, monkeypatch):
    assert code_of(lambda: approve(held, panel=WIDE)) == "too_many_sites"
    monkeypatch.setattr(gate.tables.risks, "require_safe", lambda *_: None)
    approve(held, panel=WIDE)
    monkeypatch.undo()
    assert code_of(lambda: table(held, panel=WIDE)) == "too_many_sites"


def test_sites_of_all_tables_add_up_to_m_max(held):
    approve(held)
    approve(held, "two", PANEL)
    approve(held, "two", SMALL)
    tabled.declare(held, "three", disclosure={"mu": 0.2})
    assert code_of(lambda: approve(held, "three", PANEL)) == "too_many_sites"
    approve(held, "three", SMALL)
    table(held)
    table(held, "two")  # the same sites of the same people: nothing new
    table(held, "two", SMALL)
    table(held, "three", SMALL)
    vaults.panel(held.vault, "more", loci=tabled.loci(*range(7000, 7080, 10), 1000))
    tabled.declare(held, "four")
    assert code_of(lambda: approve(held, "four", "more")) == "too_many_sites"  # 10, 4 and 8 new ones of 160 people: 21 may be


def test_a_panel_that_shows_nothing_is_not_approved(held):
    vaults.panel(held.vault, "rare", loci=tabled.loci(tabled.RARE, tabled.ABSENT))
    assert code_of(lambda: approve(held, panel="rare")) == "nothing_shown"


def test_a_member_who_would_be_given_away_beyond_the_price_stops_an_approval(held, monkeypatch):
    monkeypatch.setattr(tables, "price", lambda *_: 10_000)
    assert code_of(lambda: approve(held)) == "member_exposed"


def test_the_budget_has_to_cover_it(held):
    tabled.declare(held, "poor", disclosure={"nats": 0.2})
    approve(held, "poor")
    assert code_of(lambda: table(held, "poor")) == "budget_spent"
    assert not [entry for entry in held.entries() if entry["act"] == Action.TABLE_ANSWER and entry["outcome"] == "intent"]


def test_a_request_is_answered_with_a_signed_folder(held, tmp_path):
    approve(held)
    request = asked(held)
    assert (request.spec.nats, request.spec.price) == (430_000, None)
    found = gate.deliver_table(held.vault, request.request_id, tmp_path / "out")
    out = tmp_path / "out"
    assert sorted(path.name for path in out.iterdir()) == ["af.tsv", "af.tsv.tlog-proof", "manifest.json"]
    lines = (out / "af.tsv").read_text().splitlines()
    assert lines[0] == "#CHROM\tPOS\tREF\tALT\tAF"
    assert lines[1:] == ["\t".join([*allele.split(":"), frequency]) for allele, frequency in found.rows]
    known = {
        "log_keys": held.vault.trail.log_keys(),
        "release_keys": [key_fingerprint(public) for public in held.vault.release_keys().values()],
    }
    said = frequency_files.verify(out, **known)
    assert (said["panel"]["name"], said["n_band"], said["shown"], said["request"]) == (PANEL, "101 to 200", 8, request.request_id)
    again = gate.deliver_table(held.vault, request.request_id, tmp_path / "again")
    assert again.charged == 0
    assert (tmp_path / "again" / "af.tsv").read_bytes() == (out / "af.tsv").read_bytes()
    assert code_of(lambda: gate.result(held.vault, request.request_id)) == "kind_not_served"
    assert code_of(lambda: gate.deliver_table(held.vault, request.request_id, out)) == "output_not_empty"
    text = (out / "af.tsv").read_text()
    (out / "af.tsv").write_text(text.replace("0.2", "0.3", 1))
    assert code_of(lambda: frequency_files.verify(out, **known)) == "file_altered"
    (out / "af.tsv").write_text(text)
    counted.ask(held, "22:1000:A:G", code="one")
    other = counted.ask(held, "22:1100:A:G", code="one").receipt
    (out / "af.tsv.tlog-proof").write_text(other)
    assert code_of(lambda: frequency_files.verify(out, **known)) == "table_not_logged"


def test_what_cannot_be_written_is_told_before_anything_is_charged(held, tmp_path):
    approve(held)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "taken").write_text("")
    request = asked(held).request_id
    assert code_of(lambda: gate.deliver_table(held.vault, request, tmp_path / "out")) == "output_not_empty"
    assert left(held)[BudgetScope.PROJECT] == 2_300_000


def test_a_request_file_asks_and_its_answer_says_what_was_granted(held):
    approve(held)
    document = {"format": "request/1", "project": "one", "dataset": "cohort", "kind": "frequencies", "reason": "a test"}
    request = request_files.take_in(held.vault, document | {"loci": {"panel": PANEL}})
    said = json.loads(request_files.answer(held.vault, request.request_id))["answer"]
    assert said["granted"] == {"nats": "0.43", "panel": PANEL, "panel_version": 1}
    assert gate.deliver_table(held.vault, request.request_id, None).charged == 0.43
    numbers = document | {"kind": "counts", "loci": {"alleles": ["22:1000:A:G"]}, "accuracy": 30}
    counts = request_files.take_in(held.vault, numbers)
    assert (counts.kind, counts.spec.alleles, counts.spec.price.total) == (
        RequestKind.COUNTS,
        ("22:1000:A:G",),
        counts.spec.epsilon,
    )
    assert gate.result(held.vault, counts.request_id).accuracy95 == 30


def test_requests_for_tables_name_a_panel_and_nothing_beside_it(held):
    approve(held)
    for spec in (Spec(), Spec(panel=PANEL, alleles=("22:1000:A:G",)), Spec(panel=PANEL, epsilon=100_000), Spec(regions=("22",))):
        with pytest.raises(GenovaultError) as caught:
            requests.submit(held.vault, "one", "cohort", kind=RequestKind.FREQUENCIES, spec=spec)
        assert caught.value.code == "panel_missing"


def test_an_entry_names_the_file_and_everybody_and_no_number_of_people(held):
    approve(held)
    found = table(held)
    entries = [entry for entry in held.entries() if entry["act"] == Action.TABLE_ANSWER]
    assert [entry["outcome"] for entry in entries] == ["intent", "done"]
    assert [entry["subj"]["n"] if "subj" in entry else None for entry in entries] == [160, None]
    leaf = json.loads(Receipt.from_text(found.receipt).extra)
    assert leaf["counts"]["subjects"] == 101  # a band
    assert held.verified().ok


def test_a_failure_between_draws_nothing_and_charges_nothing(held, monkeypatch):
    def broken(*_, **__):
        raise RefusedError("broken", "a test")

    approve(held)
    monkeypatch.setattr(frequency_tables, "keep", broken)
    assert code_of(lambda: table(held)) == "broken"
    monkeypatch.undo()
    assert left(held)[BudgetScope.PROJECT] == 2_300_000
    assert table(held).charged > 0


def test_who_has_come_since_is_not_in_the_table_that_is_given_again(tmp_path):
    held = tabled.make(tmp_path)
    approve(held)
    leave(held, "T000")
    first = table(held)
    recording.record(held.vault, "T000", FORM, {"research_use": "yes"})
    again = table(held)
    assert (again.charged, again.made) == (0, first.made)
    held.vault.abandon()


def test_a_table_is_not_given_again_once_somebody_in_it_left(held):
    approve(held, panel=SMALL)
    table(held, panel=SMALL)
    leave(held, "T000")
    assert code_of(lambda: table(held, panel=SMALL)) == "cohort_too_near"
    leave(held, *PEOPLE[1:20])
    assert code_of(lambda: table(held, panel=SMALL)) == "cohort_too_near"
    leave(held, PEOPLE[20])
    found = table(held, panel=SMALL)
    assert found.charged > 0
    for allele, frequency in found.rows:
        assert abs(float(frequency) - tabled.frequency(int(allele.split(":")[1]), PEOPLE[21:])) <= 0.025 + 1e-9


def test_an_erasure_forgets_the_table_and_not_that_it_left(held):
    approve(held, panel=SMALL)
    table(held, panel=SMALL)
    process.erase(held.vault, "T000")
    with held.vault.books.read() as tx:
        one = frequency_tables.all_of(held.vault, tx)[0]
    assert (one.rows, one.gone, one.n, len(one.cohort.people)) == (None, 1, 160, 159)
    assert code_of(lambda: table(held, panel=SMALL)) == "cohort_too_near"
    leave(held, *PEOPLE[1:20])
    assert code_of(lambda: table(held, panel=SMALL)) == "cohort_too_near"
    leave(held, PEOPLE[20])
    assert table(held, panel=SMALL).charged > 0
    assert not [found for found in doctor.examine(held.vault).findings if found.severity == "error"]


def test_removing_the_dataset_forgets_tables_and_noisy_numbers(held):
    approve(held)
    table(held)
    counted.ask(held, "22:1000:A:G", code="one")
    assert held.traces()["stored_answer"] == 1
    removal.remove(held.vault, "cohort", reason="a test", accept=True)
    assert held.traces()["stored_answer"] == 0
    with held.vault.books.read() as tx:
        one = frequency_tables.all_of(held.vault, tx)[0]
    assert (one.rows, one.gone, len(one.cohort.people)) == (None, 0, 160)


def test_an_altered_table_or_approval_stops_the_next_one(held, tmp_path):
    approve(held)
    table(held)
    held.vault.close()
    vaults.sql(tmp_path / "v" / "books.db", "UPDATE frequency_table SET sealed = X'00'")
    again = Held.of(tmp_path)
    with pytest.raises(IntegrityError):
        table(again)
    assert "collection_altered" in {found.code for found in doctor.examine(again.vault).findings}
    again.vault.abandon()


def test_a_program_asks(held):
    approve(held)
    held.vault.close()
    with vault.open(held.folder / "v", passphrase="correct horse canary staple") as opened:
        assert len(opened.frequencies(project="one", dataset="cohort", panel=PANEL).rows) == 8
        with pytest.raises(UsageError):
            opened.frequencies(project="one", dataset="cohort", panel=None)
