"""Pairs of relatives, against the formula written out, the other estimator of the vault, and plink2 on people of HapMap 3."""

from __future__ import annotations

import gzip
import subprocess
from itertools import pairwise

import numpy as np
import pytest

from policies.disclosure import kinship_degrees
from policies.disclosure.kinship_degrees import CUTS
from tests.support.outside import shared, tool
from vault.genotypes.catalog.pairwise_kinship import kinship
from vault.risk import kin_pairs


def by_degree(phis):
    """Pairs of each degree among kinships."""
    edges = [np.inf, *CUTS.values()]
    return tuple(int(((phis <= above) & (phis > least)).sum()) for above, least in pairwise(edges))


def family(random, m):
    """int8[m, 8]: parents, two children, a grandchild, one child once more, two strangers; some calls missing."""
    share = random.uniform(0.05, 0.5, m)
    haplotypes = (random.random((m, 5, 2)) < share[:, None, None]).astype(np.int8)  # of both parents, the in-law, and strangers

    def child(one, other):
        pick = random.integers(0, 2, (2, m))
        return np.stack([one[np.arange(m), pick[0]], other[np.arange(m), pick[1]]], axis=1)

    first, second = child(haplotypes[:, 0], haplotypes[:, 1]), child(haplotypes[:, 0], haplotypes[:, 1])
    people = [
        haplotypes[:, 0],
        haplotypes[:, 1],
        first,
        second,
        child(first, haplotypes[:, 2]),
        first,
        haplotypes[:, 3],
        haplotypes[:, 4],
    ]
    dosage = np.stack(people).sum(axis=2).T.astype(np.int8)
    dosage[random.random(dosage.shape) < 0.02] = -1
    return dosage


def test_a_family_is_told_by_its_degrees():
    found = kin_pairs.count(family(np.random.default_rng(1), 4_000))
    # 5 is 2 again; parents with two children and the copy, children with each other and the grandchild; grandparents and an aunt twice
    assert found.pairs[:3] == (1, 6 + 2 + 2, 3)
    assert found.people == 6


@pytest.mark.parametrize(("n", "m"), [(2, 1), (3, 65), (37, 640), (64, 2_011)])
def test_every_pair_is_counted_once_whatever_the_size(n, m):
    random = np.random.default_rng(n)
    dosage = random.integers(-1, 3, (m, n)).astype(np.int8)
    dosage[:, 1::3] = dosage[:, :1]
    phis = np.concatenate([phi[at, : who.start + at] for who, phi, _ in kinship(dosage) for at in range(len(phi))])
    assert kin_pairs.count(dosage).pairs == by_degree(phis)


def test_nobody_called_is_nobodys_relative():
    assert kin_pairs.count(np.full((100, 5), -1, np.int8)) == kin_pairs.KinPairs((0, 0, 0, 0), 0)


def test_what_is_needed_is_said():
    assert kinship_degrees.why_not(people=5_000, sites=2_000, chromosomes=5) is None
    for lacking in ({"people": 1}, {"people": 5_001}, {"sites": 1_999}, {"chromosomes": 4}):
        assert kinship_degrees.why_not(**{"people": 10, "sites": 2_000, "chromosomes": 5} | lacking)


def test_plink2_finds_the_same_pairs(tmp_path):
    """957 people of HapMap 3, with parents and children among them."""
    for kind in ("bed", "bim", "fam"):
        data = gzip.decompress(shared(f"data/1-real/hapmap3_957_plink/data.{kind}.gz").read_bytes())
        (tmp_path / f"d.{kind}").write_bytes(data)
    common = ("--autosome", "--maf", "0.05", "--geno", "0.1")
    table = ("--make-king-table", "--king-table-filter", str(CUTS["third"]))
    subprocess.run(
        [tool("plink2"), "--bfile", tmp_path / "d", *common, *table, "--make-bed", "--out", tmp_path / "k"],
        check=True,
        capture_output=True,
    )
    head, *rows = (tmp_path / "k.kin0").read_text().splitlines()
    theirs = np.array([float(row.split("\t")[head.split("\t").index("KINSHIP")]) for row in rows])
    found = kin_pairs.count(dosage_of_bed(tmp_path / "k"))
    assert found.pairs == by_degree(theirs)
    assert found.pairs[1] > 20


def dosage_of_bed(path):
    """int8[m, n] of a PLINK 1 fileset, whose calls are two bits each: 0 and 3 the homozygous ones, 2 heterozygous, 1 none."""
    n = len(path.with_suffix(".fam").read_text().splitlines())
    packed = np.frombuffer(path.with_suffix(".bed").read_bytes(), np.uint8, offset=3).reshape(-1, -(-n // 4))
    pairs = (packed[:, :, None] >> np.array([0, 2, 4, 6], np.uint8)) & 3
    return np.array([2, -1, 1, 0], np.int8)[pairs.reshape(len(packed), -1)[:, :n]]
