"""Keys that a slot does not hold are out of reach of any code: our own internals, called directly."""

from __future__ import annotations

import traceback

import pytest

import vault
from policies import reasons
from tests.support import vaults
from tests.support.vaults import ask, opened
from vault import gate
from vault.access import projects, reference_data, requests
from vault.audit.entry import decode_leaf
from vault.consent import people, recording
from vault.crypto.key_wrapping import PURPOSE_BRANCH, KeyPurpose
from vault.crypto.keystore import ROLE_BRANCHES, Branch, Role
from vault.errors import GenovaultError, InputError, IntegrityError, RefusedError, UnavailableError
from vault.genotypes.catalog import datasets, panels, parts
from vault.ids import SubjectId
from vault.storage.book_tables import SubjectRow
from vault.subjects import identities, references, registry


@pytest.fixture
def someone(small):
    """Open the vault in a role; a subject's id, as the books show it."""

    def open_as(role):
        factor = vaults.add_role(small, role)
        return opened(small, factor=factor, principal=role.value)

    return open_as


def anybody(s):
    with s.books.read() as tx:
        return SubjectId(tx.query(SubjectRow.subject_id).first()[0])


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.ENGINE, Role.CUSTODIAN, Role.SERVICE])
def test_no_key_of_a_branch_that_the_role_lacks(someone, role):
    with someone(role) as s:
        subject = anybody(s)
        for branch in set(Branch) - ROLE_BRANCHES[role]:
            with pytest.raises(UnavailableError) as caught:
                s.keyring.current(branch)
            assert caught.value.code == "branch_closed"
            with pytest.raises(UnavailableError):
                s.keyring.epoch(branch, 1)
            with pytest.raises(UnavailableError):
                s.keys.branch_key(branch, "project")
        for purpose in KeyPurpose:
            if PURPOSE_BRANCH[purpose] not in ROLE_BRANCHES[role]:
                for attempt in (
                    lambda p=purpose: s.keys.open(p, subject),
                    lambda p=purpose: s.keys.open_many(p, [subject]),
                    lambda p=purpose: s.keys.open_keys(p, [subject]),
                    lambda p=purpose: s.keys.open_ids(p, [subject]),
                    lambda p=purpose: s.keys.create(p, [subject]),
                ):
                    with pytest.raises(UnavailableError) as caught:
                        attempt()
                    assert caught.value.code == "branch_closed"


def test_an_auditor_opens_nothing_but_the_log(someone, small, tmp_path):
    with opened(small) as s:
        request = ask(s)
    with someone(Role.AUDITOR) as s:
        for attempt in (
            lambda: gate.view(s, project="demo", dataset="cohort"),
            lambda: gate.extract(s, request, tmp_path / "out"),
            lambda: gate.check(s, "demo"),
            lambda: people.listed(s),
            lambda: registry.subject_show(s, "S01"),
            lambda: references.resolve(s, "S01"),
            lambda: recording.history(s, "S01"),
            lambda: recording.withdraw(s, "S01"),
            lambda: recording.blank_sheet(s, "broad-research", accept=True),
            lambda: projects.load(s, "demo"),
            lambda: projects.change(s, "demo", "suspend"),
            lambda: requests.load(s, request),
            lambda: requests.deny(s, request, "x"),
            lambda: panels.by_name(s, "pgx"),
            lambda: vaults.read_all(s),
            lambda: parts.contigs(s, datasets.by_name(s, "cohort").dataset_id),
            s.trail.log_signer,
            s.release_signer,
            s.trail.checkpoint,
        ):
            with pytest.raises(GenovaultError) as caught:
                attempt()
            assert caught.value.code in {"branch_closed", "refused", "not_authorised"}
        assert not (tmp_path / "out").exists()
        index = max(entry.index for entry in s.trail.log.entries() if decode_leaf(entry.leaf)["act"] == "request.submit")
        assert s.trail.detail(index)["regions"] == ["22:1-1200"]


def test_what_an_auditor_tried_is_in_the_log(someone, small):
    with someone(Role.AUDITOR) as s:
        with pytest.raises(GenovaultError):
            gate.view(s, project="demo", dataset="cohort")
        last = decode_leaf(list(s.trail.log.entries())[-1].leaf)
    assert (last["act"], last["outcome"], last["actor"]["kind"]) == ("view.intent", "refused", "auditor")


def test_an_engine_names_nobody(someone, small):
    with someone(Role.ENGINE) as s:
        view = gate.view(s, project="demo", dataset="cohort")
        assert len(view.pseudonyms) == len(vaults.PERMITTED)
        for attempt in (
            lambda: people.listed(s),
            lambda: registry.subject_show(s, "S01"),
            lambda: identities.open_identities(s, [anybody(s)]),
            lambda: references.resolve(s, "S01"),
            lambda: references.registered_by(s, ["S01"]),
            lambda: recording.history(s, "S01"),
            lambda: recording.blank_sheet(s, "broad-research", accept=False),
            lambda: recording.withdraw(s, "S01"),
            s.release_signer,
            lambda: s.trail.detail(0) if s.trail.log.entry(0) is None else s.keyring.current(Branch.AUDIT_READ),
        ):
            with pytest.raises(GenovaultError) as caught:
                attempt()
            assert caught.value.code in {"branch_closed", "not_authorised"}


def test_an_engines_extract_opens_no_block(someone, small, tmp_path):
    """It could not sign the manifest: that is found out before anything is opened."""
    with opened(small) as s:
        request = ask(s)
    with someone(Role.ENGINE) as s, pytest.raises(GenovaultError):
        gate.extract(s, request, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def through_the_door(small, factor, **asked):
    with (
        vault.open(small, principal="engine", passphrase=factor.passphrase.reveal().decode()) as v,
        pytest.raises(RefusedError) as caught,
    ):
        v.view(**asked)
    error = caught.value
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename != __file__]
    held = [name for frame in frames for name in frame.f_locals]
    assert not {"scope", "decided", "error", "made"}.intersection(held)  # what a debugger or an error tracker would find
    return error.code, str(error), error.hint, repr(error.__cause__), repr(error.__context__)


def test_whatever_the_reason_an_engine_hears_one_sentence(small):
    with opened(small) as s:
        vaults.approve(s, "theirs", "cohort", people=["somebody"])
        vaults.approve(s, "draftonly", "cohort")
        projects.change(s, "draftonly", "suspend")
        vaults.approve(s, "big", "cohort", disclosure={"min_group": 1000})
        vaults.approve(s, "ancestry", "cohort", purpose={"use_kinds": ["poa"], "commitments": ["no_reid"]})
    factor = vaults.add_role(small, Role.ENGINE)
    heard = {
        through_the_door(small, factor, project="nosuch", dataset="cohort"),
        through_the_door(small, factor, project="theirs", dataset="nosuch"),
        through_the_door(small, factor, project="theirs", dataset="cohort", panel="nosuch"),
        through_the_door(small, factor, project="theirs", dataset="cohort", regions=["7"]),
        through_the_door(small, factor, project="theirs", dataset="cohort"),
        through_the_door(small, factor, project="draftonly", dataset="cohort"),
        through_the_door(small, factor, project="big", dataset="cohort"),
        through_the_door(small, factor, project="ancestry", dataset="cohort"),
    }
    assert heard == {("refused", reasons.UNIFORM, "", "None", "None")}
    with opened(small) as s:
        leaves = [decode_leaf(entry.leaf) for entry in s.trail.log.entries()]
    logged = {
        code
        for leaf in leaves
        if leaf["actor"]["kind"] == "engine" and leaf["act"] in ("view.intent", "view.read")
        for code in leaf["reasons"]
    }
    assert {"project_unknown", "dataset_unknown", "panel_unknown", "project_not_approved", "group_too_small"} <= logged


@pytest.mark.parametrize(
    "error",
    [
        UnavailableError("erasure_pending", "an erasure is still being carried out"),
        IntegrityError("key_missing", "a genotype key is not in the key database"),
        IntegrityError("blob_altered", "a block was altered"),
    ],
    ids=lambda error: error.code,
)
def test_erasure_and_damage_sound_as_any_refusal_and_are_logged(small, monkeypatch, error):
    factor = vaults.add_role(small, Role.ENGINE)

    def choose(*_):
        raise error

    monkeypatch.setattr(gate.blocks.dataset_reader.GenotypeReader, "choose", choose)
    assert through_the_door(small, factor, project="demo", dataset="cohort") == ("refused", reasons.UNIFORM, "", "None", "None")
    with opened(small) as s:
        last = [leaf for leaf in (decode_leaf(entry.leaf) for entry in s.trail.log.entries()) if leaf["act"] == "view.outcome"][
            -1
        ]
        assert (last["actor"]["id"], last["outcome"], last["reasons"]) == ("engine", "failed", {error.code: 1})
        with pytest.raises(type(error)) as caught:
            gate.view(s, project="demo", dataset="cohort")
        assert caught.value is error


def test_what_is_masked_is_not_there_and_is_nobodys_sounds_alike(small):
    with opened(small) as s:
        own = '{"version": "1", "source": "s", "date": "2026-01-01", "assemblies": {"GRCh38": {"categories": {"here": ["22:1000-1100"]}}}}'
        reference_data.load(s, reference_data.LOCI, own, version="1")
        recording.withdraw(s, "S03", scope="loci:here")
    factor = vaults.add_role(small, Role.ENGINE)
    with vault.open(small, principal="engine", passphrase=factor.passphrase.reveal().decode()) as v:
        for region in ("22:1000-1100", "22:40000000-40000100", "22:1"):
            view = v.view(project="demo", dataset="cohort", regions=[region])
            assert (len(view.sites), len(view.pseudonyms), view.genotypes.shape) == (0, len(vaults.PERMITTED), (0, 10, 2)), region
            assert view.receipt
        for region in ("7", "NC_000007.14:5", "{strange}", "CYP2Z9"):  # the contigs of an own project's dataset are no secret
            with pytest.raises(InputError) as caught:
                v.view(project="demo", dataset="cohort", regions=[region])
            assert caught.value.code == "contig_not_held"


@pytest.mark.parametrize("asked", [{"regions": ["22:1..5"]}, {"regions": ["22:5-1"], "panel": "pgx"}])
def test_what_is_no_question_is_told_to_everybody_before_anything_is_looked_up(small, asked):
    factor = vaults.add_role(small, Role.ENGINE)
    heard = set()
    for project in ("demo", "nosuch"):
        with (
            vault.open(small, principal="engine", passphrase=factor.passphrase.reveal().decode()) as v,
            pytest.raises(InputError) as caught,
        ):
            v.view(project=project, dataset="cohort", **asked)
        heard.add((caught.value.code, str(caught.value)))
    assert len(heard) == 1


def test_nobody_permitted_and_unknown_sound_alike(small):
    with opened(small) as s:
        for sample in vaults.PERMITTED:
            recording.withdraw(s, sample)
    factor = vaults.add_role(small, Role.ENGINE)
    assert through_the_door(small, factor, project="demo", dataset="cohort") == through_the_door(
        small, factor, project="nosuch", dataset="cohort"
    )


def test_the_door_gives_nothing_but_views_answers_and_lists_of_names(small):
    with vault.open(small, passphrase=vaults.PASSPHRASE) as v:
        public = {name for name in dir(v) if not name.startswith("_")}
        assert public <= {"view", "counts", "presence", "frequencies", "match", "match_counts", "close", "projects", "panels"}
        assert vaults.PASSPHRASE not in repr(v)


@pytest.mark.parametrize("wrong", ["", "x", vaults.PASSPHRASE + " ", vaults.PASSPHRASE.upper(), "\0"])
def test_a_wrong_passphrase_opens_nothing_and_is_logged(small, wrong):
    with pytest.raises(GenovaultError) as caught:
        vault.open(small, passphrase=wrong)
    assert caught.value.code in {"cannot_unlock", "passphrase_empty"}
    if wrong:
        with opened(small) as s:
            acts = [decode_leaf(entry.leaf)["act"] for entry in s.trail.log.entries()]
        assert "vault.unlock.failed" in acts


def test_an_unknown_name_and_a_wrong_passphrase_are_told_alike(small):
    refusals = set()
    for principal, passphrase in (("ann", "wrong"), ("nobody", "wrong"), ("nobody", vaults.PASSPHRASE)):
        with pytest.raises(UnavailableError) as caught:
            vault.open(small, principal=principal, passphrase=passphrase)
        refusals.add((caught.value.code, str(caught.value)))
    assert len(refusals) == 1
