"""``project check`` and an extract pass the same tests: where the one says yes, the other releases just so many people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import yaml

from policies.consent import Withdrawal
from policies.declarations import project_template
from tests.support.held import Held
from tests.support.vcf_text import vcf
from vault import gate
from vault.access import projects, releases
from vault.audit.actions import Action
from vault.consent import forms, recording
from vault.consent.project_check import Refused
from vault.errors import InputError, RefusedError
from vault.genotypes.catalog import datasets, panel_builder
from vault.genotypes.loci import parse_loci

ONLY = """form: {0}
version: "1"
title: Research with some places
language: en
questions:
  - id: research_use
    wording: I allow research
    alternatives: [{{permission: GRU, {1}: [{2}]}}]
"""


def unplaced(held: Held) -> None:
    event = Withdrawal("loci:unheard_of")
    recording._record(held.vault, Action.CONSENT_WITHDRAW, "SAMPLE_3", recording.NOW_BY_THE_PERSON, withdrawal=event)


def under(what: str, *places: str) -> Callable[[Held], None]:
    """Everybody signs a form that excludes places, or allows these alone."""

    def sign(held: Held) -> None:
        forms.add(held.vault, ONLY.format("own", what, ", ".join(places)))
        header, rows = recording.blank_sheet(held.vault, "own", accept=True)
        recording.import_answers(held.vault, "\n".join(",".join(row) for row in [header, *rows]).encode(), "own")

    return sign


@dataclass(frozen=True)
class Case:
    """A vault, what is asked of it, and what stops a release (None: nothing)."""

    stopped: str | None = None
    act: Callable[[Held], None] = lambda _: None
    disclosure: dict[str, Any] = field(default_factory=dict)
    declared: dict[str, Any] = field(default_factory=dict)
    consents: bool = True
    asked: dict[str, Any] = field(default_factory=dict)


CASES = {
    "nothing against it": Case(),
    "a withdrawal": Case(act=lambda held: recording.withdraw(held.vault, "SAMPLE_4")),
    "a place that cannot be found": Case(act=unplaced),
    "nobody": Case("no_one_permitted", consents=False),
    "too few": Case("group_too_small", disclosure={"min_group": 13}),
    "just enough": Case(disclosure={"min_group": 12}),
    "bits": Case(disclosure={"max_bits": 5000}),
    "expired": Case("project_expired", declared={"expires": "2026-06-02"}, act=lambda held: held.clock.forward(days=2)),
    "who excludes is left out": Case(
        act=lambda held: recording.withdraw(held.vault, "SAMPLE_3", scope="loci:mito"), disclosure={"opt_outs": "leave_out"}
    ),
    "everybody excludes and is left out": Case(
        "no_one_permitted", act=under("exclude", "{gene: APOE}"), disclosure={"opt_outs": "leave_out"}, consents=False
    ),
    "an excluded gene": Case(act=under("exclude", "{gene: APOE}"), consents=False),
    "all contigs excluded": Case(
        "nothing_left",
        act=under("exclude", '{interval: "22", assembly: GRCh38}', "{interval: X, assembly: GRCh38}"),
        consents=False,
    ),
    "a region in what is excluded": Case(
        "nothing_left",
        act=under("exclude", '{interval: "22:1-17000000", assembly: hg38}'),
        consents=False,
        asked={"regions": ["22:16000000-16500000"]},
    ),
    "a region that reaches out of it": Case(
        act=under("exclude", '{interval: "22:1-15000000", assembly: hg38}'),
        consents=False,
        asked={"regions": ["22:16000000-16500000"]},
    ),
    "only another chromosome": Case("nothing_left", act=under("only", "{category: mito}"), consents=False),
    "an interval of another assembly": Case(
        "no_one_permitted", act=under("exclude", '{interval: "22:1-5", assembly: hg19}'), consents=False
    ),
    "a panel": Case(asked={"panel": "pgx"}),
}


@pytest.mark.parametrize("name", CASES)
def test_the_check_says_what_the_extract_does(held, name):
    case = CASES[name]
    if case.consents:
        held.everyone_consents()
    document = yaml.safe_load(project_template("demo", "cohort")) | case.declared
    document["disclosure"] |= case.disclosure
    projects.create(held.vault, document)
    projects.change(held.vault, "demo", "approve")
    if "panel" in case.asked:
        loci = parse_loci(b"22\t16000000\t16100000\n", name="x")
        panel_builder.create(held.vault, datasets.by_name(held.vault, "cohort"), "pgx", loci)
    request = held.request("demo", **case.asked)
    case.act(held)

    checked = gate.check(held.vault, "demo", **case.asked)

    assert checked.subjects == 12 == checked.permit + sum(dict(checked.deny).values()) + sum(dict(checked.review).values())
    if case.stopped is not None:
        assert [item.code for item in checked.refused] == [case.stopped]
        assert checked.permit == 0
        with pytest.raises((RefusedError, InputError)) as caught:
            gate.extract(held.vault, request, held.folder / "out")
        assert caught.value.code == case.stopped
    else:
        assert checked.refused == ()
        gate.extract(held.vault, request, held.folder / "out")
        assert releases.list_all(held.vault)[0].n_subjects == checked.permit > 0


def test_people_of_two_datasets_count_once_under_the_better(held):
    held.load(held.write("old.vcf", vcf("SAMPLE_1 SAMPLE_2 NEW_1", "22 5 A G 0|1 0|1 0|1").data), name="old", assembly="GRCh37")
    held.everyone_consents()
    document = yaml.safe_load(project_template("demo", "cohort")) | {"datasets": ["cohort", "old"]}
    document["disclosure"]["min_group"] = 4
    projects.create(held.vault, document)
    checked = gate.check(held.vault, "demo")
    few = "fewer subjects than the smallest group of 4"
    assert (checked.subjects, checked.permit) == (13, 12)
    assert checked.deny == (("group_too_small", 1),)
    assert checked.refused == (Refused("old", "group_too_small", few),)
    assert gate.check(held.vault, "demo", dataset="old").permit == 0


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"regions": ["22:1..5"]}, "document_rejected"),
        ({"regions": ["7:1-5"]}, "contig_not_held"),
        ({"regions": ["NC_000022.10"]}, "assembly_mismatch"),
        ({"panel": "none"}, "panel_unknown"),
        ({"panel": "none", "regions": ["22"], "dataset": "cohort"}, "panel_unknown"),
        ({"dataset": "none"}, "dataset_unknown"),
    ],
)
def test_what_could_not_be_asked_for_is_refused(held, asked, code):
    held.project("demo")
    with pytest.raises(InputError) as caught:
        gate.check(held.vault, "demo", **asked)
    assert caught.value.code == code
