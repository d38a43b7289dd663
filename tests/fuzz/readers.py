"""Fuzz one reader of files that come from outside, guided by coverage of its Python code:

    python -m tests.fuzz.readers TARGET [CORPUS] [libFuzzer options, such as -max_total_time=60]

TARGET: vcf, wide (a VCF of 70 people), packed (gzip), bgzf, bcf, gvcf, pvar, loci. A reader may refuse with InputError or read; what it reads as VCF or BCF must be what htslib
reads, if htslib reads it at all. Anything else ends the run with the input that did it.
"""

from __future__ import annotations

import gzip
import inspect
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris

from tests.support.vcf_reading import htslib_rows, our_rows, vcf_text
from vault.errors import InputError
from vault.genotypes import loci, panel_loci
from vault.genotypes.codec.callable_track import CallableTrack
from vault.genotypes.contigs import find_assembly
from vault.genotypes.ingest import bcf, gvcf, gzip_streams, lines, own_pairs, pvar_psam, streams, vcf, vcf_header
from vault.genotypes.ingest.assay_rule import AssayRule
from vault.genotypes.ingest.chunking import chunks_of
from vault.genotypes.ingest.open_source import open_source
from vault.genotypes.ingest.pvar_psam import open_pvar
from vault.genotypes.loci import parse_loci
from vault.genotypes.panel_loci import LocusIndex

SEED = vcf_text(
    [
        "1 5 rs1 A C,<DEL> 9 PASS END=9;SVTYPE=DEL GT:DP 0|1:3 ./.:.",
        "1 5 . AT A . q10 . DP:GT:PS 3:1|1:5 4:2",
        "chr2 7 . A . . . . GT 0 0/0/0",
    ],
    meta=[
        '##FORMAT=<ID=DP,Number=1,Type=Integer,Description="d">',
        '##FORMAT=<ID=PS,Number=1,Type=Integer,Description="p">',
        '##INFO=<ID=END,Number=1,Type=Integer,Description="e">',
        '##INFO=<ID=SVTYPE,Number=1,Type=String,Description="s">',
        '##FILTER=<ID=q10,Description="f">',
        '##ALT=<ID=DEL,Description="d">',
        "##contig=<ID=1,length=99>",
        "##contig=<ID=chr2>",
    ],
)
TOKENS = (
    "\\x09",
    "\\x0a",
    "\\x0d\\x0a",
    "GT",
    ":PS",
    "./.",
    "0|1",
    "|0/1",
    "<DEL>",
    "END=",
    "N[2:5[",
    "chr2",
    "*",
    "##",
    "#CHROM",
    "\\xff",
)
WIDE = vcf_text(
    [
        f"1 {row + 1} . A C . . . GT " + " ".join(("0|1", "1|1", "0|0")[min(column * (row + 2) % 9, 2)] for column in range(70))
        for row in range(3)
    ],
    samples=" ".join(f"S{column}" for column in range(70)),
)
BLOCKS = vcf_text(
    [
        "1 5 . A <NON_REF> . . END=9 GT:DP:GQ:MIN_DP 0/0:30:30:10",
        "1 10 rs1 ATT A,AT,<NON_REF> 9 . DP=3 GT:GQ:PS 0|2:9:10",
        "1 10 . AT C . q10 . GT:FT 0/1:PASS",
        "1 13 . A . . PASS END=20 GT:GQX:DP 0:79:51",
        "1 21 . A <*> . RefCall . GT:RGQ:LEN 0/0:40:7",
        "chr2 7 . A <DEL> . . END=9;SVTYPE=DEL GT 1/1/0",
    ],
    samples="S",
)
PVAR = b"##x\n#CHROM\tPOS\tID\tREF\tALT\tFILTER\tINFO\n1\t5\trs1\tA\tC,G\tPASS\tPR\n2\t7\t.\tA\t.\t.\t.\n"
LOCI = b"contig\tpos\tref\talt\tid\n1\t5\tA\tC\trs1\n2\t7\t\t\t\n"


def judged(path: Path) -> None:
    """Refused, or read as htslib reads it."""
    try:
        ours = our_rows(path)
    except InputError:
        return
    expected = htslib_rows(path)
    if expected is not None and ours != expected:
        raise AssertionError(f"we read {ours}, htslib reads {expected}")


def read_gvcf(path: Path) -> None:
    """Refused, or a track of disjoint intervals beside records in order, one at each place of bases, and bytes that hold it."""
    try:
        with open_source(path) as source:
            if not source.gvcf:
                return
            calls = source.personal(AssayRule(min_gq=10, min_dp=0), lambda *_: None)
    except InputError:
        return
    for track in calls.tracks.values():
        back = CallableTrack.decode(track.encode())
        whole = (track.start <= track.end).all() and (track.start >= 1).all() and (track.end[:-1] < track.start[1:]).all()
        if not whole or not (back.start == track.start).all() or not (back.level == track.level).all():
            raise AssertionError(f"{track}")
    for batch in calls.calls.values():
        sites = batch.sites
        places = [
            (pos, alleles.split(b",")[0].upper())
            for pos, alleles, info in zip(sites.pos, sites.alleles.items(), sites.info.items(), strict=True)
            if not info
        ]
        if (sites.pos[1:] < sites.pos[:-1]).any() or len(set(places)) < len(places):
            raise AssertionError(f"{places}")
        list(chunks_of([batch], 1))


def read_pvar(path: Path) -> None:
    """Refused or read."""
    try:
        with open_pvar(path.with_suffix(".pgen"), find_assembly("GRCh38")) as source:
            for _ in source.batches():
                pass
    except InputError:
        return


def read_loci(path: Path) -> None:
    """Refused, or loci that can be arranged."""
    try:
        LocusIndex(parse_loci(path.read_bytes(), name="x"))
    except InputError:
        return


def bcf_of(text: bytes, folder: Path) -> bytes:
    """The VCF as htslib writes it in BCF, uncompressed: no checksum keeps changes away from the parser."""
    import pysam  # noqa: PLC0415 - an extra

    (folder / "seed.vcf").write_bytes(text)
    with (
        pysam.VariantFile(str(folder / "seed.vcf")) as source,
        pysam.VariantFile(str(folder / "seed.bcf"), "wb", header=source.header) as out,
    ):
        for record in source:
            out.write(record)
    return gzip.decompress((folder / "seed.bcf").read_bytes())


def bgzf_of(text: bytes, folder: Path) -> bytes:
    """The VCF as htslib compresses it."""
    import pysam  # noqa: PLC0415 - an extra

    with pysam.BGZFile(str(folder / "seed.gz"), "wb") as out:
        out.write(text)
    return (folder / "seed.gz").read_bytes()


TARGETS: dict[str, tuple[str, Callable[[Path], None], Callable[[Path], bytes]]] = {
    "vcf": ("x.vcf", judged, lambda _: SEED),
    "wide": ("x.vcf", judged, lambda _: WIDE),
    "packed": ("x.vcf.gz", judged, lambda _: gzip.compress(SEED, 1)),
    "bgzf": ("x.vcf.gz", judged, lambda folder: bgzf_of(SEED, folder)),
    "bcf": ("x.bcf", judged, lambda folder: bcf_of(SEED, folder)),
    "gvcf": ("x.g.vcf", read_gvcf, lambda _: BLOCKS),
    "pvar": ("x.pvar", read_pvar, lambda _: PVAR),
    "loci": ("x.tsv", read_loci, lambda _: LOCI),
}
"""Name of the file, what reads it, a first input."""


def instrument() -> None:
    """Make the readers' functions report their branches. (Imports are not hooked: numba wants the bytecode of kernels as it is.)"""
    for module in (bcf, gvcf, gzip_streams, lines, loci, own_pairs, panel_loci, pvar_psam, streams, vcf, vcf_header):
        owners = [module, *(c for c in vars(module).values() if inspect.isclass(c) and c.__module__ == module.__name__)]
        for function in [f for owner in owners for f in vars(owner).values() if inspect.isfunction(f)]:
            if function.__module__ == module.__name__:
                atheris.instrument_func(function)


def main() -> None:
    """Run libFuzzer; it ends the process."""
    instrument()
    name, read, seed = TARGETS[sys.argv[1]]
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder, "corpus")
        corpus.mkdir()
        (corpus / "seed").write_bytes(seed(Path(folder)))
        path, words = Path(folder, name), Path(folder, "words")
        words.write_text("".join(f'"{token}"\n' for token in TOKENS))

        def one(data: bytes) -> None:
            path.write_bytes(data)
            read(path)

        one((corpus / "seed").read_bytes())
        atheris.Setup([sys.argv[0], f"-dict={words}", *sys.argv[2:], str(corpus)], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
