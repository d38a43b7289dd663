"""The door: who comes out, what is logged before and after, and every reason to stay shut. Faults and attacks have folders of their own."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest

from policies.purposes import RequestKind
from tests.support import vaults
from tests.support.releases import pinned
from tests.support.vaults import FACTOR, PERMITTED, ask, opened, verified
from vault import gate
from vault.access import projects, releases, requests
from vault.audit.bands import banded
from vault.audit.entry import decode_leaf
from vault.audit.receipt import verify_receipt
from vault.consent import recording
from vault.errors import GenovaultError, InputError, RefusedError
from vault.extracts.verification import verify_release
from vault.operations.recovery import open_recovered


def leaves(s, *acts):
    found = [decode_leaf(entry.leaf) for entry in s.trail.log.entries()]
    return [leaf for leaf in found if not acts or leaf["act"] in acts]


def test_check_counts_everybody_once(s):
    tally = gate.check(s, "demo")
    assert tally.subjects == tally.permit + sum(n for _, n in tally.deny) + sum(n for _, n in tally.review) == 12
    assert tally.permit == len(PERMITTED)
    entry = list(s.trail.log.entries())[-1]
    leaf, detail = decode_leaf(entry.leaf), s.trail.detail(entry.index)
    assert (leaf["counts"], set(leaf["reasons"].values())) == ({"asked": 1, "permitted": 1}, {1})  # 1: from 1 to 20
    assert detail["counts"] == {"asked": 12, "permitted": len(PERMITTED)}
    assert detail["reasons"] == dict(tally.deny) | {f"review:{code}": n for code, n in tally.review}


def test_a_view_holds_those_who_permit_and_its_receipt_proves_the_access(s):
    view = gate.view(s, project="demo", dataset="cohort")
    assert len(set(view.pseudonyms)) == len(PERMITTED) == view.codes.shape[1]
    assert all(name.startswith("demo1") for name in view.pseudonyms)
    proven = verify_receipt(view.receipt, None, s.trail.origin, list(s.trail.log_keys()))
    leaf = decode_leaf(proven.leaf)
    assert (leaf["act"], leaf["outcome"]) == ("view.outcome", "done")
    assert leaf["counts"] == banded({"subjects": len(PERMITTED), "sites": len(view.sites)})
    (made,) = (made for made in releases.list_all(s) if made.outcome_index == proven.index)
    assert s.trail.detail(proven.index)["bits"] == {name: math.ceil(value) for name, value in made.content.bits.items()}
    assert made.content.bits["largest"] >= made.content.bits["mean"] > 0


def test_intent_and_outcome_are_a_pair_in_this_order(s, tmp_path):
    gate.view(s, project="demo", dataset="cohort")
    gate.extract(s, ask(s), tmp_path / "out")
    for act in ("view", "extract"):
        intent, outcome = leaves(s, f"{act}.intent", f"{act}.outcome")
        assert (intent["outcome"], outcome["outcome"]) == ("intent", "done")
        assert outcome["refers"] == intent["id"]
        assert intent["consent"] == outcome["consent"]
        assert intent["subj"]["n"] == len(PERMITTED)
    assert verified(s).open_intents == ()


def test_the_intent_is_on_disk_before_a_block_is_opened(s, monkeypatch):
    choose, seen = vaults.dataset_reader.GenotypeReader.choose, []

    def choosing(reader, selection):
        seen.append(leaves(s)[-1]["act"])
        return choose(reader, selection)

    monkeypatch.setattr(vaults.dataset_reader.GenotypeReader, "choose", choosing)
    gate.view(s, project="demo", dataset="cohort")
    assert seen == ["view.intent"]


def test_pseudonyms_stay_within_a_project_and_differ_between(s):
    vaults.approve(s, "second", "cohort")
    first, again, other = (set(gate.view(s, project=p, dataset="cohort").pseudonyms) for p in ("demo", "demo", "second"))
    assert first == again
    assert not {name.split("1", 1)[1] for name in first} & {name.split("1", 1)[1] for name in other}


def test_pseudonyms_of_each_release_where_the_project_says_so(s):
    vaults.approve(s, "apart", "cohort", pseudonyms="release")
    one, two = (set(gate.view(s, project="apart", dataset="cohort").pseudonyms) for _ in range(2))
    assert not one & two


def test_the_order_of_people_differs_between_releases(s):
    orders = {gate.view(s, project="demo", dataset="cohort").pseudonyms for _ in range(4)}
    assert len(orders) > 1


def test_an_extract_verifies_and_is_in_the_book(s, tmp_path):
    release = gate.extract(s, ask(s), tmp_path / "out")
    held = verify_release(tmp_path / "out", **pinned(s))
    assert held.manifest.counts.subjects == release.n_subjects == len(PERMITTED)
    assert held.manifest.release == release.release_id
    assert releases.load(s, release.release_id) == release
    assert release.outcome_index == held.index
    assert not (s.folder / "locks").exists() or not list((s.folder / "locks").iterdir())


def test_who_withdrew_is_out_of_the_next_view(s):
    before = set(gate.view(s, project="demo", dataset="cohort").pseudonyms)
    recording.withdraw(s, "S03")
    after = set(gate.view(s, project="demo", dataset="cohort").pseudonyms)
    assert after < before
    assert len(before - after) == 1


def test_a_region_view_shows_no_site_that_nobody_released_carries(s):
    view = gate.view(s, project="demo", dataset="cohort")
    assert ((view.genotypes > 0).any(axis=(1, 2))).all()


def declared(s):
    projects.create(s, vaults.parse_yaml(vaults.project_template("pp", "cohort").encode(), name="t"))


REFUSALS = {
    "an unknown project": (lambda _: None, {"project": "nosuch"}, "project_unknown"),
    "an unknown dataset": (lambda _: None, {"dataset": "nosuch"}, "dataset_unknown"),
    "an unknown panel": (lambda _: None, {"panel": "nosuch"}, "panel_unknown"),
    "a draft": (declared, {"project": "pp"}, "project_not_approved"),
    "a suspended project": (lambda s: projects.change(s, "demo", "suspend"), {}, "project_not_approved"),
    "a closed project": (lambda s: projects.change(s, "demo", "close"), {}, "project_not_approved"),
    "a dataset outside": (lambda s: vaults.bring(s, vaults.tiny(), "other"), {"dataset": "other"}, "outside_project"),
    "a group too small": (
        lambda s: vaults.approve(s, "pp", "cohort", disclosure={"min_group": 11}),
        {"project": "pp"},
        "group_too_small",
    ),
    "nobody": (lambda s: [recording.withdraw(s, who) for who in PERMITTED], {}, "no_one_permitted"),
}


@pytest.mark.parametrize("reason", REFUSALS)
def test_every_refusal_has_its_code_is_logged_and_opens_nothing(s, monkeypatch, reason):
    prepare, asked, code = REFUSALS[reason]
    prepare(s)
    monkeypatch.setattr("vault.genotypes.catalog.dataset_reader.GenotypeReader.choose", None)
    with pytest.raises((RefusedError, InputError)) as caught:
        gate.view(s, **({"project": "demo", "dataset": "cohort"} | asked))
    assert caught.value.code == code
    leaf = leaves(s)[-1]
    assert (leaf["act"], leaf["reasons"]) == ("view.intent", {code: 1})
    assert leaf["outcome"] == ("refused" if isinstance(caught.value, RefusedError) else "failed")
    assert releases.list_all(s) == []


def test_a_group_just_large_enough(s):
    vaults.approve(s, "pp", "cohort", disclosure={"min_group": 10})
    assert len(gate.view(s, project="pp", dataset="cohort").pseudonyms) == 10


def test_an_expired_project(folder):
    soon = datetime.now(UTC) + timedelta(days=2)
    with opened(folder) as s:
        vaults.approve(s, "pp", "cohort", expires=soon.date())
        gate.view(s, project="pp", dataset="cohort")
    later = open_recovered(folder, factor=FACTOR, principal="ann", clock=lambda: soon + timedelta(days=1))
    with pytest.raises(RefusedError) as caught:
        gate.view(later, project="pp", dataset="cohort")
    assert caught.value.code == "project_expired"
    later.abandon()


def test_requests_that_are_denied_unknown_or_of_another_kind(s, tmp_path):
    denied = ask(s)
    requests.deny(s, denied, "no")
    vaults.approve(s, "counting", "cohort", kinds=["counts"])
    with pytest.raises(RefusedError) as caught:
        gate.view(s, project="counting", dataset="cohort")
    assert caught.value.code == "outside_project"
    counts = requests.submit(
        s, "counting", "cohort", kind=RequestKind.COUNTS, spec=requests.Spec(alleles=("22:1000:A:G",))
    ).request_id
    for request, code in ((denied, "request_denied"), ("r-0", "request_unknown"), (counts, "kind_not_served")):
        with pytest.raises(GenovaultError) as caught:
            gate.extract(s, request, tmp_path / "out")
        assert caught.value.code == code
    assert list(tmp_path.glob("*out*")) == []


def test_an_output_that_is_taken_is_found_out_before_anything_is_opened(s, tmp_path, monkeypatch):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine").write_text("x")
    monkeypatch.setattr("vault.genotypes.catalog.dataset_reader.GenotypeReader.choose", None)
    with pytest.raises(InputError) as caught:
        gate.extract(s, ask(s), tmp_path / "out")
    assert caught.value.code == "output_not_empty"
    assert leaves(s, "extract.outcome") == []


def test_a_bug_on_the_way_is_logged_by_a_constant(s, monkeypatch):
    def broken(*_args, **_kwargs):
        raise ZeroDivisionError("canary-61")

    monkeypatch.setattr("vault.views.deidentify.Deidentified", broken)
    with pytest.raises(ZeroDivisionError):
        gate.view(s, project="demo", dataset="cohort")
    assert leaves(s)[-1]["reasons"] == {"internal_error": 1}
    assert [r.state for r in releases.list_all(s)] == ["aborted"]
