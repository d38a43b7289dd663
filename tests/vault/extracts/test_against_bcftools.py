"""De-identification and writer together against ``bcftools view -s … -a -c 1:nref``, on real files: the extract by hand that we replace."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest

from tests.support.carried import filter_shown, shortest
from tests.support.gt_text import calls_of, sites_of
from tests.support.outside import shared, tool
from tests.support.views import CallsInMemory
from vault.extracts.vcf import write_vcf
from vault.views.deidentify import Deidentified, row_order
from vault.views.site_selection import Profile

FILES = [
    "data/1-real/1000G_p3_chr22_2504/1kg-phaseIII-v5a.20130502.genotypes.chr22-16-16.5mb.vcf.gz",
    "data/1-real/chrX_ploidy_26/chrX-unphased/small.chrX.unphased.vcf.gz",
    "data/1-real/1000G_chr20_shapeit4/unphased.bcf",
    "data/1-real/SeqArray_CEU_Exon/CEU_Exon.vcf.gz",
    "data/2-pgx/1kgp_GRCh38_3202/GRCh38/TPMT.vcf.gz",
]
ROWS = 500  # the oracle's reader is slow; these starts hold every kind of record that the files have


def bcftools(*command):
    return subprocess.run([tool("bcftools"), *map(str, command)], capture_output=True, check=True)


def read(path):
    """(fixed columns, GT texts) of each record."""
    done = bcftools("query", "-f", "%CHROM\t%POS\t%REF\t%ALT\t%FILTER[\t%GT]\\n", path)
    lines = [line.split("\t") for line in done.stdout.decode().splitlines()]
    return [line[:5] for line in lines], [line[5:] for line in lines]


def shown_by_view(lines, whole):
    """The records with FILTER and shortened alleles as a view shows them, sorted; ``whole``: ALT of each before bcftools took any away."""
    rows = [line.split("\t") for line in lines]
    for row, alts in zip(rows, whole, strict=True):
        row[4] = filter_shown(row[4])
        if row[3] != alts:
            moved, row[2], left = shortest(int(row[1]), row[2], row[3].split(","))
            row[1], row[3] = str(moved), ",".join(left)
    contigs = list(dict.fromkeys(row[0] for row in rows))
    return ["\t".join(row) for row in sorted(rows, key=lambda row: (contigs.index(row[0]), int(row[1])))]


@pytest.mark.parametrize("relative", FILES)
@pytest.mark.parametrize("share", [0.5, 0.02])
def test_an_extract_equals_the_one_made_by_bcftools(tmp_path, relative, share):
    source = shared(relative)
    cut = tmp_path / "cut.vcf"
    text = bcftools("annotate", "-x", "INFO,^FORMAT/GT", source).stdout.split(b"\n")
    head = sum(line.startswith(b"#") for line in text)
    cut.write_bytes(b"\n".join(text[: head + ROWS]) + b"\n" * (len(text) > head + ROWS))
    fixed, texts = read(cut)
    samples = bcftools("query", "-l", cut).stdout.decode().split()
    rng = np.random.default_rng(7)
    chosen = sorted(rng.choice(len(samples), max(1, int(share * len(samples))), replace=False).tolist())

    rows = [[row[j] for j in chosen] for row in texts]
    names = tuple(f"demo1{samples[j]}" for j in chosen)
    order = row_order(b"k" * 32, names)
    sites = sites_of(
        [(c, int(p), f"{ref},{alt}" if alt != "." else ref) for c, p, ref, alt, _ in fixed], filters=[line[4] for line in fixed]
    )
    view = Deidentified(
        CallsInMemory(sites, *calls_of([[row[at] for at in order] for row in rows], len(chosen))),
        [names[at] for at in order],
        profile=Profile(keep_phase=True),
        assembly="GRCh37",
        window_sites=40,
    )
    ours = tmp_path / "genotypes.vcf.gz"
    with ours.open("wb") as vcf, (tmp_path / "genotypes.vcf.gz.csi").open("wb") as index:
        write_vcf(view, vcf, index, vault_view={"ID": "x"})

    peer = tmp_path / "peer.vcf"
    (tmp_path / "names").write_text("".join(f"{samples[chosen[i]]}\n" for i in order))
    bcftools("view", "-S", tmp_path / "names", "-a", "-c", "1:nref", "-o", peer, cut)
    columns = "%CHROM\t%POS\t%REF\t%ALT\t%FILTER\t%AC\t%AN[\t%GT]\\n"
    mine = bcftools("query", "-f", columns, ours)
    assert mine.stderr == b""
    bcftools("view", "-S", tmp_path / "names", "-c", "1:nref", "-o", tmp_path / "whole.vcf", cut)
    whole = bcftools("query", "-f", "%ALT\\n", tmp_path / "whole.vcf").stdout.decode().splitlines()
    theirs = bcftools("query", "-f", columns, peer).stdout.decode().splitlines()
    assert mine.stdout.decode().splitlines() == shown_by_view(theirs, whole)
    assert view.summary.n_sites > 0
