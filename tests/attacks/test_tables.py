"""Attacks on exact frequency tables. Each is carried out with its guard off too, and must succeed then, or it proves nothing."""

import multiprocessing

import numpy as np
import pytest

from policies.disclosure import membership, tables
from policies.disclosure.budgets import BudgetScope
from tests.support import counted, tabled, vaults
from tests.support.refused import code_of
from tests.support.tabled import PANEL, PEOPLE, SMALL, approve, leave, table
from vault import gate
from vault.access.disclosure import budget_book, frequency_tables, table_approvals
from vault.crypto.keystore import PassphraseFactor, Role
from vault.crypto.primitives import Argon2Profile
from vault.errors import RefusedError
from vault.operations.recovery import open_recovered
from vault.session import principals
from vault.views.member_evidence import member_evidence

VICTIM = PEOPLE[3]
ENGINE = PassphraseFactor.from_text("passphrase of the engine")


@pytest.fixture
def held(tmp_path):
    found = tabled.make(tmp_path)
    yield found
    found.vault.abandon()


def found_by_the_test(m, n, *, cohorts, seed, written=True):
    """Share of the members whom the likelihood-ratio test finds in tables of m random common sites, with 5 in 100 of others; true frequencies known."""
    random = np.random.default_rng(seed)
    hits = 0
    for _ in range(cohorts):
        truth = random.uniform(0.1, 0.5, m)
        people = random.binomial(2, truth[:, None], (m, 2 * n)).astype(np.int8)
        copies = people[:, :n].sum(axis=1)
        floor = frequency_tables.floor_of(n)
        said = [float(tables.written(int(k), 2 * n, floor)) for k in copies] if written else copies / (2 * n)
        evidence = member_evidence(people, np.clip(said, 1e-3, 1 - 1e-3), truth)
        hits += int((evidence[:n] > np.quantile(evidence[n:], 0.95)).sum())
    return hits / (n * cohorts)


def test_random_sites_at_m_max_find_few_members_and_without_the_limit_most(held):
    n = 1_000
    assert found_by_the_test(membership.m_max(n), n, cohorts=4, seed=1) <= 0.15
    assert found_by_the_test(4 * n, n, cohorts=1, seed=2, written=False) == pytest.approx(0.64, abs=0.05)
    vaults.panel(held.vault, "more", loci=tabled.loci(*range(1000, 1000 + 10 * (membership.m_max(len(PEOPLE)) + 1), 10)))
    assert code_of(lambda: approve(held, panel="more")) == "too_many_sites"


def test_sites_chosen_with_answers_in_hand_are_refused(held, monkeypatch):
    """Counts tell where the victim is rare; a panel of these sites would find them far more often than m_max allows."""
    chosen = [at for at in tabled.FREQUENCIES if tabled.dosages()[at][PEOPLE.index(VICTIM)] == 2] or list(tabled.FREQUENCIES)[:4]
    counted.ask(held, f"22:{chosen[0]}:A:G", code="one", epsilon="1")
    vaults.panel(held.vault, "chosen", loci=tabled.loci(*chosen))
    assert code_of(lambda: approve(held, panel="chosen")) == "answered_before"
    assert code_of(lambda: table(held, panel="chosen")) == "table_not_approved"
    monkeypatch.setattr(table_approvals, "require_unanswered", lambda *_: None)
    approve(held, panel="chosen")
    assert table(held, panel="chosen").rows


def differences(held, *, second):
    """Differences of copies that two tables tell of, by site: of all, and of all but those who left between."""
    first = dict(table(held, panel=SMALL).rows)
    leave(held, VICTIM)
    people = len(PEOPLE)
    after = dict(table(held, second, SMALL).rows)
    return {at: float(first[at]) * 2 * people - float(after[at]) * 2 * (people - 1) for at in first}


def test_the_difference_of_two_tables_is_refused_across_projects(held):
    approve(held, panel=SMALL)
    approve(held, "two", SMALL)
    table(held, panel=SMALL)
    for gone in range(20):
        leave(held, PEOPLE[gone])
        if gone in (0, 10, 19):
            assert code_of(lambda: table(held, "two", SMALL)) == "cohort_too_near"
    assert budget_book.show(held.vault, "two")[0].budgets[0].spent == 0
    leave(held, PEOPLE[20])
    assert table(held, "two", SMALL).charged > 0


def test_without_the_guard_and_exactly_written_the_difference_is_the_victims_genotype(held, monkeypatch):
    monkeypatch.setattr(frequency_tables, "require_apart", lambda *_: None)
    monkeypatch.setattr(tables, "written", lambda copies, called, _: f"{copies / called:.12f}")
    approve(held, panel=SMALL)
    approve(held, "two", SMALL)
    told = differences(held, second="two")
    own = {allele: tabled.dosages()[int(allele.split(":")[1])][PEOPLE.index(VICTIM)] for allele in told}
    assert {allele: round(copies) for allele, copies in told.items()} == own


def test_what_leaves_is_one_refusal_to_an_engine(held):
    principals.add(held.vault, "engine", Role.ENGINE, ENGINE, profile=Argon2Profile.TEST_ONLY)
    tabled.declare(held, "matching", people=["engine"])
    tabled.declare(held, "drained", people=["engine"], disclosure={"nats": 0.1})
    approve(held, "matching")
    approve(held, "drained")
    held.vault.close()
    held.vault = open_recovered(held.folder / "v", factor=ENGINE, principal="engine")
    assert table(held, "matching").rows
    for act in (
        lambda: table(held, "matching", SMALL),  # not approved
        lambda: table(held, "drained"),
        lambda: table(held, "one"),  # another's
        lambda: table(held, "nobodys"),
    ):
        with pytest.raises(RefusedError) as caught:
            act()
        assert (caught.value.code, caught.value.__cause__, caught.value.__context__) == ("refused", None, None)
    assert code_of(lambda: table(held, "matching", "unknown")) == "panel_unknown"
    assert code_of(lambda: approve(held, "matching", SMALL)) == "not_authorised"
    assert code_of(lambda: gate.assess_table(held.vault, "matching", PANEL)) == "not_authorised"


def test_one_steward_of_two_approves_nothing_alone(held):
    second = PassphraseFactor.from_text("passphrase of the second")
    principals.add(held.vault, "sue", Role.STEWARD, second, profile=Argon2Profile.TEST_ONLY)
    _, agreed = gate.approve_table(held.vault, "one", PANEL, reason="agreed")
    assert agreed.settled is False
    assert code_of(lambda: approve(held)) == "self_confirmation"
    assert code_of(lambda: table(held)) == "table_not_approved"
    held.vault.close()
    held.vault = open_recovered(held.folder / "v", factor=second, principal="sue")
    _, agreed = gate.approve_table(held.vault, "one", PANEL, reason="agreed")
    assert (agreed.settled, agreed.proposed_by) == (True, "ann")
    assert table(held).rows


def test_a_killed_process_has_paid_and_gets_its_table_later(held, monkeypatch, tmp_path):
    class Killed(BaseException):
        pass

    def killed(*_):
        raise Killed

    approve(held)
    monkeypatch.setattr("vault.tables.answers.publication.receive", killed)
    with pytest.raises(Killed):
        table(held)
    monkeypatch.undo()
    held.vault.abandon()
    held.vault = open_recovered(held.folder / "v", factor=vaults.FACTOR, principal="ann")
    assert budget_book.show(held.vault, "one")[0].budgets[0].spent == 430_000
    assert (table(held).charged, len(table(held).rows)) == (0, 8)


def test_tables_put_back_alone_stop_the_next_one(held):
    approve(held, panel=SMALL)
    approve(held, "two", SMALL)
    table(held, panel=SMALL)
    held.vault.close()
    vaults.sql(held.folder / "v" / "books.db", "DELETE FROM frequency_table")
    held.vault = open_recovered(held.folder / "v", factor=vaults.FACTOR, principal="ann")
    leave_nobody = code_of(lambda: table(held, "two", SMALL))
    assert leave_nobody == "collection_altered"


def _ask(folder, panel, results):
    opened = open_recovered(folder, factor=vaults.FACTOR, principal="ann")
    try:
        results.put(gate.frequencies(opened, project="frugal", dataset="cohort", panel=panel).charged)
    except RefusedError as error:
        results.put(error.code)
    opened.close()


@pytest.mark.long
@pytest.mark.parametrize("same", [True, False])
def test_two_processes_do_not_spend_one_budget_twice(held, same):
    """Of one panel: one pays and both have it. Of two, where the budget covers either: one is refused."""
    tabled.declare(held, "frugal", disclosure={"nats": 0.5})
    approve(held, "frugal")
    approve(held, "frugal", SMALL)
    held.vault.close()
    processes = multiprocessing.get_context("spawn")
    results = processes.Queue()
    asked = (PANEL, PANEL) if same else (PANEL, SMALL)
    running = [processes.Process(target=_ask, args=(held.folder / "v", panel, results)) for panel in asked]
    for one in running:
        one.start()
    for one in running:
        one.join(240)
        assert one.exitcode == 0
    told = [results.get(), results.get()]
    held.vault = open_recovered(held.folder / "v", factor=vaults.FACTOR, principal="ann")
    spent = budget_book.show(held.vault, "frugal")[0].budgets[0]
    assert spent.scope is BudgetScope.PROJECT
    if same:
        assert sorted(told) == [0, 0.43]
        assert spent.spent == 430_000
    else:
        assert "budget_spent" in told
        assert spent.spent in {430_000, 180_000}
