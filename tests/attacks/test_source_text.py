"""Free text of a source, and alleles of people who are not released: neither is in anything that leaves.

A canary stands in every field of a file where whoever wrote it could put one. Whatever way genotypes go out, none comes with them.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from tests.support.held import Held
from tests.support.outside import tool
from vault import gate
from vault.consent import recording
from vault.genotypes.catalog import datasets, panel_builder
from vault.genotypes.loci import parse_loci

WORD = "JohnDoe"
HIDDEN = "GATTACCAGATTACA"  # carried by the one who withdrew alone
HEADER = f"""##fileformat=VCFv4.3
##source={WORD}
##fileDate={WORD}
##{WORD}={WORD}
##reference=file:///home/{WORD}/ref.fa
##contig=<ID=22,length=50818468,assembly={WORD},md5={WORD},species="{WORD}",URL=http://{WORD}>
##contig=<ID={WORD}>
##FILTER=<ID={WORD},Description="{WORD}">
##ALT=<ID={WORD},Description="{WORD}">
##ALT=<ID=DEL,Description="{WORD}">
##INFO=<ID={WORD},Number=1,Type=String,Description="{WORD}">
##INFO=<ID=SVTYPE,Number=1,Type=String,Description="{WORD}">
##FORMAT=<ID=GT,Number=1,Type=String,Description="{WORD}">
##FORMAT=<ID={WORD},Number=1,Type=String,Description="{WORD}">
##SAMPLE=<ID={WORD}1,Description="{WORD}">
##PEDIGREE=<ID={WORD}1,Original={WORD}2>
"""
SAMPLES = (f"{WORD}1", f"{WORD}2", f"{WORD}3")
RECORDS = [  # POS, ID, REF, ALT, FILTER, INFO, FORMAT, calls
    ("1000", f"{WORD};rs7", "A", "C", WORD, f"{WORD}={WORD};{WORD}", f"GT:{WORD}", f"0/1:{WORD} 1/1:{WORD} 0/0:{WORD}"),
    ("1100", "rs8", "A", "C,G", f"PASS;{WORD}", WORD, "GT", "0/1 0/2 0/0"),
    ("1200", WORD, "N", f"<{WORD}>", f"{WORD};.", f"END=1300;SVTYPE={WORD}", "GT", "0/1 0/1 0/0"),
    ("1300", WORD, "N", f"<DEL:{WORD}>", "PASS", f"SVLEN=50;SVTYPE=DEL:{WORD};CHR2={WORD};POS2={WORD};END2={WORD}", "GT", "0/1 0/1 0/0"),
    ("1400", WORD, "N", f"N[{WORD}:5[", "PASS", f"SVTYPE=BND;MATEID={WORD};EVENT={WORD}", "GT", "0/1 0/1 0/0"),
    ("1500", WORD, "N", f"]<{WORD}>:5]N", "PASS", f"SVTYPE={WORD}", "GT", "0/1 0/1 0/0"),
    ("1600", WORD, "N", f"C<{WORD}>", "PASS", "SVTYPE=INS", "GT", "0/1 0/1 0/0"),
    ("1700", "rs9", "N", f"<DEL>,<INS:ME:{WORD}>", "PASS", "END=1750", "GT", "0/1 0/2 0/0"),
    ("1800", "rs10;rs11", "CGATTACCAG", f"C,{HIDDEN},CGATTACCAT", "PASS", ".", "GT", "0/3 0/0 1/2"),
    ("1805", "rs12", "A", "T", "PASS", ".", "GT", "0/1 0/0 0/0"),
    ("1900", "rs13", "A", HIDDEN, WORD, ".", "GT", "0/0 ./. 0/1"),
]  # fmt: skip
PANEL = b"contig\tpos\n22\t1000\n22\t1200\n22\t1300\n22\t1400\n22\t1500\n22\t1600\n22\t1700\n22\t1805\n"


@pytest.fixture(scope="module")
def held(tmp_path_factory):
    held = Held.make(tmp_path_factory.mktemp("text"))
    columns = "\t".join(["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *SAMPLES])
    lines = ["\t".join(["22", pos, name, ref, alt, ".", filters, info, form, *calls.split()])
             for pos, name, ref, alt, filters, info, form, calls in RECORDS]  # fmt: skip
    held.load(held.write(f"{WORD}.vcf", "\n".join([HEADER + columns, *lines]) + "\n"))
    held.everyone_consents()
    recording.withdraw(held.vault, SAMPLES[2])
    for code, keep_ids in (("plain", False), ("ids", True)):
        held.project(code, keep_ids=keep_ids)
    panel_builder.create(held.vault, datasets.by_name(held.vault, "cohort"), "p", parse_loci(PANEL, name="p"))
    yield held
    held.vault.close()


def everything(folder: Path) -> dict[str, bytes]:
    """What left, by file; compressed files as they are and unpacked."""
    found = {}
    for path in (path for path in folder.rglob("*") if path.is_file()):
        data = path.read_bytes()
        found[path.name] = data + b"".join([gzip.decompress(data)] if data.startswith(b"\x1f\x8b") else [])
    return found


@pytest.mark.parametrize("kind", ["vcf", "bcf"])
@pytest.mark.parametrize("panel", [None, "p"])
@pytest.mark.parametrize("code", ["plain", "ids"])
def test_no_word_of_a_source_is_in_an_extract(held, kind, panel, code):
    out = held.extract(code, "cohort", out=f"{code}-{kind}-{panel}", file_format=kind, panel=panel)
    files = everything(out)
    assert {name for name, data in files.items() if WORD.lower().encode() in data.lower() or HIDDEN.encode() in data} == set()
    assert len(files) >= 4
    assert any(b"<DEL>" in data for data in files.values())  # what was looked at are the records


@pytest.mark.parametrize("panel", [None, "p"])
def test_no_word_of_a_source_is_in_a_view(held, panel):
    view = gate.view(held.vault, project="ids", dataset="cohort", panel=panel)
    sites = view.sites
    texts = [item for column in (sites.alleles, sites.ids, sites.filters, sites.info) for item in column.items()]
    told = repr([texts, sites.contigs, view.pseudonyms, view.not_assayed, view])
    assert WORD not in told
    assert HIDDEN not in told


def test_nothing_but_their_own_alleles_tells_of_those_who_are_released(held):
    view = gate.view(held.vault, project="ids", dataset="cohort")
    sites = view.sites
    places = list(zip(sites.pos.tolist(), [item.decode() for item in sites.alleles.items()], sites.ids.items(), strict=True))
    assert places[-2:] == [(1805, "A,T", b"rs12"), (1809, "G,T", b".")]  # REF was as long as the deletion of 1800 needed


def test_bcftools_reads_what_came_of_odd_texts_without_a_warning(held):
    from tests.support.golden import run  # noqa: PLC0415 - needs bcftools

    tool("bcftools")
    rows = {}
    for kind, name in (("vcf", "genotypes.vcf.gz"), ("bcf", "genotypes.bcf")):
        out = held.extract("ids", "cohort", out=f"read-{kind}", file_format=kind)
        rows[kind] = run(
            "bcftools", "query", "-f", r"%POS %ID %ALT %FILTER %END %SVTYPE %SVLEN\n".replace("%END", "%INFO/END"), out / name
        )
    assert rows["vcf"] == rows["bcf"]
    assert [line.split()[1:4] for line in rows["vcf"].splitlines()[:8]] == [
        ["rs7", "C", "not_passed"], ["rs8", "C,G", "not_passed"], [".", "<*>", "not_passed"], [".", "<DEL>", "PASS"],
        [".", "N.", "PASS"], [".", ".N", "PASS"], [".", "<INS>", "PASS"], ["rs9", "<DEL>,<INS:ME>", "PASS"],
    ]  # fmt: skip
