"""Whatever opens genotypes inside the vault: the log has named as many people before, by an intent or by what decided it."""

from __future__ import annotations

import pytest

from tests.support.earlier_parts import shared_tables
from tests.support.held import Held
from tests.support.vcf_text import vcf
from tests.vault.operations.erasure.test_counts import uncounted
from vault.genotypes.catalog import datasets, panel_builder
from vault.genotypes.import_plan import ImportOptions
from vault.genotypes.loci import parse_loci
from vault.genotypes.store import part_reader
from vault.operations import dataset_upgrade
from vault.operations.compaction import process as compaction
from vault.operations.corrections import merging, moving, recounting, replacement, sample_checks, verification
from vault.operations.erasure import process as erasure

FILE = vcf("A B C D", "22 100 A G 0/1 0|0 1/1 0/0", "22 200 C T 1|1 0/0 0/0 0/0", "22 300 G C,T 1/2 0/1 0/0 0/0")
SOME = vcf("A B", "22 150 A G 0/1 0/0", "22 200 C T 1|1 0/0")
LOCI = parse_loci(b"contig\tpos\tref\talt\n22\t100\tA\tG\n", name="loci")


def replaced(held: Held) -> None:
    path = held.write("new.vcf", SOME.data)
    options = ImportOptions(accept=True)
    replacement.import_instead(held.vault, [path], name="cohort", assembly="GRCh38", options=options, reason="x")


def erased_without_counts(held: Held) -> None:
    uncounted(held.vault)
    erasure.erase(held.vault, "sample:A")


def built(held: Held) -> None:
    panel_builder.create(held.vault, datasets.by_name(held.vault, "cohort"), "p", LOCI)


ACTS = {
    "import": lambda held: held.load(held.write("b.vcf", SOME.data), append=True),
    "nothing new": lambda held: held.load(
        held.write("b.vcf", FILE.data.replace(b"#CHROM", b"##again=yes\n#CHROM", 1)), append=True
    ),
    "replace": replaced,
    "move": lambda held: moving.move(held.vault, "cohort", "A", "B", swap=True, reason="x"),
    "merge": lambda held: merging.merge(held.vault, "C", "E", reason="x", accept=True),
    "merge --check": lambda held: merging.check(held.vault, "C", "E"),
    "verify": lambda held: verification.verify(held.vault, "cohort"),
    "check": lambda held: sample_checks.check(held.vault, "cohort"),
    "recount": lambda held: recounting.recount(held.vault, "cohort"),
    "erase": lambda held: erasure.erase(held.vault, "sample:A"),
    "erase, and count anew": erased_without_counts,
    "upgrade": lambda held: dataset_upgrade.upgrade(held.vault, "earlier"),
    "compact": lambda held: compaction.compact(held.vault, "own"),
    "panel": built,
}


@pytest.mark.parametrize("act", ACTS)
def test_people_are_named_before_their_genotypes_are_opened(tmp_path, monkeypatch, act):
    held = Held.make(tmp_path)
    held.load(held.write("a.vcf", FILE.data))
    for name in "EF":
        path = held.write(f"{name}.vcf", vcf(name, "21 10 A G 0/1", "22 200 C T 0/1").data)
        held.load(path, name="own", append=name != "E")
    with shared_tables():
        held.load(held.write("g.vcf", vcf("G", "21 10 A G 0/1").data), name="earlier")
    size, opened, seen = held.vault.trail.log.size(), part_reader.open_blocks, []

    def open_blocks(ref, get, key, wanted, **options):
        named = max((entry["subj"]["n"] for entry in held.entries(size) if "subj" in entry), default=0)
        seen.append((len(wanted), named))
        return opened(ref, get, key, wanted, **options)

    monkeypatch.setattr(part_reader, "open_blocks", open_blocks)
    ACTS[act](held)
    assert seen
    assert [one for one in seen if one[0] > one[1]] == []
    assert held.verified().open_intents == ()
