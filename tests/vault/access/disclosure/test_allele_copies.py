"""Copies of alleles in people, against the calls as they were written."""

import pytest

from policies.disclosure import alleles
from tests.support.held import Held
from vault.access.disclosure import allele_copies
from vault.crypto.key_wrapping import KeyPurpose
from vault.genotypes.catalog import dataset_reader, datasets
from vault.genotypes.store.selections import Selection
from vault.subjects import references

PEOPLE = ("A", "B", "C", "D", "E")
TEXT = (
    "##fileformat=VCFv4.2\n##contig=<ID=chr22>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tA\tB\tC\tD\tE\n"
    "chr22\t100\t.\tA\tG\t.\tPASS\t.\tGT\t0/1\t1|1\t0/0\t./.\t0/.\n"
    "chr22\t200\t.\tA\tG,T\t.\tPASS\t.\tGT\t1/2\t2/2\t0/1\t1\t0/2\n"
    "chr22\t300\t.\tCAT\tCGT\t.\tPASS\t.\tGT\t0/1\t0/0\t./.\t0/0\t1/1\n"
    "chr22\t301\t.\tA\tG\t.\tPASS\t.\tGT\t0/0\t0/0\t0/1\t./.\t0/1\n"
)


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    held = Held.make(tmp_path_factory.mktemp("copies"))
    held.load(held.write("in.vcf", TEXT))
    people = [references.resolve(held.vault, name) for name in PEOPLE]
    keys = held.vault.keys.open_many(KeyPurpose.GENOTYPE, people)
    reader = dataset_reader.GenotypeReader(held.vault, datasets.by_name(held.vault, "cohort"), people, keys)
    yield lambda places: reader.read(Selection(regions=tuple(places)))
    held.vault.abandon()


@pytest.mark.parametrize(
    ("text", "copies", "called"),
    [
        ("22:100:A:G", [1, 2, 0, -1, -1], [2, 2, 2, 2, 2]),
        ("22:200:A:G", [1, 0, 1, 1, 0], [2, 2, 2, 1, 2]),
        ("22:200:A:T", [1, 2, 0, 0, 1], [2, 2, 2, 1, 2]),
        ("22:301:A:G", [1, 0, 1, 0, 2], [2, 2, 2, 2, 2]),  # two records tell of it
        ("22:150:A:G", [-1] * 5, [2] * 5),
    ],
)
def test_copies(read, text, copies, called):
    asked = [alleles.parse(text), alleles.parse("22:100:A:T")]
    found = allele_copies.count(asked, read, people=5)
    whole = [at for at in range(5) if copies[at] >= 0]
    known, ploidy = [copies[at] for at in whole], [called[at] for at in whole]
    assert found.copies.tolist() == [copies, [-1] * 5]
    assert [found.called[0][at] for at in whole] == ploidy
    assert found.of(0) == (sum(known), sum(ploidy), sum(one > 0 for one in known), len(whole))
