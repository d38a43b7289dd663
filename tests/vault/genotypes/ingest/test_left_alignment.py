"""Indels are left-aligned and trimmed as ``bcftools norm -f`` does it, and a REF that the reference sequence has not is refused."""

from __future__ import annotations

import gzip
import random
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.support.outside import extra, tool
from tests.support.vcf_text import vcf
from vault.errors import InputError
from vault.genotypes.ingest import vcf as vcf_reading
from vault.genotypes.ingest.assay_rule import AssayRule
from vault.genotypes.ingest.left_alignment import ends_alike, left_aligned
from vault.genotypes.ingest.open_source import open_source

SAMPLES = 3


@pytest.fixture(autouse=True)
def _reads_fasta() -> None:
    extra("pysam")


def fasta(folder: Path, **sequences: str) -> Path:
    """A FASTA of short lines and its index, made by hand as samtools faidx makes it."""
    path, index, offset = folder / "ref.fa", [], 0
    text = ""
    for name, bases in sequences.items():
        text += f">{name} of a test\n"
        offset = len(text)
        lines = [bases[at : at + 60] for at in range(0, len(bases), 60)]
        text += "\n".join(lines) + "\n"
        index.append(f"{name}\t{len(bases)}\t{offset}\t60\t61\n")
    path.write_text(text)
    path.with_name("ref.fa.fai").write_text("".join(index))
    return path


def repetitive(rng: random.Random, size: int) -> str:
    """Bases in which indels can be moved far: short units, repeated, here and there in lower case."""
    text = ""
    while len(text) < size:
        unit = "".join(rng.choice("ACGT") for _ in range(rng.randint(1, 4)))
        text += unit * rng.choice([1, 1, 2, 3, 8, 40])
    masked = [base.lower() if rng.random() < 0.1 else base for base in text[:size]]
    return "".join(masked)


def drawn(rng: random.Random, contig: str, bases: str, count: int) -> list[str]:
    """Records of that contig, indels for the most part, with padding that could be less."""
    rows = []
    for pos in sorted(rng.sample(range(1, len(bases) - 60), count)):
        size = rng.choice([1, 1, 2, 3, 5, 12])
        ref = bases[pos - 1 : pos - 1 + size].upper()
        alts = {changed(rng, ref) for _ in range(rng.choice([1, 1, 1, 2, 3]))} - {ref}
        if rng.random() < 0.1:
            alts |= {"*"}
        if alts:
            calls = " ".join(rng.choice(["0/0", "0/1", "1|1", "./.", f"{len(alts)}/0", "0/1/1"]) for _ in range(SAMPLES))
            rows.append(f"{contig} {pos} {ref} {','.join(sorted(alts, key=lambda _: rng.random()))} {calls}")
    return rows


def changed(rng: random.Random, ref: str) -> str:
    at = rng.randint(0, len(ref) - 1)
    kind = rng.choice(["insert", "insert", "delete", "replace", "pad"])
    if kind == "insert":
        more = (
            (ref[at] * rng.randint(1, 3)) if rng.random() < 0.5 else "".join(rng.choice("ACGT") for _ in range(rng.randint(1, 4)))
        )
        return ref[: at + 1] + more + ref[at + 1 :]
    if kind == "delete" and len(ref) > 1:
        return ref[:1] + ref[rng.randint(2, len(ref)) :]
    if kind == "pad":
        return ref + ref[-1]
    return ref[:at] + rng.choice("ACGT") + ref[at + 1 :]


def read(path: Path, reference: Path | None = None) -> list[tuple]:
    """(contig, position, alleles, codes, alleles of the calls that no code holds) in the order in which they come."""
    found = []
    with open_source(path, assembly="test", fasta=reference) as source:
        for batch in source.batches():
            sites, escapes = batch.sites, batch.escapes
            others: dict[int, list] = {}
            for at, (site, sample) in enumerate(zip(escapes.site.tolist(), escapes.sample.tolist(), strict=True)):
                others.setdefault(site, []).append(
                    (sample, *escapes.alleles[escapes.offset[at] : escapes.offset[at + 1]].tolist())
                )
            texts, codes = sites.alleles.items(), batch.codes
            found += [
                (
                    sites.contigs[int(sites.contig[at])],
                    int(sites.pos[at]),
                    texts[at].upper(),
                    bytes(codes[at]),
                    tuple(others.get(at, ())),
                )
                for at in range(len(sites))
            ]
    return found


def normal(path: Path, reference: Path) -> list[tuple]:
    made = subprocess.run([tool("bcftools"), "norm", "-f", reference, path], capture_output=True, check=True)
    out = path.with_name("norm.vcf")
    out.write_bytes(made.stdout)
    return read(out)


@pytest.mark.parametrize("seed", [*range(6), *(pytest.param(seed, marks=pytest.mark.long) for seed in range(6, 200))])
def test_it_is_what_bcftools_norm_makes(tmp_path, monkeypatch, seed):
    if seed % 2:
        monkeypatch.setattr(vcf_reading, "BATCH_CODES", 30)  # ten records at a time
    rng = random.Random(seed)
    contigs = {name: repetitive(rng, rng.choice([300, 3_000, 9_000])) for name in ("1", "2")}
    rows = [row for name, bases in contigs.items() for row in drawn(rng, name, bases, 200)]
    file = tmp_path / "a.vcf"
    file.write_bytes(vcf(" ".join("ABC"), *rows).data)
    reference = fasta(tmp_path, **contigs)
    found = read(file, reference)
    for name in contigs:
        places = [pos for contig, pos, *_ in found if contig == name]
        assert places == sorted(places)
    assert sorted(found) == sorted(normal(file, reference))
    assert (
        sum(row.split()[1:3] != [str(p), a.decode().split(",")[0]] for row, (_, p, a, *_) in zip(rows, found, strict=True)) > 20
    )


def test_alleles_that_end_alike_are_told_without_a_reference():
    assert ends_alike([b"CA", b"CAA"])
    assert not ends_alike([b"CA", b"C"])
    assert ends_alike([b"ACA", b"A"])
    assert not ends_alike([b"A", b"AT", b"ATT"])
    bases = "GGGCACACAT"
    assert left_aligned(6, [b"CAC", b"C"], lambda a, b: bases[a - 1 : b].encode()) == (3, [b"GCA", b"G"])
    assert left_aligned(1, [b"G", b"GG"], lambda a, b: bases[a - 1 : b].encode())[0] == 1


def test_a_ref_of_another_sequence_is_refused(tmp_path):
    reference = fasta(tmp_path, chr1="ACGTNACGTA" * 30)
    good = tmp_path / "good.vcf"
    good.write_bytes(vcf("A", "1 1 A G 0/1", "1 3 GTN G 0/1", "1 5 A G 0/1", "1 12 cg T 0/1").data)
    assert [pos for _, pos, *_ in read(good, reference)] == [1, 3, 5, 12]
    for row, code in (
        ("1 2 A G 0/1", "ref_mismatch"),
        ("1 3 GA G 0/1", "ref_mismatch"),
        ("1 300 AC A 0/1", "ref_mismatch"),  # behind the end
        ("2 3 G A 0/1", "fasta_lacks_contig"),
    ):
        bad = tmp_path / "bad.vcf"
        bad.write_bytes(vcf("A", "1 1 A G 0/1", row).data)
        with pytest.raises(InputError) as caught:
            read(bad, reference)
        assert caught.value.code == code
    assert "1 of the first 2 records" in refusal(tmp_path, reference, "1 2 A G 0/1")


def refusal(folder: Path, reference: Path, row: str) -> str:
    bad = folder / "bad.vcf"
    bad.write_bytes(vcf("A", "1 1 A G 0/1", row).data)
    with pytest.raises(InputError) as caught:
        read(bad, reference)
    return caught.value.message


def test_a_fasta_without_an_index_or_that_is_none_is_refused(tmp_path):
    file = tmp_path / "a.vcf"
    file.write_bytes(vcf("A", "1 1 A G 0/1").data)
    with pytest.raises(InputError) as caught:
        open_source(file, fasta=tmp_path / "none.fa")
    assert caught.value.code == "no_such_file"
    (tmp_path / "x.fa").write_text(">1\nACGT\n")
    with pytest.raises(InputError) as caught:
        open_source(file, fasta=tmp_path / "x.fa")
    assert caught.value.code == "fasta_not_indexed"
    packed = tmp_path / "y.fa.gz"
    packed.write_bytes(gzip.compress(b">1\nACGT\n"))
    packed.with_name("y.fa.gz.fai").write_text("1\t4\t3\t60\t61\n")
    with pytest.raises(InputError) as caught:
        open_source(file, fasta=packed)
    assert caught.value.code == "bad_fasta"


def test_of_a_gvcf_the_track_ends_where_the_indel_is_now(tmp_path):
    bases = "GGGGG" + "CA" * 20 + "T" * 55
    reference = fasta(tmp_path, **{"1": bases})
    head = "##fileformat=VCFv4.2\n##contig=<ID=1>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tA\n"
    rows = [
        "1\t1\t.\tG\t<NON_REF>\t.\t.\tEND=42\tGT:DP:GQ\t0/0:30:60",
        f"1\t43\t.\t{bases[42:45]}\t{bases[42]},<NON_REF>\t.\t.\t.\tGT:DP:GQ\t0/1:30:60",
        "1\t46\t.\tT\t<NON_REF>\t.\t.\tEND=100\tGT:DP:GQ\t0/0:30:60",
    ]
    file = tmp_path / "a.g.vcf"
    file.write_text(head + "\n".join(rows) + "\n")
    with open_source(file, fasta=reference) as source:
        found = source.personal(AssayRule(), lambda *_: None)
    sites = found.calls["1"].sites
    assert (sites.pos.tolist(), sites.alleles.items()) == ([5], [b"GCA,G"])
    track = found.tracks["1"]
    at = np.arange(1, 101)
    covered = track.covered(at, at, at_least=1) > 0
    assert np.flatnonzero(~covered).tolist() == [4, 5, 6, 42, 43, 44]
