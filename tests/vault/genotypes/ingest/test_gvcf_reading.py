"""A gVCF through a reading, in this process and through another: the same calls and tracks, and the same errors."""

from __future__ import annotations

import gzip

import pytest

from tests.support.vcf_reading import batch_rows
from tests.vault.genotypes.ingest.gvcfs import intervals, write
from vault.errors import GenovaultError, UsageError
from vault.genotypes.ingest.assay_rule import AssayRule
from vault.genotypes.ingest.begin import begin_reading
from vault.genotypes.ingest.chunking import chunks_of
from vault.genotypes.ingest.personal_frames import PersonalFrames, contig_parts

GOOD = "GT:DP:GQ:MIN_DP"
LINES = [
    f"1 5 . A <NON_REF> . . END=9 {GOOD} 0/0:30:30:10",
    "1 10 rs1 ATT A,AT,<NON_REF> . . . GT 0/2",
    "1 10 rs2 A G . PASS . GT 0/1",
    "1 12 . A G,<DEL> . . END=14;SVTYPE=DEL GT 0/1/2",
    "chr2 5 . A C . . . GT 1",
    f"3 5 . A <NON_REF> . . END=9 {GOOD} 0:30:10:10",
    f"3 10 . A <NON_REF> . . END=900000 {GOOD} 0:30:20:10",
]


def told(calls):
    tracks = {contig: intervals(track) for contig, track in calls.tracks.items()}
    return tracks, {contig: list(batch_rows(batch)) for contig, batch in calls.calls.items()}, calls.counts


def readings(paths):
    for apart in (False, True):
        with begin_reading(paths, "of-no-pack", apart=apart) as reading:
            yield reading


def test_both_ways_give_the_same(tmp_path):
    text = write(tmp_path, LINES)
    packed = tmp_path / "b.g.vcf.gz"
    packed.write_bytes(gzip.compress(text.read_bytes()))
    rule, found = AssayRule(min_gq=10), []
    for reading in readings([text, packed]):
        for file in reading.files():
            assert file.gvcf
            seen = []
            found.append(told(file.personal(rule, lambda read, records, seen=seen: seen.append((read, records)))))
            assert seen[-1][0] == file.size
    tracks, calls, counts = found[0]
    assert tracks == {"1": [(5, 9, 3)], "3": [(5, 9, 5), (10, 900_000, 6)]}
    assert list(calls) == ["1", "chr2"]
    assert [row[6] for row in calls["1"]] == [["0/1"], ["0/1"], ["0/1/2"]]
    assert counts.kept == 4
    assert all(other == found[0] for other in found)


def test_what_is_kept_can_be_encoded_as_chunks(tmp_path):
    with begin_reading([write(tmp_path, LINES)], "of-no-pack") as reading:
        calls = reading.files()[0].personal(AssayRule(), lambda *_: None)
    assert [(chunk.contig, len(chunk.sites)) for chunk in chunks_of(calls.calls.values(), 1)] == [("1", 3), ("chr2", 1)]


def test_an_error_is_the_same_both_ways(tmp_path):
    path = write(tmp_path, [LINES[0], f"1 15 . A <NON_REF> . . END=9 {GOOD} 0/0:30:30:10"])
    errors = []
    for reading in readings([path]):
        with pytest.raises(GenovaultError) as caught:
            reading.files()[0].personal(AssayRule(), lambda *_: None)
        errors.append((type(caught.value), caught.value.code, str(caught.value)))
    assert errors[0] == errors[1]
    assert errors[0][1] == "bad_block"


def test_another_file_is_no_gvcf(tmp_path):
    path = write(tmp_path, ["1 5 . A C . . . GT 0/1"])
    for reading in readings([path]):
        (file,) = reading.files()
        assert not file.gvcf
        with pytest.raises(UsageError) as caught:
            file.personal(AssayRule(), lambda *_: None)
        assert caught.value.code == "not_a_gvcf"


@pytest.mark.parametrize("cut", [-1, 3, 0])
def test_bytes_that_are_no_contig_are_told(tmp_path, cut):
    with begin_reading([write(tmp_path, LINES)], "of-no-pack") as reading:
        calls = reading.files()[0].personal(AssayRule(), lambda *_: None)
    data = b"".join(bytes(part) for part in contig_parts(calls, "1"))
    for other in (data[:cut], data + b"x", b"\0" * 9):
        with pytest.raises(ValueError):  # noqa: PT011 - of any text: it is told as the end of the process
            PersonalFrames().add(bytearray(other))
