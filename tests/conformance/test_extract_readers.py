"""Outside programs as readers of an extract: bcftools, tabix, plink2, scikit-allel, readers of Parquet, and the README's own checks with jq, sha256sum and OpenSSL."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.support.golden import run
from tests.support.held import Held
from tests.support.outside import extra, tool
from tests.support.releases import pinned
from tests.support.vcf_text import vcf
from vault.errors import IntegrityError
from vault.extracts.genotype_files import FileChoice
from vault.extracts.verification import verify_release

N = 40
SITES = 3_000


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Held]:
    """A vault with forty people on two contigs, extracted once in each format, and as VCF by contig."""
    rng = np.random.default_rng(11)
    rows = []
    for at in range(SITES):
        contig, pos = ("chr1", 10_000 + 37 * at) if at < SITES // 2 else ("chr2", 100 + 5_000 * at)
        ref, alts = [("A", "G"), ("ACGT", "A"), ("C", "CTT,T"), ("G", "<DEL>")][at % 4] if at % 97 else ("T", "C,G,A")
        high = alts.count(",") + 2
        carried = np.where(rng.random((N, 2)) < rng.beta(0.3, 2), rng.integers(1, high, (N, 2)), 0)
        calls = [f"{a}|{b}" if at % 5 else f"{a}/{b}" for a, b in carried.tolist()]
        calls[at % N] = "./."
        rows.append(f"{contig} {pos} {ref} {alts} {' '.join(calls)}")
    source = vcf(" ".join(f"S{i}" for i in range(N)), *rows, contigs=(("chr1", 0), ("chr2", 0)))
    held = Held.make(tmp_path_factory.mktemp("readers"))
    held.load(held.write("source.vcf", source.data))
    held.everyone_consents()
    held.project("lab")
    held.extract("lab", out="vcf")
    held.extract("lab", out="bcf", file_format="bcf")
    held.extract("lab", out="pgen", file_format="pgen")
    held.extract("lab", out="parquet", file_format="parquet")
    held.extract("lab", out="contigs", choice=FileChoice("vcf", by_contig=True))
    yield held
    held.vault.close()


@pytest.fixture(params=["vcf.gz", "bcf"])
def genotypes(held: Held, request: pytest.FixtureRequest) -> Path:
    return held.folder / request.param.partition(".")[0] / f"genotypes.{request.param}"


def places(text: str) -> list[tuple[str, int, int]]:
    """(contig, first, last) of records: last as REF has it."""
    fields = [line.split("\t") for line in text.splitlines() if not line.startswith("#")]
    return [(f[0], int(f[1]), int(f[1]) + len(f[3]) - 1) for f in fields]


def test_bcftools_reads_it_without_a_warning(genotypes):
    tool("bcftools")
    header = run("bcftools", "view", "-h", genotypes)
    assert len(run("bcftools", "query", "-l", genotypes).split()) == N
    assert len(run("bcftools", "view", "-H", genotypes).splitlines()) > SITES // 2
    assert run("bcftools", "stats", genotypes)
    counted = run("bcftools", "index", "-s", genotypes).splitlines()
    assert sum(int(line.split("\t")[2]) for line in counted) == len(run("bcftools", "view", "-H", genotypes).splitlines())
    allowed = ("fileformat", "vault_view", "contig", "FILTER", "ALT", "INFO", "FORMAT", "bcftools_view")
    assert {line[2:].split("=")[0] for line in header.splitlines() if line.startswith("##")} <= {
        *allowed,
        "bcftools_viewVersion",
        "bcftools_viewCommand",
    }


def test_counts_are_those_that_bcftools_counts(genotypes):
    tool("bcftools")
    fields = r"%CHROM\t%POS\t%INFO/AC\t%INFO/AN\n"
    stated = run("bcftools", "query", "-f", fields, genotypes)
    bare = subprocess.run(["bcftools", "annotate", "-x", "INFO", "-Ou", str(genotypes)], capture_output=True, check=True).stdout
    counted = subprocess.run(["bcftools", "view", "-c", "0:nref", "-Ou"], input=bare, capture_output=True, check=True).stdout
    again = subprocess.run(["bcftools", "query", "-f", fields], input=counted, capture_output=True, check=True).stdout.decode()
    assert stated == again


@pytest.mark.parametrize("region", ["chr1:10000-10000", "chr1:20000-30000", "chr2:7000000-8000000", "chr2", "chr1:1-9999"])
def test_regions_through_the_index_equal_a_scan(genotypes, region):
    tool("bcftools")
    contig, _, span = region.partition(":")
    first, last = map(int, span.split("-")) if span else (1, 2**31 - 2)
    whole = run("bcftools", "view", "-H", genotypes).splitlines()
    scanned = [line for line in whole for c, a, b in places(line) if c == contig and a <= last and b >= first]
    assert run("bcftools", "view", "-H", "-r", region, genotypes).splitlines() == scanned


def test_tabix_finds_what_a_scan_finds(held):
    path = held.folder / "vcf" / "genotypes.vcf.gz"
    tool("tabix")
    whole = run("bcftools", "view", "-H", path).splitlines()
    found = run("tabix", path, "chr1:20000-30000").splitlines()
    assert found == [line for line in whole for c, a, b in places(line) if c == "chr1" and a <= 30_000 and b >= 20_000]
    assert run("tabix", "-l", path).split() == ["chr1", "chr2"]


def test_both_formats_say_the_same(held):
    tool("bcftools")
    fields = r"%CHROM\t%POS\t%ID\t%REF\t%ALT\t%FILTER\t%INFO\n"
    one, two = (held.folder / kind / f"genotypes.{kind}" for kind in ("vcf", "bcf"))
    one = one.with_suffix(".vcf.gz")
    assert run("bcftools", "query", "-f", fields, one) == run("bcftools", "query", "-f", fields, two)
    by_name = [
        dict(
            zip(
                run("bcftools", "query", "-l", path).split(),
                zip(
                    *(line.split("\t") for line in run("bcftools", "query", "-f", r"[%GT\t]\n", path).splitlines()), strict=False
                ),
                strict=False,
            )
        )
        for path in (one, two)
    ]
    assert by_name[0] == by_name[1]


def test_plink2_reads_the_same_calls(held, tmp_path):
    plink2 = tool("plink2")
    path = held.folder / "vcf" / "genotypes.vcf.gz"
    flags = [
        "--double-id",
        "--allow-extra-chr",
        "--max-alleles",
        "2",
        "--snps-only",
        "--export",
        "vcf",
        "--out",
        str(tmp_path / "p"),
    ]
    done = subprocess.run([plink2, "--vcf", str(path), *flags], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Warning" not in done.stderr, done.stderr

    def calls(file: Path, *more: str) -> list[str]:
        text = run("bcftools", "query", *more, "-f", r"%CHROM %POS[\t%GT]\n", file)
        # plink2 keeps the phase of heterozygous calls alone, writes 1/0 as 0/1, and names contigs its own way
        plain = re.sub(r"([01.])\|\1", r"\1/\1", text).replace("1/0", "0/1")
        return [line.removeprefix("chr") for line in plain.splitlines()]

    ours = calls(path, "-i", 'TYPE="snp" && N_ALT=1 && ALT!~"<"')
    assert len(ours) > 100
    assert calls(tmp_path / "p.vcf") == ours


def by_person(path: Path) -> dict[str, list[str]]:
    """The calls of each pseudonym, site after site, as bcftools tells them."""
    names = run("bcftools", "query", "-l", path).split()
    rows = [line.split() for line in run("bcftools", "query", "-f", r"[%GT\t]\n", path).splitlines()]
    return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))


def test_plink2_exports_from_pgen_what_the_vcf_holds(held, tmp_path):
    plink2, folder, out = tool("plink2"), held.folder / "pgen", tmp_path / "p"
    for what in (["--validate"], ["--export", "vcf", "bgz", "--output-chr", "chrM"]):
        command = [plink2, "--pfile", str(folder / "genotypes"), *what, "--out", str(out)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Warning" not in done.stdout + done.stderr, done.stderr
    vcf_of_pgen, ours = out.with_suffix(".vcf.gz"), held.folder / "vcf" / "genotypes.vcf.gz"
    fields = r"%CHROM\t%POS\t%ID\t%REF\t%ALT\t%FILTER\t%INFO\n"
    assert run("bcftools", "query", "-f", fields, vcf_of_pgen) == run("bcftools", "query", "-f", fields, ours)
    found, wanted = by_person(vcf_of_pgen), by_person(ours)
    several = ["," in alts for alts in run("bcftools", "query", "-f", r"%ALT\n", ours).split()]
    assert found.keys() == wanted.keys()
    for name, calls in wanted.items():
        # plink2 a3.5 exports unphased calls of several ALTs as phased, also from what it made itself: there pgenlib judges phase
        assert [held_by_pgen(call, unphased=many) for call, many in zip(found[name], several, strict=True)] == [
            held_by_pgen(call, unphased=many) for call, many in zip(calls, several, strict=True)
        ]
    assert any("|" in call for calls in found.values() for call in calls)


def held_by_pgen(call: str, *, unphased: bool = False) -> str:
    """A diploid call with the phase of heterozygous ones alone, which is what PGEN has room for."""
    a, b = re.split(r"[/|]", call)
    return call if "|" in call and a != b and not unphased else "/".join(sorted((a, b)))


def test_pgenlib_reads_from_pgen_what_the_vcf_holds(held):
    pgenlib, folder = extra("pgenlib"), held.folder / "pgen"
    lines = [line.split("\t") for line in (folder / "genotypes.pvar").read_text().splitlines() if line[0] != "#"]
    names = (folder / "genotypes.psam").read_text().split()[1:]
    offsets = np.cumsum([0, *(2 + line[4].count(",") for line in lines)]).astype(np.uintp)
    alleles, phased = np.empty((len(lines), 2 * N), np.int32), np.empty((len(lines), N), np.uint8)
    path = str(folder / "genotypes.pgen").encode()
    with pgenlib.PgenReader(path, raw_sample_ct=N, variant_ct=len(lines), allele_idx_offsets=offsets) as reader:
        reader.read_alleles_and_phasepresent_range(0, len(lines), alleles, phased)
    for name, calls in by_person(held.folder / "vcf" / "genotypes.vcf.gz").items():
        j = names.index(name)
        pairs = np.where(alleles[:, 2 * j : 2 * j + 2] < 0, -1, alleles[:, 2 * j : 2 * j + 2]).tolist()
        texts = [f"{a}{'|' if bar else '/'}{b}".replace("-1", ".") for (a, b), bar in zip(pairs, phased[:, j], strict=True)]
        assert list(map(held_by_pgen, texts)) == list(map(held_by_pgen, calls))


@pytest.mark.parametrize("reader", ["pyarrow", "polars", "duckdb"])
def test_parquet_holds_what_the_vcf_holds(held, reader):
    folder, wanted = held.folder / "parquet", by_person(held.folder / "vcf" / "genotypes.vcf.gz")

    def rows(table: str) -> list[tuple[object, ...]]:
        path = str(folder / f"{table}.parquet")
        if reader == "pyarrow":
            columns = extra("pyarrow.parquet").read_table(path).columns
            return list(zip(*(column.to_pylist() for column in columns), strict=True))
        if reader == "polars":
            return list(extra("polars").read_parquet(path).rows())
        return list(extra("duckdb").connect().execute("SELECT * FROM read_parquet(?)", [path]).fetchall())

    names = dict(rows("samples"))
    found: dict[str, list[str]] = {name: [] for name in names.values()}
    for site, column, a1, a2, ploidy, phased in rows("calls"):
        calls = found[names[column]]
        assert site == len(calls)
        alleles = ["." if allele is None else str(allele) for allele in (a1, a2)[:ploidy]]
        calls.append(("|" if phased else "/").join(alleles))
    assert found == wanted
    told = run(
        "bcftools", "query", "-f", r"%CHROM %POS %REF %ALT %AN %AC\n", held.folder / "vcf" / "genotypes.vcf.gz"
    ).splitlines()
    lines = [(r[1], r[2], r[4], ",".join(r[5]), r[8], ",".join(map(str, r[7]))) for r in rows("sites")]
    assert [" ".join(map(str, line)) for line in lines] == told


def test_scikit_allel_reads_the_same_calls(held):
    allel = extra("allel")
    path = held.folder / "vcf" / "genotypes.vcf.gz"
    found = allel.read_vcf(str(path), fields=["samples", "calldata/GT", "variants/POS"])
    for name, calls in zip(found["samples"], found["calldata/GT"].transpose(1, 0, 2).tolist(), strict=True):
        texts = [re.split(r"[/|]", call) for call in by_person(path)[name]] if name == found["samples"][0] else None
        assert texts is None or [["." if a < 0 else str(a) for a in pair] for pair in calls] == texts


def test_a_file_for_each_contig_is_the_whole_in_parts(held):
    folder, whole = held.folder / "contigs", held.folder / "vcf" / "genotypes.vcf.gz"
    for contig in ("chr1", "chr2"):
        path = folder / f"genotypes.{contig}.vcf.gz"
        fields = r"%CHROM\t%POS\t%REF\t%ALT\t%INFO\n"
        assert run("bcftools", "query", "-f", fields, path) == run("bcftools", "query", "-r", contig, "-f", fields, whole)
        assert run("bcftools", "index", "-s", path).split()[0] == contig
        assert len(by_person(path)) == N


def test_the_readme_can_be_followed_to_the_letter(held):
    folder = held.folder / "vcf"
    for program in ("jq", "sha256sum", "openssl", "xxd", "base64"):
        tool(program)
    readme = (folder / "README.txt").read_text()
    blocks = [line[4:] for line in readme.splitlines() if line.startswith("    ") and "genovault" not in line.split("'")[0]]
    key = json.loads((folder / "manifest.json").read_text())["signature"]["key"]
    script = "\n".join(blocks).replace("KEY='...'", f"KEY='{key}'")
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=folder, capture_output=True, text=True, check=False)
    for scratch in ("signed", "signature", "key.der"):
        (folder / scratch).unlink(missing_ok=True)
    assert done.returncode == 0, done.stderr
    assert "genotypes.vcf.gz: OK" in done.stdout
    assert "Signature Verified Successfully" in done.stdout
    assert key in done.stdout


def test_the_release_verifies_with_the_public_keys_alone(held):
    found = verify_release(held.folder / "vcf", **pinned(held.vault))
    assert found.manifest.counts.subjects == N
    assert {file.name for file in found.manifest.files} == {
        "genotypes.vcf.gz",
        "genotypes.vcf.gz.csi",
        "genotypes.vcf.gz.tbi",
        "LIMITS.txt",
        "README.txt",
    }


def test_a_changed_extract_does_not_verify(held, tmp_path):
    folder = shutil.copytree(held.folder / "vcf", tmp_path / "copy")
    path = folder / "genotypes.vcf.gz"
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    with pytest.raises(IntegrityError):
        verify_release(folder, **pinned(held.vault))
