"""Attacks on counts and presence. Each is carried out with its guard off too, and must succeed then, or it proves nothing."""

import multiprocessing
import random

import pytest

from policies.disclosure import nats
from policies.disclosure.budgets import BudgetScope
from policies.purposes import RequestKind
from tests.support import counted, vaults
from tests.support.attack_figures import shown
from tests.support.clusters import cluster, new_postgres
from tests.support.counted import COMMON, ask
from tests.support.held import FACTOR, Held
from vault import counting, gate
from vault.access.disclosure import budget_book, budgets, raises
from vault.consent import recording
from vault.crypto.keystore import PassphraseFactor, Role
from vault.crypto.primitives import Argon2Profile
from vault.errors import GenovaultError, IntegrityError, RefusedError
from vault.operations.create import init
from vault.operations.recovery import open_recovered
from vault.session import principals
from vault.session.collections import COLLECTIONS
from vault.session.settings import Places
from vault.views.hidden_places import HiddenPlaces

VICTIM = "P021"  # carries what P000 to P020 carry: the 22nd
ENGINE = PassphraseFactor.from_text("passphrase of the engine")
REFUSALS = "Draining a budget to look for a person", "answers and refusals to 26 questions, with somebody and without"
TWICE = "Spending one budget twice", "answers beyond the 23 that a budget pays for"
PUT_BACK = "Spending one budget twice", "a question that the budget no longer covers, after its row was put back"
PEOPLE_130 = {"on": "130 made-up people", "bound": "the same"}
TWO = {"on": "two processes, 20 questions each, SQLite and PostgreSQL; 26 questions without guard", "bound": "0"}
BOOKS = {"on": "130 made-up people", "bound": "refused"}


@pytest.fixture
def held(tmp_path):
    found = counted.make(tmp_path)
    yield found
    found.vault.abandon()


def seeded(seed):
    """Noise from a generator of our own, so that two runs differ by the data alone."""
    source = random.Random(seed)
    real = counting.discrete_laplace
    return lambda epsilon, _: real(epsilon, source.randbytes)


def drained(held):
    """Refusals of a researcher who spends whatever there is, told as an engine is told."""
    told = []
    for at in range(26):
        try:
            ask(held, f"22:{500 + at}:A:G" if at else counted.EDGE)
            told.append("answered")
        except RefusedError as error:
            told.append(error.code)
    return told


def transcript(folder, *, without_victim):
    folder.mkdir()
    held = counted.make(folder)
    if without_victim:
        recording.withdraw(held.vault, VICTIM)
    found = drained(held)
    held.vault.abandon()
    return found


@pytest.mark.long
def test_draining_a_budget_tells_the_same_with_and_without_the_victim(tmp_path):
    with_victim, without = (transcript(tmp_path / name, without_victim=name == "b") for name in "ab")
    assert with_victim == without
    assert with_victim == ["answered"] * 23 + ["budget_spent"] * 3
    shown(*REFUSALS, guarded="the same", **PEOPLE_130)


@pytest.mark.long
def test_a_budget_that_only_carriers_spend_would_tell(tmp_path, monkeypatch):
    """Guard off: who is charged depends on who carries, and the refusal comes for members alone."""
    real = budgets.require

    def by_carriers(held_budgets, price):
        real(held_budgets, price if victim_in else 0)

    monkeypatch.setattr(budgets, "require", by_carriers)
    victim_in = True
    with_victim = transcript(tmp_path / "a", without_victim=False)
    victim_in = False
    assert transcript(tmp_path / "b", without_victim=True) != with_victim
    shown(*REFUSALS, off="differ", **PEOPLE_130)


def advantage(*, noisy, pairs=1_000):
    """Advantage of who takes the difference of a count before and after a withdrawal, over a thousand cohorts (docs/design/disclosure.md §4)."""
    draw = seeded(7) if noisy else lambda *_: 0
    epsilon = nats.exact(100_000)
    guessed = []
    for carries in (1, 0):
        moved = [(22 + draw(epsilon, None)) - (22 - carries + draw(epsilon, None)) for _ in range(pairs)]
        guessed.append(sum(difference > 0 for difference in moved) / pairs)
    return guessed[0] - guessed[1]


def test_the_tracker_across_a_withdrawal():
    bound = (2.718281828**0.2 - 1) / (2.718281828**0.2 + 1) + 0.03
    off, guarded = (advantage(noisy=noisy) for noisy in (False, True))
    assert abs(guarded) <= bound
    assert off == 1
    shown(
        "Before and after a withdrawal",
        "advantage over guessing whether who left carried the allele (1.00 is certainty)",
        on="1,000 made-up pairs of answers of 0.1 nats each",
        off=off,
        guarded=abs(guarded),
        bound=f"≤ {bound:.2f}",
    )


def test_the_second_count_is_a_draw_of_its_own(held, monkeypatch):
    """Without it the difference of two answers would be the victim's allele itself."""
    drawn = []
    real = counting.discrete_laplace
    monkeypatch.setattr(counting, "discrete_laplace", lambda *given: drawn.append(real(*given)) or drawn[-1])
    ask(held, counted.EDGE)
    recording.withdraw(held.vault, VICTIM)
    ask(held, counted.EDGE)
    assert len(drawn) == 2


def test_a_masked_allele_is_as_an_absent_one(held, monkeypatch):
    """What is masked draws its noise around nought, at the same price; without the mask it would be told."""
    monkeypatch.setattr(counting, "discrete_laplace", seeded(3))
    monkeypatch.setattr(HiddenPlaces, "hides", lambda _self, _contig, first, _last: first == 100)
    found = ask(held, COMMON, counted.ABSENT)
    assert found.reasons == {COMMON: "masked", counted.ABSENT: "absent"}
    assert found.charged == 0.2
    monkeypatch.undo()
    monkeypatch.setattr(counting, "discrete_laplace", seeded(3))
    recording.withdraw(held.vault, "P129")  # another cohort, and nothing is masked
    (told,) = ask(held, COMMON, epsilon="1").answers
    assert told.carriers > 40


def test_refusals_are_one_to_an_engine(held):
    principals.add(held.vault, "engine", Role.ENGINE, ENGINE, profile=Argon2Profile.TEST_ONLY)
    counted.declare(held, "matching", people=["engine"])
    held.vault.close()
    held.vault = open_recovered(held.folder / "v", factor=ENGINE, principal="engine")
    found = ask(held, COMMON, counted.ABSENT, counted.RARE, "22:5000000:A:G", "7:1:A:G", code="matching")
    assert found.reasons == {}
    assert {one.carriers for one in found.answers if not one.exists} <= {None}
    for act in (
        lambda: ask(held, COMMON, code="matching", epsilon="5"),  # drained
        lambda: ask(held, COMMON, code="counting"),  # another's
        lambda: ask(held, COMMON, code="nobodys"),
    ):
        with pytest.raises(RefusedError) as caught:
            act()
        assert (caught.value.code, caught.value.__cause__, caught.value.__context__) == ("refused", None, None)
    with pytest.raises(GenovaultError) as caught:
        ask(held, "22:1:A", code="matching")
    assert caught.value.code == "document_rejected"


def _ask_often(folder, first, results):
    opened = open_recovered(folder, factor=vaults.FACTOR, principal="ann")
    answered = 0
    for at in range(20):
        try:
            gate.counts(
                opened,
                project="counting",
                dataset="cohort",
                kind=RequestKind.PRESENCE,
                alleles=[f"22:{first + at}:A:G"],
                epsilon="0.1",
            )
            answered += 1
        except RefusedError as error:
            assert error.code == "budget_spent"
    opened.close()
    results.put(answered)


def answered_by_two(folder):
    """Answers that two processes get, each of which asks for twenty alleles of its own."""
    processes = multiprocessing.get_context("spawn")
    results = processes.Queue()
    running = [processes.Process(target=_ask_often, args=(folder, first, results)) for first in (1_000, 2_000)]
    for one in running:
        one.start()
    for one in running:
        one.join(240)
        assert one.exitcode == 0
    return results.get() + results.get()


@pytest.mark.long
def test_two_processes_cannot_spend_one_budget_twice(held):
    held.vault.close()
    assert answered_by_two(held.folder / "v") == 23
    held.vault = open_recovered(held.folder / "v", factor=vaults.FACTOR, principal="ann")
    assert budget_book.show(held.vault, "counting")[0].budgets[0].left == 0
    shown(*TWICE, guarded=0, **TWO)


@pytest.mark.long
def test_nor_on_postgresql(tmp_path):
    with cluster() as url:
        places = Places(books=new_postgres(url))
        init(tmp_path / "v", steward="ann", factor=FACTOR, places=places, profile=Argon2Profile.TEST_ONLY)
        held = Held.of(tmp_path)
        counted.fill(held)
        held.vault.close()
        assert answered_by_two(tmp_path / "v") == 23
        held = Held.of(tmp_path)
        assert budget_book.show(held.vault, "counting")[0].budgets[0].left == 0
        held.vault.close()


def test_without_the_charge_being_in_the_answers_transaction_both_would_spend_it(held, monkeypatch):
    """Guard off: a budget that was read before is charged."""
    stale = {}
    real = budgets.of_project

    def read_before(vault, tx, project, dataset_id):
        return stale.setdefault(project.code, real(vault, tx, project, dataset_id))

    monkeypatch.setattr(budgets, "of_project", read_before)
    for at in range(26):
        ask(held, f"22:{1_000 + at}:A:G")
    monkeypatch.undo()
    assert spent(held)[BudgetScope.PROJECT] > 2_300_000
    shown(*TWICE, off=26 - 23, **TWO)


def spent(held):
    return {one.scope: one.spent for one in budget_book.show(held.vault, "counting")[0].budgets}


def test_budgets_put_back_alone_stop_every_answer(held):
    path = held.folder / "v" / "books.db"
    held.vault.close()
    vaults.sql(path, "PRAGMA wal_checkpoint(TRUNCATE)")
    held.vault = open_recovered(held.folder / "v", factor=vaults.FACTOR, principal="ann")
    ask(held, COMMON, epsilon="2")
    held.vault.close()
    vaults.sql(path, "UPDATE budget SET spent = 0")
    held.vault = open_recovered(held.folder / "v", factor=vaults.FACTOR, principal="ann")
    with pytest.raises(IntegrityError) as caught:
        ask(held, "22:700:A:G", epsilon="2")
    assert caught.value.code == "collection_altered"
    shown(*PUT_BACK, guarded="refused", **BOOKS)


def test_without_the_heads_a_budget_put_back_would_be_spent_again(held, monkeypatch):
    ask(held, COMMON, epsilon="2")
    held.vault.close()
    vaults.sql(held.folder / "v" / "books.db", "UPDATE budget SET spent = 0")
    monkeypatch.setattr("vault.session.collection_heads.CollectionHeads.require", lambda *_: None)
    held.vault = open_recovered(held.folder / "v", factor=vaults.FACTOR, principal="ann")
    assert ask(held, "22:700:A:G", epsilon="2").charged == 2
    shown(*PUT_BACK, off="answered", **BOOKS)


def test_a_killed_process_has_paid_and_gets_its_answer_later(held, monkeypatch):
    """Killed behind the commit: what was paid for is there."""

    class Killed(BaseException):
        pass

    def killed(*_):
        raise Killed

    monkeypatch.setattr(counting.publication, "receive", killed)
    with pytest.raises(Killed):
        ask(held, COMMON)
    monkeypatch.undo()
    held.vault.abandon()
    held.vault = open_recovered(held.folder / "v", factor=vaults.FACTOR, principal="ann")
    assert spent(held)[BudgetScope.PROJECT] == 100_000
    found = ask(held, COMMON)
    assert (found.charged, len(found.answers)) == (0, 1)


def test_one_steward_of_two_raises_nothing_alone(held):
    second = PassphraseFactor.from_text("passphrase of the second")
    principals.add(held.vault, "sue", Role.STEWARD, second, profile=Argon2Profile.TEST_ONLY)
    assert raises.raise_budget(held.vault, "counting", "1", reason="agreed").settled is False
    with pytest.raises(RefusedError) as caught:
        raises.raise_budget(held.vault, "counting", "1", reason="agreed")
    assert caught.value.code == "self_confirmation"
    assert budget_book.show(held.vault, "counting")[0].budgets[0].cap == 2_300_000
    held.vault.close()
    held.vault = open_recovered(held.folder / "v", factor=second, principal="sue")
    assert raises.raise_budget(held.vault, "counting", "2", reason="more").settled is False  # another amount is another raise
    found = raises.raise_budget(held.vault, "counting", "1", reason="agreed")
    assert (found.settled, found.proposed_by) == (True, "ann")
    assert budget_book.show(held.vault, "counting")[0].budgets[0].cap == 3_300_000


def test_the_rows_of_budgets_are_collections():
    assert {"budget", "budget_family", "budget_raise"} <= COLLECTIONS.keys()
