"""Ontologies, named places and ages of majority that a site loads."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from policies.consent import Withdrawal
from tests.support.consent_work import FORM, disease_project, guardian, permits, sheet
from tests.support.vcf_text import vcf
from vault import gate
from vault.access import reference_data, releases
from vault.audit.actions import Action
from vault.consent import explanations, recording
from vault.errors import InputError, RefusedError

PAIRS = "MONDO:0008903\tMONDO:0004992\nMONDO:0004992\tMONDO:0000001\n"


def test_a_site_loads_its_own_ages(held):
    text = '{"version": "own", "source": "statute", "date": "2026-01-01", "default": 18, "leap_day": "mar_1", "ages": {"GB": 18}}'
    reference_data.load(held.vault, reference_data.MAJORITY, text, version="own")
    recording.import_answers(held.vault, sheet(guardian("SAMPLE_2", "Ada")), FORM)
    (event,) = recording.history(held.vault, "SAMPLE_2").events
    assert event.lapses_at == datetime(2028, 7, 1, tzinfo=UTC)


def test_a_place_excluded_by_name_is_hidden(held):
    held.everyone_consents()
    held.project("demo")
    recording.withdraw(held.vault, "SAMPLE_3", scope="loci:mito")
    held.extract("demo", regions=["22:1-17000000"])
    own = '{"version": "own 1", "source": "ours", "date": "2026-01-01", "assemblies": {"GRCh38": {"categories": {"unheard_of": ["22:16000100-16000300"]}}}}'
    reference_data.load(held.vault, reference_data.LOCI, own, version="own 1")
    recording.withdraw(held.vault, "SAMPLE_3", scope="loci:unheard_of")
    with pytest.raises(RefusedError) as caught:
        held.extract("demo", out="third", regions=["22:16000100-16100001"])
    assert caught.value.code == "nothing_left"
    held.extract("demo", out="fourth", regions=["22:16000100-17000000", "X"])  # 500 kb on each side are hidden too
    assert releases.list_all(held.vault)[0].n_sites == 1


def test_a_place_that_cannot_be_found_counts_against_its_person_alone(held):
    held.everyone_consents()
    held.project("demo")
    everybody = permits(held, "demo")
    event = Withdrawal("loci:unheard_of")  # recorded before names were looked up
    recording._record(held.vault, Action.CONSENT_WITHDRAW, "SAMPLE_3", recording.NOW_BY_THE_PERSON, withdrawal=event)
    checked = gate.check(held.vault, "demo")
    assert (checked.permit, dict(checked.deny)["loci_unresolved"]) == (everybody - 1, 1)
    assert "[category unheard_of]" in " ".join(explanations.explain(held.vault, "SAMPLE_3", "demo").words)
    held.extract("demo", regions=["22:1-17000000"])
    assert releases.list_all(held.vault)[0].n_subjects == everybody - 1
    own = '{"version": "own 1", "source": "ours", "date": "2026-01-01", "assemblies": {"GRCh38": {"categories": {"unheard_of": ["X:1-5"]}}}}'
    reference_data.load(held.vault, reference_data.LOCI, own, version="own 1")
    assert gate.check(held.vault, "demo").permit == everybody


def test_places_of_an_assembly_that_nothing_here_has_are_refused(held):
    def pack(assembly: str) -> str:
        return f'{{"version": "v", "source": "s", "date": "2026-01-01", "assemblies": {{"{assembly}": {{"genes": {{"G": ["1:1-2"]}}}}}}}}'

    reference_data.load(held.vault, reference_data.LOCI, pack("GCA_000001405.15"), version="1")
    with held.vault.books.read() as tx:
        assert "G" in reference_data.catalogue(tx, "GRCh38.p14").genes
    with pytest.raises(InputError, match="'Mine 1' is no assembly known here"):
        reference_data.load(held.vault, reference_data.LOCI, pack("Mine 1"), version="2")
    path = held.write("mine.vcf", vcf("Z", "1 10 A G 0|1").data)
    held.load(path, name="mine", assembly="Mine1", unlisted_assembly=True)
    reference_data.load(held.vault, reference_data.LOCI, pack("Mine1"), version="2")


def test_diseases_wait_for_an_ontology(held):
    answers = {"subject": "SAMPLE_3", "research_use": "disease_only", "commercial": "yes"}
    recording.import_answers(held.vault, sheet(answers), "disease-research")
    disease_project(held)
    assert gate.check(held.vault, "lungs").review == (("ontology_not_loaded", 1),)
    reference_data.load(held.vault, reference_data.ONTOLOGY, PAIRS, version="tiny")
    assert permits(held, "lungs") == 1
    with pytest.raises(InputError) as caught:
        reference_data.load(held.vault, reference_data.ONTOLOGY, PAIRS + "MONDO:0000001\tMONDO:0008903\n", version="round")
    assert caught.value.code == "document_rejected"
    with pytest.raises(InputError) as caught:
        reference_data.load(held.vault, reference_data.ONTOLOGY, "MONDO:0008903\tMONDO:0000001\n", version="tiny")
    assert caught.value.code == "pack_exists"
    assert [(pack.kind, pack.version) for pack in reference_data.loaded(held.vault)] == [("ontology", "tiny")]


def test_what_was_loaded_by_mistake_is_taken_out_and_what_was_before_counts_again(held):
    for version, pairs in (("one", PAIRS), ("two", PAIRS + "MONDO:0000002\tMONDO:0000001\n")):
        reference_data.load(held.vault, reference_data.ONTOLOGY, pairs, version=version)
    with pytest.raises(InputError) as caught:
        reference_data.unload(held.vault, reference_data.ONTOLOGY, "two", reason="")
    assert caught.value.code == "reason_missing"
    reference_data.unload(held.vault, reference_data.ONTOLOGY, "two", reason="the wrong file")
    with held.vault.books.read() as tx:
        assert reference_data.ontology(held.vault, tx).version == "one"
    with pytest.raises(InputError) as caught:
        reference_data.unload(held.vault, reference_data.ONTOLOGY, "two", reason="x")
    assert caught.value.code == "pack_unknown"
    entries = [entry for entry in held.entries() if entry["act"] == "consent.pack" and entry["outcome"] == "done"]
    assert len(entries) == 3
