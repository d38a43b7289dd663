"""Counts and presence: one noisy number for each allele, charged once, the same for the same question."""

import json
import statistics

import pytest

import vault
from policies.disclosure.budgets import BudgetScope
from policies.purposes import RequestKind
from tests.support import counted, vaults
from tests.support.counted import ABSENT, COMMON, EDGE, NEARLY_ALL, RARE, ask
from tests.support.held import Held
from tests.support.refused import code_of
from vault import counting, gate
from vault.access import request_files, requests
from vault.access.disclosure import budget_book, raises
from vault.access.disclosure.carrier_table import PAGE
from vault.access.request_records import Spec
from vault.audit.actions import Action
from vault.audit.receipt import Receipt
from vault.consent import recording
from vault.errors import InputError, RefusedError, UsageError
from vault.operations.erasure import process

SITES = b"##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\n22\t100\t.\tA\tG\n22\t200\t.\tA\tG\n"


@pytest.fixture
def held(tmp_path):
    found = counted.make(tmp_path)
    yield found
    found.vault.abandon()


@pytest.fixture
def exact(monkeypatch):
    """No noise: what is counted, not what is told."""
    monkeypatch.setattr(counting, "discrete_laplace", lambda *_: 0)


def left(held, code="counting"):
    return {one.scope: one.left for one in budget_book.show(held.vault, code)[0].budgets}


@pytest.mark.usefixtures("exact")
def test_cells_of_a_question(held):
    found = ask(held, COMMON, RARE, NEARLY_ALL, ABSENT, EDGE)
    assert [(one.exists, one.carriers) for one in found.answers] == [
        (True, 60),
        (False, None),
        (True, None),
        (False, None),
        (True, 22),
    ]
    assert found.reasons == {RARE: "small", ABSENT: "absent"}
    assert (found.n_band, found.epsilon, found.accuracy95) == ("101 to 200", 0.1, 30)


def test_a_project_that_declares_fewer_nats_has_fewer_to_spend(held):
    counted.declare(held, "frugal", disclosure={"nats": 0.15})
    ask(held, COMMON, code="frugal")
    assert left(held, "frugal")[BudgetScope.PROJECT] == 50_000
    assert code_of(lambda: ask(held, RARE, code="frugal")) == "budget_spent"
    assert left(held)[BudgetScope.PROJECT] == 2_300_000


@pytest.mark.usefixtures("exact")
def test_presence_tells_no_number(held):
    assert [(one.exists, one.carriers) for one in ask(held, COMMON, RARE, kind="presence").answers] == [
        (True, None),
        (False, None),
    ]


@pytest.mark.usefixtures("exact")
@pytest.mark.parametrize("spelled", ["chr22:100:A:G", "22:100:a:g", "22:100:AC:GC", "NC_000022.11:100:A:G"])
def test_one_allele_by_any_spelling(held, spelled):
    assert ask(held, spelled, COMMON).answers == ask(held, COMMON).answers
    assert left(held)[BudgetScope.PROJECT] == 2_200_000


@pytest.mark.usefixtures("exact")
def test_alleles_of_a_record_that_spells_them_longer(held):
    found = ask(held, "22:601:A:G", "22:600:CAT:C", "22:600:CAT:CGT")
    assert [(one.allele, one.carriers) for one in found.answers] == [("22:601:A:G", 50), ("22:600:CAT:C", 40)]


def test_the_same_question_gets_the_same_answer_and_is_paid_once(held):
    first = ask(held, COMMON)
    again = [ask(held, COMMON, kind=kind) for kind in ("counts", "presence", "counts")]
    assert first.charged == 0.1
    assert {one.charged for one in again} == {0.0}
    assert again[0].answers == first.answers
    assert left(held) == {BudgetScope.PROJECT: 2_200_000, BudgetScope.ORGANISATION: 2_900_000, BudgetScope.WORLD: 4_510_000}


def test_an_answer_outlives_the_process(held):
    first = ask(held, COMMON)
    held.reopen()
    assert ask(held, COMMON).answers == first.answers
    assert ask(held, COMMON).spent["project"].nats == 0.1


def test_less_accuracy_is_free_and_more_is_a_new_draw(held):
    first = ask(held, COMMON, epsilon="0.5")
    assert ask(held, COMMON, epsilon="0.1").answers == first.answers
    better = ask(held, COMMON, epsilon="1")
    assert better.charged == 1.0
    assert better.answers[0].epsilon == 1.0


def test_answers_are_noisy_around_what_is_there(held):
    found = ask(held, *(f"22:{150 + at}:A:G" for at in range(23)))
    assert sum(one.exists for one in found.answers) < 12  # 6.4 % of those that nobody carries
    assert found.spent["project"].left == 0


def test_noise_is_fresh_for_every_allele(tmp_path, monkeypatch):
    drawn = []
    real = counting.discrete_laplace
    monkeypatch.setattr(counting, "discrete_laplace", lambda e, r: drawn.append(real(e, r)) or drawn[-1])
    held = counted.make(tmp_path)
    ask(held, *(f"22:{150 + at}:A:G" for at in range(23)))
    assert len(drawn) == 23
    assert statistics.pstdev(drawn) > 3
    held.vault.abandon()


def test_a_drained_budget_refuses_before_anything_is_opened(held, monkeypatch):
    ask(held, COMMON, epsilon="2.25")
    monkeypatch.setattr(gate.blocks.dataset_reader, "GenotypeReader", None)
    assert code_of(lambda: ask(held, "22:900000:A:G")) == "budget_spent"
    assert ask(held, COMMON).charged == 0.0


def test_projects_of_one_organisation_share_its_budget_and_all_share_the_worlds(held):
    counted.declare(held, "second")
    counted.declare(held, "third", organisation="")
    ask(held, COMMON, epsilon="2.2")
    assert code_of(lambda: ask(held, COMMON, code="second", epsilon="1")) == "budget_spent"
    assert ask(held, COMMON, code="second", epsilon="0.8").spent["organisation"].left == 0
    assert code_of(lambda: ask(held, COMMON, code="third", epsilon="1.7")) == "budget_spent"
    assert ask(held, COMMON, code="third", epsilon="1.6").charged == 1.6
    assert left(held)[BudgetScope.WORLD] == 10_000


def test_datasets_that_share_a_person_pay_together(held):
    same = "sample,subject\n" + "".join(f"{name},sample:{name}\n" for name in counted.PEOPLE[:110])
    held.load(held.write("other.vcf", counted.text(counted.PEOPLE[:110])), name="other", sample_map=held.write("m.csv", same))
    counted.declare(held, "both", "cohort", "other", organisation="")
    ask(held, COMMON, epsilon="1")
    found = gate.counts(held.vault, project="both", dataset="other", kind=RequestKind.COUNTS, alleles=[COMMON], epsilon="1")
    assert found.charged == 1.0
    assert left(held)[BudgetScope.WORLD] == 2_610_000
    assert {one.budgets[2].left for one in budget_book.show(held.vault, "both")} == {2_610_000}
    assert left(held)[BudgetScope.PROJECT] == 1_300_000  # what others spent is not the project's


def test_a_raise_by_the_one_steward_is_flagged(held):
    raises.raise_budget(held.vault, "counting", "0.5", reason="agreed")
    assert left(held)[BudgetScope.PROJECT] == 2_800_000
    assert left(held)[BudgetScope.ORGANISATION] == 3_000_000
    assert [entry["flags"] for entry in held.entries() if entry["act"] == Action.BUDGET_RAISE] == [["self_approved"]]


@pytest.mark.parametrize("nats", ["0", "-1", "101", "a lot"])
def test_what_is_no_raise(held, nats):
    assert code_of(lambda: raises.raise_budget(held.vault, "counting", nats, reason="agreed")) in {
        "raise_too_large",
        "document_rejected",
    }


def test_a_withdrawn_person_leaves_at_once_and_the_cohort_is_another(held, exact):
    first = ask(held, COMMON)
    recording.withdraw(held.vault, "P000")
    again = ask(held, COMMON)
    assert (first.answers[0].carriers, again.answers[0].carriers) == (60, 59)
    assert (again.charged, again.spent["project"].nats) == (0.1, 0.2)
    assert first.cohort != again.cohort


def test_stored_answers_do_not_survive_an_erasure(held):
    ask(held, COMMON)
    recording.withdraw(held.vault, "P129")
    with held.vault.books.read() as tx:
        assert tx.connection().exec_driver_sql("SELECT count(*) FROM stored_answer").scalar() == 1
    process.erase(held.vault, "P129")
    with held.vault.books.read() as tx:
        assert tx.connection().exec_driver_sql("SELECT count(*) FROM stored_answer").scalar() == 0
        assert tx.connection().exec_driver_sql("SELECT sum(spent) FROM budget").scalar() == 300_000


def test_fewer_than_a_hundred_are_not_counted(held):
    for at in range(31):
        recording.withdraw(held.vault, f"P{at:03}")
    assert code_of(lambda: ask(held, COMMON)) == "cohort_too_small"


@pytest.mark.parametrize(
    "allele", ["22:100:A", "22:0:A:G", "22:100:A:A", "22:100:A:<DEL>", ":100:A:G", "22:x:A:G", "22:99999999999:A:G", "2 2:1:A:G"]
)
def test_a_malformed_allele_is_told(held, allele):
    with pytest.raises(InputError, match="no allele") as caught:
        ask(held, COMMON, allele)
    assert caught.value.code == "document_rejected"


def test_a_question_is_of_alleles_or_of_a_panel(held):
    assert code_of(lambda: ask(held)) == "alleles_missing"
    assert code_of(lambda: ask(held, COMMON, panel="pgx")) == "alleles_missing"
    assert code_of(lambda: ask(held, *(f"22:{at}:A:G" for at in range(1, 1_002)))) == "too_many_alleles"
    assert code_of(lambda: ask(held, COMMON, epsilon="9")) == "document_rejected"


def test_a_project_without_counts_gets_none(held):
    held.project("records")
    assert code_of(lambda: ask(held, COMMON, code="records")) == "outside_project"
    assert code_of(lambda: gate.view(held.vault, project="counting", dataset="cohort")) == "outside_project"


def test_a_request_shows_its_price_and_is_answered(held, exact):
    spec = Spec(alleles=(COMMON, "chr22:100:A:G", RARE), submitted_for=None)
    asked = requests.submit(held.vault, "counting", "cohort", kind=RequestKind.COUNTS, spec=spec)
    assert asked.spec.price.as_dict() == {"alleles": 2, "epsilon": 0.1, "accuracy95": 30, "nats": 0.2, "factor": 1.22}
    found = gate.result(held.vault, asked.request_id)
    assert (found.request, [one.carriers for one in found.answers]) == (asked.request_id, [60, None])
    assert found.as_dict()["cohort"] == {"digest": found.cohort, "n_band": "101 to 200"}
    assert "reasons" not in found.as_dict()
    assert code_of(lambda: gate.extract(held.vault, asked.request_id, held.folder / "out")) == "kind_not_served"


def test_a_request_keeps_its_own_answer_whoever_leaves(held):
    def asked():
        return requests.submit(held.vault, "counting", "cohort", kind=RequestKind.COUNTS, spec=Spec(alleles=(COMMON,)))

    request = asked()
    first = gate.result(held.vault, request.request_id)
    recording.withdraw(held.vault, "P000")
    again = gate.result(held.vault, request.request_id)
    assert (again.answers, again.cohort, again.n_band, again.charged) == (first.answers, first.cohort, first.n_band, 0)
    assert again.spent == first.spent
    other = gate.result(held.vault, asked().request_id)
    assert other.cohort != first.cohort
    assert other.charged > 0
    process.erase(held.vault, "P129")
    assert gate.result(held.vault, request.request_id).charged > 0, "an erasure leaves nothing that was derived from the person"


def test_an_entry_names_everybody_and_what_it_cost(held):
    found = ask(held, COMMON)
    entries = [entry for entry in held.entries() if entry["act"] == Action.COUNTS_ANSWER]
    assert [entry["outcome"] for entry in entries] == ["intent", "done"]
    assert entries[1]["refers"] == entries[0]["id"]
    assert entries[1]["counts"]["subjects"] == 101  # a band
    assert "tlog" in found.receipt
    ask(held, RARE)  # counted in memory by now: nothing is opened
    entries = [entry for entry in held.entries() if entry["act"] == Action.COUNTS_ANSWER]
    assert [entry["outcome"] for entry in entries] == ["intent", "done"] * 2
    assert [entry["subj"]["n"] if "subj" in entry else None for entry in entries] == [130, None] * 2
    assert held.verified().ok


def test_a_receipt_does_not_say_how_many_people_take_part(held):
    for _ in range(2):  # once with the blocks opened, once from memory
        leaf = json.loads(Receipt.from_text(ask(held, COMMON).receipt).extra)
        assert "subj" not in leaf
        assert leaf["counts"]["subjects"] == 101  # a band


def test_a_page_is_read_once(held):
    ask(held, f"22:{PAGE}:A:G", f"22:{PAGE + 1}:A:G")
    assert ask(held, f"22:{2 * PAGE}:A:G").charged == 0.1


def test_a_failure_charges_nothing(held, monkeypatch):
    def broken(*_, **__):
        raise RefusedError("broken", "a test")

    monkeypatch.setattr(counting.stored_answers, "keep", broken)
    assert code_of(lambda: ask(held, COMMON)) == "broken"
    monkeypatch.undo()
    assert left(held)[BudgetScope.PROJECT] == 2_300_000
    assert [entry["outcome"] for entry in held.entries() if entry["act"] == Action.COUNTS_ANSWER] == ["intent", "refused"]


def test_the_signed_answer_to_a_request_says_what_was_asked(held):
    spec = Spec(alleles=(COMMON,), epsilon=250_000)
    asked = requests.submit(held.vault, "counting", "cohort", kind=RequestKind.PRESENCE, spec=spec)
    said = json.loads(request_files.answer(held.vault, asked.request_id))["answer"]
    wanted = {"alleles": [COMMON], "epsilon": "0.25", "panel": None, "panel_version": None}
    assert (said["kind"], said["asked"], said["granted"]) == ("presence", wanted, wanted)


def test_a_program_asks(held):
    held.vault.close()
    with vault.open(held.folder / "v", passphrase="correct horse canary staple") as opened:
        found = opened.counts(project="counting", dataset="cohort", alleles=[COMMON], epsilon=0.5)
        assert opened.presence(project="counting", dataset="cohort", alleles=(COMMON,), accuracy=30).charged == 0
        for wrong in (
            {"alleles": COMMON},
            {"alleles": [1]},
            {"alleles": [COMMON], "epsilon": []},
            {"alleles": [COMMON], "accuracy": 1.5},
            {"alleles": [COMMON], "panel": 1},
        ):
            with pytest.raises(UsageError):
                opened.counts(project="counting", dataset="cohort", **wrong)
        with pytest.raises(InputError):
            opened.counts(project="counting", dataset="cohort", alleles=[COMMON], epsilon=float("nan"))
    assert (found.epsilon, found.answers[0].exists) == (0.5, True)
    held.vault = Held.of(held.folder).vault


@pytest.mark.usefixtures("exact")
def test_a_panel_of_exact_loci_is_counted(held):
    vaults.panel(held.vault, "exact", loci=SITES)
    asked = requests.submit(held.vault, "counting", "cohort", kind=RequestKind.COUNTS, spec=Spec(panel="exact"))
    assert asked.spec.price.alleles == 2
    assert [(one.allele, one.carriers) for one in gate.result(held.vault, asked.request_id).answers] == [
        (COMMON, 60),
        (RARE, None),
    ]
    vaults.panel(held.vault, "places", loci=b"22\t99\t120\n")
    assert code_of(lambda: ask(held, panel="places")) == "panel_not_exact"
