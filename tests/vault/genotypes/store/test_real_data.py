"""Real and simulated cohorts through reader, part and back: every call as it was read."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.support.outside import extra, shared
from tests.vault.genotypes.chunks import same_escapes, simple_sites
from tests.vault.genotypes.store.test_part_writer import Shelf, access_of, make_places
from vault.genotypes.codec.call_codes import Escapes, join_escapes
from vault.genotypes.codec.packed_calls import CallRows
from vault.genotypes.ingest.chunking import chunks_of
from vault.genotypes.ingest.open_source import open_source
from vault.genotypes.ingest.source import SiteBatch
from vault.genotypes.sites import Sites
from vault.genotypes.store.part_reader import PartReader
from vault.genotypes.store.part_records import Owner
from vault.genotypes.store.part_writer import PartWriter

FILES = [
    "data/1-real/1000G_chr20_shapeit4",
    "data/1-real/1000G_p3_chr22_2504",
    "data/1-real/chrX_ploidy_26",
    "data/1-real/SeqArray_CEU_Exon",
]


def largest_file(relative: str):
    path = shared(relative)
    if path.is_file():
        return path
    found = sorted(p for p in path.rglob("*") if p.name.endswith((".vcf", ".vcf.gz", ".vcf.bgz", ".bcf")))
    if not found:
        pytest.skip(f"no VCF or BCF in {relative}")
    return max(found, key=lambda p: p.stat().st_size)


def written_and_read(batches: list[SiteBatch], n: int):
    shelf, owner, places = Shelf(), Owner(os.urandom(16), os.urandom(16), os.urandom(16)), make_places(n, 4096)
    with PartWriter(owner, places, put=shelf.put, new_table_key=shelf.new_table_key, random=os.urandom) as writer:
        chunks = list(writer.write(chunks_of(batches, n)))
        record = writer.finish()
    with ThreadPoolExecutor(2) as pool:
        reader = PartReader(owner, record, chunks, get_range=shelf.get_range, table_key=shelf.keys.__getitem__, pool=pool)
        return record, reader.read([c.ordinal for c in chunks], None, access_of(places))


@pytest.mark.parametrize("file", FILES)
def test_a_real_file_comes_back_call_by_call(file):
    source = open_source(largest_file(file))
    batches = list(source.batches())
    source.close()
    record, (sites, codes, escapes) = written_and_read(batches, len(source.samples))
    wanted = Sites.concat([b.sites for b in batches])
    edges = np.concatenate([[0], np.cumsum([len(b.sites) for b in batches])]).tolist()
    assert np.array_equal(codes, np.concatenate([b.codes for b in batches]))
    assert same_escapes(escapes, join_escapes([b.escapes for b in batches], edges))
    assert np.array_equal(sites.pos, wanted.pos)
    assert [sites.contigs[i] for i in sites.contig] == [wanted.contigs[i] for i in wanted.contig]
    for column in ("alleles", "ids", "filters", "info"):
        assert getattr(sites, column).items() == getattr(wanted, column).items()
    assert record.n_sites == len(wanted)


def test_a_simulated_cohort_comes_back_and_is_small():
    msprime = extra("msprime")

    n = 300
    trees = msprime.sim_ancestry(n, population_size=10_000, sequence_length=6e5, recombination_rate=1e-8, random_seed=4)
    trees = msprime.sim_mutations(trees, rate=1.25e-8, random_seed=4, model=msprime.BinaryMutationModel())
    matrix = trees.genotype_matrix()
    codes = (133 + 11 * matrix[:, 0::2] + matrix[:, 1::2]).astype(np.uint8)
    record, (_, back, _) = written_and_read([SiteBatch(simple_sites(len(codes)), CallRows.from_codes(codes), Escapes.empty())], n)
    assert np.array_equal(back, codes)
    assert record.total_bytes * 8 / codes.size < 0.4
