"""Removal: the rest reads as if the part had never come, its keys and objects are gone, and a kill at any step is mended."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support import vaults
from tests.support.crashing import steps_survived
from tests.support.held import Held
from tests.support.vcf_text import vcf
from vault.errors import GenovaultError
from vault.genotypes.catalog import datasets, part_list
from vault.operations import doctor
from vault.operations.corrections import removal
from vault.storage.book_tables import PartRow
from vault.storage.key_tables import WrappedKeyRow

FIRST = vcf("A B", "22 100 A G 0|1 ./.", "22 200 C T 1|1 0|0")
SECOND = vcf("A C", "22 100 A G 0|0 1|1", "22 150 G C 1|1 0|1", "21 70 T C 0|1 0|1")


def loaded(tmp_path, *files) -> Held:
    """A vault with a dataset of one part for each file."""
    tmp_path.mkdir(exist_ok=True)
    held = Held.make(tmp_path)
    for at, file in enumerate(files):
        held.load(held.write(f"{at}.vcf", file.data), append=at > 0, accept=True)
    return held


def readable(held) -> dict[str, object]:
    """What a dataset's people, places and calls read as, whoever they are called by."""
    everyone = vaults.read_all(held.vault)
    sites = everyone.sites
    return {
        "sites": [(sites.contigs[c], int(p), a) for c, p, a in zip(sites.contig, sites.pos, sites.alleles.items(), strict=True)],
        "calls": sorted(everyone.codes.T.tolist()),
    }


def parts_of(held, name="cohort"):
    return part_list.list_parts(held.vault, datasets.by_name(held.vault, name))


def refused(code: str, held, *args, **options) -> None:
    before, size = held.traces(), held.vault.trail.log.size()
    with pytest.raises(GenovaultError) as caught:
        removal.remove(held.vault, *args, **{"reason": "wrong file", **options})
    assert caught.value.code == code
    assert held.traces() == before
    assert [(e["act"], e["reasons"]) for e in held.entries(size)] == [("dataset.remove", {code: 1})]


def test_the_rest_reads_as_if_a_part_had_never_come(tmp_path):
    held, alone = loaded(tmp_path / "both", FIRST, SECOND), loaded(tmp_path / "one", FIRST)
    _, second = parts_of(held)
    gone = removal.remove(held.vault, "cohort", part=second.part[:6], reason="the laboratory mixed up two plates")
    assert (gone.parts, gone.whole, gone.people, gone.bare) == ((second.part,), False, 2, 1)
    assert readable(held) == readable(alone)
    assert [p.sites for p in parts_of(held)] == [2]
    alone_names = [name for name, _ in alone.vault.objects.list()]
    assert len(list(held.vault.objects.list())) == len(alone_names)
    assert doctor.examine(held.vault).ok
    held.load(held.write("again.vcf", SECOND.data), append=True, accept=True)
    assert len(parts_of(held)) == 2
    assert held.verified().ok


def test_keys_objects_and_rows_of_a_part_are_gone(tmp_path):
    held = loaded(tmp_path, FIRST, SECOND)
    with held.vault.books.read() as tx:
        ids = [row.part_id for row in tx.query(PartRow).order_by(PartRow.ordinal)]
    removal.remove(held.vault, "cohort", part=parts_of(held)[1].part, reason="x")
    assert not list(held.vault.objects.list(ids[1].hex()))
    assert list(held.vault.objects.list(ids[0].hex()))
    with held.vault._key_database.read() as tx:
        owners = {row.owner for row in tx.query(WrappedKeyRow)}
    assert ids[0] in owners
    assert ids[1] not in owners


def test_the_log_says_who_why_and_whose(tmp_path):
    held = loaded(tmp_path, FIRST, SECOND)
    size = held.vault.trail.log.size()
    removal.remove(held.vault, "cohort", part=parts_of(held)[0].part, reason="  the wrong plate ")
    intent, done = held.entries(size)
    assert (intent["act"], intent["outcome"], intent["actor"]["id"]) == ("dataset.remove", "intent", "ann")
    assert (done["act"], done["outcome"], done["refers"]) == ("dataset.remove", "done", intent["id"])
    assert done["counts"]["parts"] == 1
    detail = held.vault.trail.detail(size)
    assert detail["reason"] == "the wrong plate"
    assert held.verified().open_intents == ()


def test_a_whole_dataset_in_use_wants_accepting(tmp_path):
    held = loaded(tmp_path, FIRST)
    held.everyone_consents()
    held.project("demo")
    vaults.panel(held.vault)
    refused("dataset_in_use", held, "cohort")
    refused("dataset_in_use", held, "cohort", part=parts_of(held)[0].part)
    gone = removal.remove(held.vault, "cohort", reason="never consented", accept=True)
    assert gone.whole
    assert not datasets.list_all(held.vault)
    assert not list(held.vault.objects.list())
    with pytest.raises(GenovaultError, match="no dataset"):
        datasets.by_name(held.vault, "cohort")
    assert doctor.examine(held.vault).ok


def test_a_removed_dataset_is_imported_again_under_its_name(tmp_path):
    held = loaded(tmp_path, FIRST)
    removal.remove(held.vault, "cohort", reason="wrong reference")
    report = held.load(held.write("b.vcf", SECOND.data), assembly="GRCh37")
    assert (report.matched, report.new) == (1, 1)  # the same sample names are the same people's
    assert datasets.by_name(held.vault, "cohort").assembly == "GRCh37"
    vaults.panel(held.vault, loci=b"22\t99\t100\n")
    removal.remove(held.vault, "cohort", reason="wrong again", accept=True)
    with pytest.raises(GenovaultError) as caught:  # its panel is on the other assembly
        held.load(held.folder / "b.vcf")
    assert caught.value.code == "assembly_differs"
    held.load(held.folder / "b.vcf", assembly="GRCh37")
    assert np.array_equal([p.sites for p in parts_of(held)], [3])


def test_what_is_refused_changes_nothing(tmp_path):
    held = loaded(tmp_path, FIRST, SECOND)
    refused("dataset_unknown", held, "other")
    refused("part_unknown", held, "cohort", part="0000000000")
    refused("part_unknown", held, "cohort", part="")
    refused("reason_missing", held, "cohort", reason=" \t")
    refused("reason_too_long", held, "cohort", reason="x" * 2_001)


def removed(folder: str) -> None:
    with vaults.opened(Path(folder)) as s:
        vaults.panel(s, "second")
        removal.remove(s, "cohort", reason="x", accept=True)


@pytest.mark.parametrize("every", [7, pytest.param(3, marks=pytest.mark.long)])
def test_a_kill_at_any_step_leaves_it_all_or_gone(tmp_path, every):
    ends = set()

    def settled(folder) -> None:
        with vaults.opened(folder) as s:
            held = bool(datasets.list_all(s))
            ends.add(held)
            assert bool(list(s.objects.list())) == held
            report = doctor.examine(s)
            assert not [f for f in report.findings if f.severity is not doctor.Severity.NOTE], report.findings
            assert vaults.verified(s).open_intents == ()
            if held:
                assert vaults.read_all(s).codes.shape == (12, 12)

    assert steps_survived(vaults.template(whole=False), tmp_path, removed, settled, every=every) > 5
    assert False in ends
    assert every > 2 or True in ends
