"""Outside programs as readers of an extract: bcftools, tabix, plink2, and the README's own checks with jq, sha256sum and OpenSSL."""

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
from tests.support.outside import tool
from tests.support.releases import pinned
from tests.support.vcf_text import vcf
from vault.errors import IntegrityError
from vault.extracts.verification import verify_release

N = 40
SITES = 3_000


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Held]:
    """A vault with forty people on two contigs, extracted once as VCF and once as BCF."""
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
        "README.txt",
    }


def test_a_changed_extract_does_not_verify(held, tmp_path):
    folder = shutil.copytree(held.folder / "vcf", tmp_path / "copy")
    path = folder / "genotypes.vcf.gz"
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    with pytest.raises(IntegrityError):
        verify_release(folder, **pinned(held.vault))
