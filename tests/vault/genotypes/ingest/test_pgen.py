"""PGEN filesets that plink2 writes, read back and compared with what plink2 itself says is in them."""

from __future__ import annotations

import gzip
import random
import re
import shutil
import subprocess

import numpy as np
import pytest

from tests.support.gt_text import texts_of
from tests.support.outside import extra, shared, tool
from vault.errors import InputError
from vault.genotypes.ingest.open_source import open_source

extra("pgenlib")

SEXES = {"a": "1", "b": "2", "c": "0", "d": "1", "e": "2", "f": "NA"}
CONTIGS = ("1", "2", "X", "Y", "MT")


def plink2(*words):
    done = subprocess.run([tool("plink2"), *map(str, words)], capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def vcf_text(seed, *, sites=40, alts=(1, 1, 1, 2, 3, 9)):
    draw = random.Random(seed)
    names = "\t".join(SEXES)
    lines = ["##fileformat=VCFv4.3", *(f"##contig=<ID={c}>" for c in CONTIGS)]
    lines.append(f"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t{names}")
    for contig in CONTIGS:
        for i in range(sites):
            n = draw.choice(alts)
            listed = ",".join("A" * k + "C" for k in range(1, n + 1)) if draw.random() > 0.05 else "."
            top = n if listed != "." else 0
            phased = draw.random()
            calls = []
            for sex in SEXES.values():
                a, b = draw.randint(0, top), draw.randint(0, top)
                if draw.random() < 0.1:
                    a = b = "."
                if contig == "MT" or (contig in "XY" and sex == "1"):
                    calls.append(f"{a}")
                else:
                    calls.append(f"{a}{'|' if draw.random() < phased else '/'}{b}")
            lines.append(f"{contig}\t{3_000_000 + 10 * i}\trs{i}\tA\t{listed}\t.\tPASS\t.\tGT\t" + "\t".join(calls))
    return "\n".join(lines) + "\n"


@pytest.fixture
def fileset(tmp_path):
    """``make(seed)``: a fileset that plink2 makes of random VCF text; the .pgen's path."""

    def make(seed=1, *options, **shape):
        (tmp_path / "in.vcf").write_text(vcf_text(seed, **shape))
        (tmp_path / "in.psam").write_text("#IID\tSEX\n" + "".join(f"{n}\t{s}\n" for n, s in SEXES.items()))
        out = tmp_path / "set"
        plink2(
            "--vcf", tmp_path / "in.vcf", "--psam", tmp_path / "in.psam", "--make-pgen", *options, "--threads", 1, "--out", out
        )
        return out.with_suffix(".pgen")

    return make


def ours(path):
    """(samples, [(contig, pos, id, "REF,ALT…", filter, GT texts)])."""
    rows = []
    with open_source(path) as source:
        for batch in source.batches():
            columns = [c.items() for c in (batch.sites.ids, batch.sites.alleles, batch.sites.filters)]
            places = zip(batch.sites.contig.tolist(), batch.sites.pos.tolist(), *columns, strict=True)
            for (contig, pos, *texts), calls in zip(places, texts_of(batch.codes, batch.escapes), strict=True):
                rows.append((batch.sites.contigs[contig], pos, *(t.decode() for t in texts), calls))
        return source.samples, rows


def theirs(path, folder):
    """The same from plink2's own export."""
    plink2(
        "--pfile",
        path.with_suffix(""),
        *(["vzs"] if path.with_suffix(".pvar.zst").exists() else []),
        "--export",
        "vcf",
        "--out",
        folder / "peer",
    )
    rows, samples = [], ()
    for line in (folder / "peer.vcf").read_text().splitlines():
        field = line.split("\t")
        if line.startswith("#CHROM"):
            samples = tuple(field[9:])
        elif not line.startswith("#"):
            alleles = field[3] if field[4] == "." else f"{field[3]},{field[4]}"
            rows.append((field[0], int(field[1]), field[2], alleles, field[6], field[9:]))
    return samples, rows


def plain(gt):
    """Without a mark that says nothing: between equal alleles, or beside a missing one; the order of unphased alleles likewise."""
    gt = re.sub(r"^(\d+|\.)\|\1$", r"\1/\1", gt)
    return "/".join(sorted(gt.split("/"), key=lambda a: -1 if a == "." else int(a))) if "|" not in gt else gt


def without_phase(rows):
    return [(*row[:-1], [plain(gt.replace("|", "/")) for gt in row[-1]]) for row in rows]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("options", [(), ("vzs",)])
def test_every_genotype_is_the_one_that_plink2_exports(fileset, tmp_path, seed, options):
    """But for phase: plink2 2.00a3.5 exports unphased calls of several ALTs with "|" now and then; the next test is about phase."""
    path = fileset(seed, *options)
    samples, rows = ours(path)
    peer_samples, peer_rows = theirs(path, tmp_path)
    assert samples == peer_samples
    assert without_phase(rows) == without_phase(peer_rows)
    assert len(rows) == 200


@pytest.mark.parametrize("alts", [(1, 2, 3), (9, 12, 30)])
def test_every_genotype_is_that_of_the_vcf_that_the_fileset_was_made_of(fileset, tmp_path, alts):
    _, rows = ours(fileset(12, alts=alts))
    lines = [line.split("\t") for line in (tmp_path / "in.vcf").read_text().splitlines()]
    source = [[plain(gt) for gt in line[9:]] for line in lines if line[0] in {"1", "2", "X"}]
    assert [[plain(gt) for gt in row[-1]] for row in rows if row[0] in {"1", "2", "X"}] == source


def test_homozygous_calls_are_marked_as_the_heterozygous_ones_of_their_variant(fileset):
    _, rows = ours(fileset(3, sites=60, alts=(1, 2)))
    for contig, *_, calls in rows:
        if contig in "12":
            marks = {gt[1] for gt in calls if gt[0] != gt[2]}
            idle = {gt[1] for gt in calls if gt[0] == gt[2] != "."}
            assert len(marks) != 1 or idle <= marks


def test_a_gzipped_pvar_and_one_with_other_columns_first(fileset):
    path = fileset(5)
    expected = ours(path)
    pvar = path.with_suffix(".pvar")
    text = pvar.read_text()
    path.with_suffix(".pvar.gz").write_bytes(gzip.compress(text.encode()))
    pvar.unlink()
    assert ours(path) == expected
    path.with_suffix(".pvar.gz").unlink()
    lines = [line.split("\t") for line in text.splitlines() if not line.startswith("##")]
    order = [0, 1, 4, 2, 3, *range(5, len(lines[0]))]
    pvar.write_text("\r\n".join("\t".join(row[i] for i in order) for row in lines))
    assert ours(path) == expected


@pytest.mark.parametrize("batch", [1, 40, 1 << 20])
def test_batches_do_not_show(fileset, monkeypatch, batch):
    path = fileset(6)
    expected = ours(path)
    monkeypatch.setattr("vault.genotypes.ingest.pgen._BATCH_CALLS", batch)
    assert ours(path) == expected


def refusal(path):
    with pytest.raises(InputError) as caught:
        ours(path)
    return caught.value


def test_plink1_files_and_provisional_references_are_refused(fileset, tmp_path):
    path = fileset(7, alts=(1,), sites=5)
    plink2("--pfile", path.with_suffix(""), "--make-bed", "--out", tmp_path / "bed")
    plink2("--bfile", tmp_path / "bed", "--make-pgen", "--out", tmp_path / "from_bed")
    assert refusal(tmp_path / "bed.bed").code == "plink1_orientation"
    found = refusal(tmp_path / "from_bed.pgen")
    assert found.code == "provisional_ref"
    assert "--ref-from-fa" in found.hint


def edit(path, suffix, change):
    file = path.with_suffix(suffix)
    file.write_bytes(change(file.read_bytes()))


def body(change):
    """Change the first line behind the #CHROM line."""

    def apply(data):
        lines = data.split(b"\n")
        at = next(i for i, line in enumerate(lines) if line.startswith(b"#CHROM")) + 1
        lines[at] = change(lines[at])
        return b"\n".join(lines)

    return apply


BROKEN = [
    (".pvar", lambda d: d[: d.rindex(b"\n", 0, -1) + 1], "bad_pgen"),
    (".pvar", body(lambda line: line + b"\tx"), "column_count"),
    (".pvar", body(lambda line: line.replace(b"\tA\t", b"\tA?\t")), "bad_ref"),
    (".pvar", body(lambda line: line.replace(b"300", b"x00")), "bad_position"),
    (".pvar", body(lambda line: line.replace(b"rs", b"\0s")), "nul_byte"),
    (".pvar", body(lambda line: line.replace(b"rs", b"\xffs")), "bad_utf8"),
    (".pvar", lambda d: d.replace(b"#CHROM", b"CHROM", 1), "bad_header"),
    (".pvar", lambda d: d.replace(b"\tALT", b"\tREF", 1), "bad_header"),
    (".pvar", lambda _: b"", "bad_header"),
    (".psam", lambda d: d + b"g\t1\n", "bad_pgen"),
    (".psam", lambda d: d.replace(b"b\t2", b"a\t2"), "duplicate_sample"),
    (".psam", lambda d: d.replace(b"b\t2", b"b"), "column_count"),
    (".psam", lambda d: d.replace(b"b\t2", b"\xff\t2"), "bad_utf8"),
    (".psam", lambda d: d.replace(b"b\t2", b"b\0\t2"), "bad_header"),
    (".psam", lambda d: d.replace(b"#IID", b"IID"), "bad_header"),
    (".pgen", lambda d: d[:10], "file_truncated"),
    (".pgen", lambda d: d[: len(d) // 2], "bad_pgen"),
    (".pgen", lambda d: d[:2] + b"\x20" + d[3:], "bad_pgen"),
    (".pgen", lambda d: d[:2] + b"\x01" + d[3:], "plink1_orientation"),
    (".pgen", lambda d: d[:11] + bytes([d[11] & 0x3F | 0xC0]) + d[12:], "provisional_ref"),
]


@pytest.mark.parametrize(("suffix", "change", "code"), BROKEN)
def test_broken_filesets_are_refused_by_file_and_line(fileset, suffix, change, code):
    path = fileset(8, sites=5)
    edit(path, suffix, change)
    found = refusal(path)
    assert found.code == code
    assert ("FID_IID" in found.hint) == (code == "duplicate_sample")
    assert found.message.startswith(f"set{suffix}") or (suffix, code) in {(".pvar", "bad_pgen"), (".psam", "bad_pgen")}
    if suffix != ".pgen" and code != "bad_pgen":
        assert re.search(r"line \d+", found.message)


def test_marks_of_provisional_references_in_the_pvar_count_where_the_pgen_leaves_them_to_it(fileset):
    path = fileset(9, sites=3)
    edit(path, ".pgen", lambda d: d[:11] + bytes([d[11] & 0x3F]) + d[12:])
    assert len(ours(path)[1]) == 15
    edit(path, ".pvar", lambda d: d.replace(b"\tPASS\n", b"\tPASS\tPR\n").replace(b"\tFILTER\n", b"\tFILTER\tINFO\n"))
    assert refusal(path).code == "provisional_ref"


@pytest.mark.parametrize("suffix", [".pvar", ".psam"])
def test_a_missing_companion_is_named(fileset, suffix):
    path = fileset(10, sites=3)
    path.with_suffix(suffix).unlink()
    found = refusal(path)
    assert (found.code, found.message) == ("no_such_file", f"set{suffix}: no such file")


def test_damage_never_gives_other_genotypes_without_a_word(fileset, tmp_path):
    """Bytes of the .pgen changed at random: refused, or a fileset that plink2 reads in the same way."""
    path = fileset(11, sites=30)
    data, draw = path.read_bytes(), random.Random(4)
    copy = tmp_path / "x" / "set.pgen"
    copy.parent.mkdir()
    for suffix in (".pvar", ".psam"):
        shutil.copy(path.with_suffix(suffix), copy.with_suffix(suffix))
    for _ in range(15):
        broken = bytearray(data)
        broken[draw.randrange(12, len(broken))] ^= 1 << draw.randrange(8)
        copy.write_bytes(broken)
        try:
            mine = ours(copy)
        except InputError as error:
            assert error.code in {"bad_pgen", "provisional_ref"}  # most are read, as PGEN has no checksum
            continue
        done = subprocess.run(
            [tool("plink2"), "--pfile", copy.with_suffix(""), "--export", "vcf", "--out", tmp_path / "peer"],
            capture_output=True,
            check=False,
        )
        if done.returncode == 0:
            assert without_phase(mine[1]) == without_phase(theirs(copy, tmp_path)[1])


def test_a_real_fileset(tmp_path):
    source = shared("data/1-real/1000G_p3_chr22_2504/1kg-phaseIII-v5a.20130502.genotypes.chr22-16-16.5mb.vcf.gz")
    plink2("--vcf", source, "--make-pgen", "--threads", 1, "--out", tmp_path / "set")
    with open_source(source) as vcf, open_source(tmp_path / "set.pgen") as pgen:
        assert vcf.samples == pgen.samples
        want, found = ([batch.codes for batch in s.batches()] for s in (vcf, pgen))
    a, b = np.concatenate(want), np.concatenate(found)
    assert a.shape == b.shape
    assert (a != b).mean() < 1e-3  # half-calls and the like, if any
