"""Files are parsed ahead of whoever asks, and that is all that differs from reading them."""

from __future__ import annotations

import threading
import time

import pytest

from tests.support.vcf_reading import batch_rows, our_rows, vcf_text
from vault.errors import InputError
from vault.genotypes.ingest import reading, vcf
from vault.genotypes.ingest.reading import Reading


def lines(contig, count):
    return [f"{contig} {at} . A C . . . GT 0/1 1|{at % 2}" for at in range(1, count + 1)]


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.setattr(vcf, "BATCH_CODES", 20)  # ten sites a batch
    made = []
    for contig in ("1", "2"):
        path = tmp_path / f"{contig}.vcf"
        path.write_bytes(vcf_text(lines(contig, 400)))
        made.append(path)
    return made


def parsing():
    return [thread for thread in threading.enumerate() if thread.name == "parse-ahead"]


def test_files_read_ahead_are_the_files(files):
    with Reading(files, "GRCh38") as begun:
        sources = begun.sources()
        assert [source.samples for source in sources] == [("A", "B")] * 2
        rows = [[row for batch in source.batches() for row in batch_rows(batch)] for source in sources]
    assert rows == [our_rows(file) for file in files]
    assert not parsing()


def test_reading_begins_before_anybody_asks_and_waits_when_far_ahead(files):
    with Reading(files, "GRCh38") as begun:
        first, second = begun.sources()
        until = time.monotonic() + 30
        while first._made.qsize() < reading.BATCHES and time.monotonic() < until:
            time.sleep(0.001)
        assert first._made.qsize() == reading.BATCHES
        assert second._made.qsize() == 0
    assert not parsing()


def test_what_cannot_be_opened_is_told_to_whoever_asks(files, tmp_path):
    with Reading([*files, tmp_path / "none.vcf"], "GRCh38") as begun, pytest.raises(InputError) as caught:
        begun.sources()
    assert caught.value.code == "no_such_file"
    assert not parsing()


def test_a_bad_line_is_told_behind_the_batches_before_it(tmp_path, files):
    path = tmp_path / "bad.vcf"
    path.write_bytes(vcf_text([*lines("1", 25), "1 26 . A C . . . GT 0/9 0/0"]))
    with Reading([path], "GRCh38") as begun:
        (source,) = begun.sources()
        batches = source.batches()
        assert sum(len(next(batches).sites) for _ in range(2)) == 20
        with pytest.raises(InputError) as caught:
            list(batches)
    assert caught.value.code == "bad_genotype"
    assert not parsing()
