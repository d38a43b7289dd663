"""Files that must not come in: each is refused by file, line, field and reason, and the vault is as it was."""

from __future__ import annotations

import gzip
import os
import re
import struct
import subprocess
from pathlib import Path

import pytest

from tests.support.held import Held
from tests.support.outside import extra, tool
from tests.support.vcf_reading import vcf_text
from vault.errors import InputError
from vault.genotypes.ingest.gzip_streams import BGZF_EOF
from vault.genotypes.ingest.streams import open_file
from vault.limits import MAX_LINE_BYTES

GOOD = "22 16000100 . A C . PASS . GT 0/1 1|1"


def text(*lines: str, **options) -> bytes:
    return vcf_text([GOOD, *lines], **options)


def late(line: str) -> bytes:
    """The bad line behind enough good ones that chunks are sealed and stored before it is met."""
    return vcf_text([f"22 {16_000_000 + i} . A C . PASS . GT 0/1 1|1" for i in range(20_000)] + [line])


CASES = {  # name of the file, its bytes, code, what the message says behind the file's name
    "ends early, gzip": ("a.vcf.gz", gzip.compress(text())[:-9], "file_truncated", "ends early"),
    "ends early, BGZF": ("a.vcf.gz", b"\x1f\x8b\x08\x04" + BGZF_EOF[4:-1], "file_truncated", "cut short"),
    "ends early within the header": ("a.vcf", text()[:60], "bad_header", "the file ends before the #CHROM line"),
    "damaged": ("a.vcf.gz", gzip.compress(text())[:-8] + bytes(8), "bad_compression", "damaged"),
    "a gzip bomb": ("a.vcf.gz", gzip.compress(text() + bytes(MAX_LINE_BYTES + (8 << 20)), 1), "line_too_long", "longer than 64 MiB"),
    "1,000 ALTs": ("a.vcf", late("22 16100000 . A " + ",".join(["C"] * 1000) + " . PASS . GT 0/1 0/0"), "too_many_alts", "line 20004: ALT: more than 255"),
    "a sample twice": ("a.vcf", text(samples="A A"), "duplicate_sample", "line 3: columns 10 and 11 name the same sample"),
    "a contig that the assembly does not have": ("a.vcf", late("23 5 . A C . PASS . GT 0/1 0/0"), "contig_unknown", "line 20004: CHROM: not a contig of GRCh38"),
    "behind the end of a contig": ("a.vcf", late("22 99000000 . A C . PASS . GT 0/1 0/0"), "beyond_contig", "line 20004: POS: beyond the end"),
    "a header of another assembly": ("a.vcf", text(meta=["##contig=<ID=22,length=51304566>"]), "assembly_mismatch", "line 3: ##contig: the length is that of GRCh37"),
    "positions out of order": ("a.vcf", late("22 16000000 . A C . PASS . GT 0/1 0/0"), "unsorted", "line 20004: POS: the position is smaller"),
    "a contig that comes back": ("a.vcf", text("21 9000000 . A C . . . GT 0/1 0/0", "22 16200000 . A C . . . GT 0/1 0/0"), "unsorted", "line 6: CHROM:"),
    "a NUL byte": ("a.vcf", late("22 16100000 . A C . PASS . GT 0/1 0\0/0"), "nul_byte", "line 20004: column 11: a NUL byte"),
    "invalid UTF-8": ("a.vcf", text().replace(b"16000100\t.", b"16000100\trs\xff"), "bad_utf8", "line 4: not valid UTF-8"),
    "an allele that the line does not have": ("a.vcf", text("22 16000200 . A C . PASS . GT 0/2 0/0"), "bad_genotype", "line 5: column 10: GT names an allele"),
    "no VCF": ("a.vcf", b"PK\x03\x04", "not_a_vcf", "line 1: not a VCF"),
    "PLINK 1": ("a.bed", b"\x6c\x1b\x01\xff", "plink1_orientation", "A1 and A2 are the rarer and the commoner"),
    "half a PGEN": ("a.pgen", struct.pack("<2sBII", b"\x6c\x1b", 0x10, 1, 2), "file_truncated", "ends early"),
    "a PGEN alone": ("a.pgen", struct.pack("<2sBIIB", b"\x6c\x1b", 0x10, 1, 2, 0x44), "no_such_file", ""),
}  # fmt: skip


@pytest.fixture
def held(tmp_path):
    held = Held.make(tmp_path)
    yield held
    held.vault.close()


@pytest.mark.parametrize("case", CASES)
def test_a_bad_file_is_refused_with_its_reason_and_nothing_is_imported(held, case):
    name, data, code, says = CASES[case]
    if name == "a.pgen":
        extra("pgenlib")
    before = held.traces()
    with pytest.raises(InputError) as caught:
        held.load(held.write(name, data))
    assert caught.value.code == code
    assert caught.value.message.startswith("a.")
    assert says in caught.value.message
    assert held.traces() == before
    assert [entry["reasons"] for entry in held.entries() if entry["act"] == "dataset.import"] == [{code: 1}]


def test_an_unknown_sample_is_refused(held):
    before = held.traces()
    with pytest.raises(InputError) as caught:
        held.load(held.write("a.vcf", text()), unknown="refuse")
    assert caught.value.code == "samples_unknown"
    assert re.search(r"2 of 2 samples .*column 1", caught.value.message)
    assert held.traces() == before


def test_an_index_that_lies_changes_nothing(held):
    path = held.write("a.vcf", text("22 16000200 . A C . PASS . GT 0/1 0/0"))
    packed = held.folder / "a.vcf.gz"
    packed.write_bytes(subprocess.run([tool("bgzip"), "-c", path], capture_output=True, check=True).stdout)
    other = held.write("b.vcf", vcf_text(["1 5 . A C . PASS . GT 0/1 0/0"]))
    (held.folder / "b.vcf.gz").write_bytes(subprocess.run([tool("bgzip"), "-c", other], capture_output=True, check=True).stdout)
    subprocess.run([tool("tabix"), "-p", "vcf", held.folder / "b.vcf.gz"], check=True)
    (held.folder / "b.vcf.gz.tbi").rename(held.folder / "a.vcf.gz.tbi")
    assert held.load(packed).sites == 2


@pytest.mark.parametrize("given", ["-", "pipe", "/dev/zero"])
def test_a_pipe_or_device_is_refused_at_once_with_what_to_do(tmp_path, monkeypatch, given):
    monkeypatch.chdir(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError) as caught:
        open_file(Path(given))
    assert caught.value.code in {"no_such_file", "file_unreadable"}
    assert "write it to a file first" in caught.value.hint
