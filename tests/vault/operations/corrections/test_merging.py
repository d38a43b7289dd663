"""Merging two registrations: the calls, references and consent of both are one person's, and nobody else's change."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from sqlalchemy import select

from tests.support import vaults
from tests.support.crashing import steps_survived
from tests.support.held import Held
from tests.support.vcf_text import vcf
from tests.vault.genotypes.imports import calls
from tests.vault.operations.corrections.test_replacement import listed
from vault import gate
from vault.access import accounting
from vault.audit.entry import decode_leaf
from vault.consent import recording
from vault.consent.signatures import Signature
from vault.crypto.key_wrapping import KeyPurpose
from vault.crypto.keystore import Role
from vault.errors import GenovaultError, InputError
from vault.ids import SubjectId
from vault.operations import backup, doctor, log_anchors
from vault.operations.corrections import merge_proposals, merging, verification
from vault.operations.corrections.merge_job import Pair
from vault.operations.erasure import process
from vault.operations.restore import restore
from vault.storage.book_tables import SubjectRow
from vault.subjects import registry, sheet_import
from vault.subjects.references import resolve
from vault.subjects.subject_sheet import read_subject_sheet

FILE = vcf(
    "A B C",
    "22 100 A G 0/1 0/1 1/1",
    "22 200 C T 1|1 ./. 0/0",
    "22 300 G C,T 1/2 0/2 0/0",
    "22 400 G C ./. 0/1 0/0",
)
SHEET = (
    "sample_id,mrn,name,birth_date,sex,country\n"
    "A,100,Ada Alt,1970-01-02,F,DE\nB,200,Ada Alt,1970-01-02,,\nC,300,Cy Neu,1980-01-02,M,DE\n"
)


@pytest.fixture
def held(tmp_path) -> Held:
    held = Held.make(tmp_path)
    sheet_import.import_sheet(held.vault, read_subject_sheet(SHEET.encode(), today=vaults.TODAY))
    held.load(held.write("a.vcf", FILE.data))
    return held


def of(found: dict, who: str) -> dict:
    return {key[2]: call for key, call in found.items() if key[0] == who}


def clean(held) -> None:
    report = doctor.examine(held.vault)
    assert report.ok, report.findings
    assert not verification.verify(held.vault, "cohort").damages
    assert held.verified().open_intents == ()


def merge(held, stays: str = "A", goes: str = "B", **options) -> merging.MergeReport:
    return merging.merge(held.vault, stays, goes, **{"reason": "registered twice", "accept": True, **options})


def granted(held, who: str = "A") -> set[str]:
    return {grant.policy for grant in recording.history(held.vault, who).standing.grants}


def test_both_are_one_person_and_the_others_stay_as_they_were(held):
    before = calls(held)
    done = merge(held)
    assert (done.state, done.references, done.takes_two) == ("merged", 3, False)
    assert [(met.dataset, met.parts, met.same, met.different) for met in done.calls] == [("cohort", 1, 1, 1)]
    after = calls(held)
    assert of(after, "A") == {100: [0, 1], 200: [1, 1], 300: [1, 2], 400: [0, 1]}  # the earlier import's where both have a call
    assert of(after, "C") == of(before, "C")
    assert not of(after, "B")
    clean(held)


def test_every_reference_leads_to_the_one_that_stays(held):
    handle = registry.subject_show(held.vault, "B")[0].handle
    merge(held)
    stays = resolve(held.vault, "mrn:100")
    assert {resolve(held.vault, ref) for ref in ("A", "B", "mrn:200", f"id:{handle}")} == {stays}
    identity = registry.subject_show(held.vault, "A")[1]
    assert (identity.samples, identity.mrn, identity.also) == (("A", "B"), "100", ("mrn:200", f"id:{handle}"))
    sheet_import.import_sheet(
        held.vault,
        read_subject_sheet(b"sample_id,mrn,name\nA,100,Ada Neu\n", today=vaults.TODAY),
        options=sheet_import.SheetOptions(update=True),
    )
    assert resolve(held.vault, "mrn:200") == stays
    process.erase(held.vault, "C")  # which renews the index
    assert resolve(held.vault, f"id:{handle}") == stays
    clean(held)


def test_the_keys_of_the_one_that_goes_are_gone_but_not_its_history(held):
    goes = resolve(held.vault, "B")
    held.everyone_consents()
    held.project("demo")
    before = gate.view(held.vault, project="demo", dataset="cohort")
    told = accounting.account_for(held.vault, "B").disclosures
    done = merge(held)
    assert len(done.releases) == len(told) == 1
    for purpose in (KeyPurpose.GENOTYPE, KeyPurpose.IDENTITY, KeyPurpose.PSEUDONYM_SALT):
        assert not held.vault.keys.newest_version(purpose, goes)
    assert {one.index for one in told} < {one.index for one in accounting.account_for(held.vault, "A").disclosures} | {-1}
    names = held.names("demo")
    after = gate.view(held.vault, project="demo", dataset="cohort")
    assert sorted(names[one] for one in after.pseudonyms) == ["A", "C"]
    assert len(set(before.pseudonyms) - set(after.pseudonyms)) == 1  # the retired one
    with held.vault.books.read() as tx:
        states = {SubjectId(s): state for s, state in tx.execute(select(SubjectRow.subject_id, SubjectRow.state))}
    assert states[goes] == "merged"


@pytest.mark.parametrize(("stays", "goes"), [("A", "B"), ("B", "A")])
def test_a_withdrawal_of_either_stands(held, stays, goes):
    recording.withdraw(held.vault, "A")
    held.answer({"sample:B": "yes"})
    done = merge(held, stays, goes)
    assert done.ended == ("research_use",)
    assert not granted(held)
    with pytest.raises(GenovaultError) as caught:
        held.answer({"sample:A": "yes"})  # a sheet cannot override it, as ever
    assert caught.value.code == "sheet_rejected"
    clean(held)


def test_what_the_one_that_goes_signed_comes_along_with_its_words(held):
    signature = Signature(signed_by="Ada herself", evidence="ab" * 32, channel="paper")
    recording.record(held.vault, "B", "broad-research", {"research_use": "yes"}, signature=signature)
    merge(held)
    assert granted(held) == {"research_use"}
    history = recording.history(held.vault, "A")
    (event,) = history.events
    private = history.private[event.event_id]
    assert (private["signed_by"], private["evidence"], private["channel"]) == ("Ada herself", "ab" * 32, "paper")
    clean(held)


def test_an_erasure_afterwards_erases_both(held):
    merge(held)
    people = [resolve(held.vault, "A")]
    process.erase(held.vault, "B")
    with held.vault.books.read() as tx:
        states = list(tx.scalars(select(SubjectRow.state)))
    assert sorted(states) == ["active", "erased", "erased"]
    assert len(held.vault.subject_keys.list_all()) == 1
    assert {pos for pos, alleles in listed(held.vault) for alt in alleles.split(b",")[1:] if alt} == {100}
    assert not held.vault.subject_keys.all_tokens(people)
    clean(held)


def test_personal_parts_and_tracks_come_along(held):
    block = "##fileformat=VCFv4.2\n##contig=<ID=21>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tB\n"
    block += (
        "21\t10\t.\tA\t<NON_REF>\t.\t.\tEND=90\tGT:DP:GQ\t0/0:30:60\n21\t91\t.\tA\tG,<NON_REF>\t.\t.\t.\tGT:DP:GQ\t0/1:30:60\n"
    )
    held.load(held.write("b.g.vcf", block), append=True, unknown="refuse")
    held.load(held.write("c.vcf", vcf("C", "21 50 A T 0/1").data), append=True, unknown="refuse")
    merge(held)
    found = calls(held)
    assert (of(found, "A")[91], of(found, "A")[50]) == ([0, 1], [0, 0])
    clean(held)


def traces(held) -> dict:
    """Rows of every table but the log's, and the names of all objects."""
    return {name: count for name, count in held.traces().items() if not name.startswith("audit_")}


def refused(held, code: str, *args, **options) -> None:
    before, size = traces(held), held.vault.trail.log.size()
    with pytest.raises(GenovaultError) as caught:
        merging.merge(held.vault, *args, **{"reason": "x", **options})
    assert caught.value.code == code
    left = traces(held)
    assert {**left, "job": 0, "approval": 0} == {**before, "job": 0, "approval": 0}  # that somebody wanted it stays
    assert [(e["act"], e.get("reasons")) for e in held.entries(size)][-1] == ("subject.merge", {code: 1})
    assert held.verified().open_intents == ()


def test_what_is_refused_changes_nothing(held):
    refused(held, "same_person", "A", "mrn:100")
    refused(held, "reason_missing", "A", "B", reason=" ")
    refused(held, "subject_unknown", "A", "nobody")
    refused(held, "identities_differ", "A", "C")
    refused(held, "calls_differ", "A", "B")
    recording.restrict(held.vault, "B")
    refused(held, "subject_restricted", "A", "B")
    recording.restrict(held.vault, "B", lift=True)
    recording.withdraw(held.vault, "B", level=recording.Level.ERASE)
    refused(held, "erasure_asked", "A", "B")
    process.erase(held.vault, "B")
    refused(held, "subject_unknown", "A", "B")


def test_a_look_changes_nothing_and_says_what_would_happen(held):
    held.answer({"sample:A": "no", "sample:B": "yes"})
    before, size = traces(held), held.vault.trail.log.size()
    seen = merging.check(held.vault, "A", "B")
    assert traces(held) == before
    assert (seen.state, seen.ended, seen.granted) == ("would_merge", ("research_use",), ())
    assert [(met.same, met.different, met.kinship) for met in seen.calls] == [(1, 1, None)]
    assert [(e["act"], e["outcome"]) for e in held.entries(size)] == [("subject.compare", "intent"), ("subject.compare", "done")]
    assert merging.check(held.vault, "A", "C").differing == ("name", "birth_date", "sex", "mrn")
    done = merge(held)
    assert (done.ended, done.statements, done.calls) == (seen.ended, seen.statements, seen.calls)


def test_where_there_are_two_stewards_it_takes_both(tmp_path):
    folder = vaults.copy(tmp_path, whole=False)
    factor = vaults.add_role(folder, Role.STEWARD)
    with vaults.opened(folder) as ann:
        first = merging.merge(ann, "S02", "S04", reason="twice", accept=True)
        assert (first.state, first.takes_two) == ("proposed", True)
        assert resolve(ann, "S04") != resolve(ann, "S02")
        with pytest.raises(GenovaultError) as caught:
            merging.merge(ann, "S02", "S04", reason="twice", accept=True)
        assert caught.value.code == "self_confirmation"
    with vaults.opened(folder, factor=factor, principal="steward") as second:
        other = merging.merge(second, "S04", "S02", reason="the other way round", accept=True)
        assert other.state == "proposed"  # that is another merge
        assert merging.merge(second, "S02", "S04", reason="twice", accept=True).state == "merged"
        assert doctor.examine(second).ok


def test_a_proposal_is_listed_with_its_words_and_taken_back_by_who_made_it(tmp_path):
    folder = vaults.copy(tmp_path, whole=False)
    factor = vaults.add_role(folder, Role.STEWARD)
    with vaults.opened(folder) as ann:
        assert merge_proposals.pending(ann) == []
        merging.merge(ann, "S02", "S04", reason="one person", accept=True)
        merging.merge(ann, "S05", "S06", reason="these too", accept=True)
    with vaults.opened(folder, factor=factor, principal="steward") as second:
        first, other = merge_proposals.pending(second)
        assert (first.proposed_by, first.reason, first.accept) == ("ann", "one person", True)
        assert first.pair == Pair(resolve(second, "S02"), resolve(second, "S04"))
        leaf = decode_leaf(list(second.trail.log.entries())[-1].leaf)
        assert (leaf["act"], leaf["subj"]["n"]) == ("consent.queue", 4)
        with pytest.raises(InputError) as caught:
            merge_proposals.take_back(second, "S02", "S04", reason="not mine")
        assert caught.value.code == "not_proposed"
        assert merging.merge(second, other.stays, other.goes, reason=other.reason, accept=True).state == "merged"
        assert [one.reason for one in merge_proposals.pending(second)] == ["one person"]
    with vaults.opened(folder) as ann:
        assert merge_proposals.take_back(ann, "S02", "S04", reason="two people").goes == first.goes
        assert merge_proposals.pending(ann) == []
        leaf = decode_leaf(list(ann.trail.log.entries())[-1].leaf)
        assert (leaf["act"], leaf["outcome"], leaf["subj"]["n"]) == ("subject.merge.take_back", "done", 2)
    with vaults.opened(folder, factor=factor, principal="steward") as second:
        assert merging.merge(second, "S02", "S04", reason="x", accept=True).state == "proposed"  # nobody's yet


def merged(folder: str) -> None:
    with vaults.opened(Path(folder)) as s:
        merging.merge(s, "S02", "S04", reason="x", accept=True)


@pytest.mark.parametrize("every", [53, pytest.param(11, marks=pytest.mark.long)])
def test_a_kill_at_any_step_leaves_it_done_or_not(tmp_path, every):
    def settled(folder) -> None:
        with vaults.opened(folder) as s:
            report = doctor.examine(s)
            assert report.ok, report.findings
            assert not [f for f in report.findings if f.code in ("job_unfinished", "orphans")]
            one = resolve(s, "S02") == resolve(s, "S04")
            assert len(vaults.read_all(s).codes.T) == (11 if one else 12)
            assert not verification.verify(s, "cohort").damages
            left = [s.trail.log.entry(index).leaf for index in vaults.verified(s).open_intents]
            assert not [leaf for leaf in left if b"subject." in leaf]
            if one:
                assert "S04" in registry.subject_show(s, "S02")[1].samples

    assert steps_survived(vaults.template(whole=False), tmp_path, merged, settled, every=every) > 5


def test_books_of_after_a_merge_are_restored_beside_the_newest_keys(tmp_path):
    folder = vaults.copy(tmp_path, whole=False)
    (tmp_path / "anchor").mkdir()
    with vaults.opened(folder) as s:
        goes = resolve(s, "S04")
        log_anchors.add(s, tmp_path / "anchor")
        merging.merge(s, "S02", "S04", reason="twice", accept=True)
        before = sorted(vaults.read_all(s).codes.T.tolist())
        backup.backup(s, tmp_path / "b")
        s.close = lambda: None
        s.abandon()
    for path in folder.glob("books.db*"):
        path.unlink()
    shutil.rmtree(folder / "objects")
    report = restore(tmp_path / "b", folder, factor=vaults.FACTOR, principal="ann", anchors=[tmp_path / "anchor"])
    assert report.erased_again == 0
    with vaults.opened(folder) as s:
        assert not s.keys.newest_version(KeyPurpose.GENOTYPE, goes)
        assert s.keys.newest_version(KeyPurpose.AUDIT_SALT, goes)
        assert sorted(vaults.read_all(s).codes.T.tolist()) == before
        found = doctor.examine(s)
        assert found.ok, found.findings
