"""Files are read ahead of whoever asks, here or in another process, and that is all that differs from reading them."""

from __future__ import annotations

import threading
import time

import pytest

from tests.support.vcf_reading import vcf_text
from vault.errors import InputError
from vault.genotypes.ingest import begin, read_ahead, vcf
from vault.genotypes.ingest.begin import begin_reading
from vault.genotypes.ingest.chunking import chunks_of
from vault.genotypes.ingest.open_source import open_source
from vault.genotypes.ingest.read_ahead import ReadingHere
from vault.genotypes.ingest.source import reorder


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


@pytest.fixture(params=[False, True], ids=["here", "apart"])
def apart(request):
    return request.param


def read_plainly(path, columns):
    with open_source(path, assembly="GRCh38") as source:
        return list(chunks_of(reorder(source.batches(), columns, len(source.samples)), len(columns)))


def read(opened, columns):
    return [list(file.chunks(columns, lambda *_: None)) for file in opened]


def shown(chunk):
    return b"".join(bytes(part) for part in chunk.to_parts())


def parsing():
    return [thread for thread in threading.enumerate() if thread.name == "parse-ahead"]


@pytest.mark.parametrize("columns", [[0, 1], [1, 0], [1]])
def test_files_read_ahead_are_the_files(files, apart, columns):
    with begin_reading(files, "GRCh38", apart=apart) as begun:
        opened = begun.files()
        assert [file.samples for file in opened] == [("A", "B")] * 2
        assert [file.size for file in opened] == [path.stat().st_size for path in files]
        found = read(opened, columns)
    assert [[shown(chunk) for chunk in chunks] for chunks in found] == [
        [shown(chunk) for chunk in read_plainly(path, columns)] for path in files
    ]
    assert not parsing()


def test_progress_is_told_as_sites_are_read(files, apart):
    reported = []
    with begin_reading(files, "GRCh38", apart=apart) as begun:
        list(begun.files()[0].chunks([0, 1], lambda done, sites: reported.append((done, sites))))
    assert reported == sorted(reported)
    assert reported[-1] == (files[0].stat().st_size, 400)


def test_reading_begins_before_anybody_asks_and_waits_when_far_ahead(files):
    with ReadingHere(files, "GRCh38") as begun:
        first, second = begun.files()
        until = time.monotonic() + 30
        while first._made.qsize() < read_ahead.BATCHES and time.monotonic() < until:
            time.sleep(0.001)
        assert first._made.qsize() == read_ahead.BATCHES
        assert second._made.qsize() == 0
    assert not parsing()


def test_what_cannot_be_opened_is_told_to_whoever_asks(files, tmp_path, apart):
    with begin_reading([*files, tmp_path / "none.vcf"], "GRCh38", apart=apart) as begun:
        for _ in range(2):
            with pytest.raises(InputError) as caught:
                begun.files()
            assert caught.value.code == "no_such_file"
    assert not parsing()


def test_a_bad_line_is_told_with_its_number(tmp_path, apart):
    path = tmp_path / "bad.vcf"
    path.write_bytes(vcf_text([*lines("1", 25), "1 26 . A C . . . GT 0/9 0/0"]))
    with begin_reading([path], "GRCh38", apart=apart) as begun:
        (file,) = begun.files()
        with pytest.raises(InputError) as caught:
            list(file.chunks([0, 1], lambda *_: None))
    assert caught.value.code == "bad_genotype"
    assert "bad.vcf: line 29" in caught.value.message
    assert not parsing()


def test_large_files_are_read_apart(files, monkeypatch):
    monkeypatch.setattr(begin, "APART_BYTES", sum(path.stat().st_size for path in files))
    with begin_reading(files[:1], "GRCh38") as begun:
        assert isinstance(begun, ReadingHere)
    with begin_reading(files, "GRCh38") as begun:
        assert not isinstance(begun, ReadingHere)


def test_where_no_process_can_be_begun_files_are_read_here(files, monkeypatch):
    def full(*_arguments, **_options):
        raise BlockingIOError

    monkeypatch.setattr("subprocess.Popen", full)
    with begin_reading(files, "GRCh38", apart=True) as begun:
        assert isinstance(begun, ReadingHere)
