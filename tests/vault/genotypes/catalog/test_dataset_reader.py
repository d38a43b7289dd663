"""Reading a dataset: what is kept between reads gives the same calls, and never outlives the books."""

from __future__ import annotations

import numpy as np
import pytest
from sqlalchemy import select, update

from policies.loci import Interval
from tests.support.gt_text import texts_of
from vault.crypto.key_wrapping import KeyPurpose
from vault.errors import IntegrityError
from vault.genotypes.catalog import panel_builder, parts
from vault.genotypes.catalog.dataset_reader import GenotypeReader
from vault.genotypes.loci import Locus
from vault.genotypes.store import part_reader
from vault.genotypes.store.selections import PanelLoci, Selection
from vault.storage.book_tables import ChunkRow, LayoutMemberRow

span = Interval.from_positions

ALMOST = Selection(regions=(span("1", 101, 300), span("2", 100, 209)))
REGION = Selection(regions=(span("1", 100, 150),))
SCATTERED = Selection(
    regions=(
        span("1", 100, 100),
        span("2", 100, 110),
        span("1", 130, 140),
    )
)
NOWHERE = Selection(regions=(span("9", 1, 5),))
EVERYTHING = Selection()


@pytest.fixture
def subjects(session):
    with session.books.read() as tx:
        return list(tx.scalars(select(LayoutMemberRow.subject_id).distinct().order_by(LayoutMemberRow.subject_id)))


def reader(session, dataset, subjects, keep=0):
    keys = session.keys.open_many(KeyPurpose.GENOTYPE, subjects)
    return GenotypeReader(session, dataset, subjects, keys, keep_bytes=keep)


def shown(calls):
    sites = calls.sites
    return (
        [(sites.contigs[c], p) for c, p in zip(sites.contig, sites.pos.tolist(), strict=True)],
        sites.alleles.items(),
        texts_of(calls.codes, calls.escapes),
    )


@pytest.mark.parametrize("selection", [REGION, SCATTERED, ALMOST, NOWHERE, EVERYTHING])
def test_what_is_kept_decoded_reads_the_same(session, dataset, subjects, selection):
    some = subjects[3:15]
    expected = shown(reader(session, dataset, some).read(selection))
    keeping = reader(session, dataset, some, keep=1 << 20)
    for _ in range(4):
        assert shown(keeping.read(selection)) == expected


def test_a_chunk_asked_for_again_is_opened_no_more(session, dataset, subjects, monkeypatch):
    keeping = reader(session, dataset, subjects, keep=1 << 20)
    keeping.read(REGION)
    keeping.read(REGION)
    monkeypatch.setattr(part_reader, "open_blocks", None)
    assert shown(keeping.read(Selection(regions=(span("1", 120, 120),))))[0] == [("1", 120)]
    keeping.close()
    with pytest.raises(TypeError):
        keeping.read(REGION)


@pytest.mark.parametrize(
    "selection",
    [EVERYTHING, Selection(regions=(span("chr2", 100, 300), span("1", 1, 1000)))],
)
def test_what_is_wanted_whole_opens_each_table_once(session, dataset, subjects, monkeypatch, selection):
    monkeypatch.setattr(part_reader, "CACHED_CHUNKS", 1)
    read, tables = session.objects.get_range, []

    def counting(name, offset, length):
        tables.extend([name] if name.endswith(".sites") else [])
        return read(name, offset, length)

    monkeypatch.setattr(session.objects, "get_range", counting)
    fresh = reader(session, dataset, subjects)
    assert len(fresh.read(selection).sites) == 24
    assert len(tables) == len(set(tables)) == 2


def test_edges_of_a_region_are_kept_to(session, dataset, subjects):
    sites, _, _ = shown(reader(session, dataset, subjects).read(ALMOST))
    assert sites == [("1", 100 + 10 * i) for i in range(1, 12)] + [("2", 100 + 10 * i) for i in range(11)]


def test_what_does_not_fit_is_not_kept(session, dataset, subjects, monkeypatch):
    keeping = reader(session, dataset, subjects, keep=10)
    keeping.read(REGION)
    keeping.read(REGION)
    monkeypatch.setattr(part_reader, "open_blocks", None)
    with pytest.raises(TypeError):
        keeping.read(REGION)


def test_a_panel_asked_for_again_reads_the_same(session, dataset, subjects):
    panel = panel_builder.create(session, dataset, "few", [Locus(span("1", 100, 100)), Locus(span("2", 110, 120))])
    selection = Selection(panel=PanelLoci(panel.panel_id, panel.index))
    keeping = reader(session, dataset, subjects, keep=1 << 20)
    assert (
        shown(keeping.read(selection))
        == shown(keeping.read(selection))
        == shown(reader(session, dataset, subjects).read(selection))
    )


def test_the_order_of_subjects_is_the_callers(session, dataset, subjects):
    forward = reader(session, dataset, subjects).read(EVERYTHING)
    backward = reader(session, dataset, subjects[::-1]).read(EVERYTHING)
    assert (forward.codes == backward.codes[:, ::-1]).all()


def test_deriving_early_changes_nothing(session, dataset, subjects):
    early = reader(session, dataset, subjects)
    early.derive()
    assert np.array_equal(early.read(REGION).codes, reader(session, dataset, subjects).read(REGION).codes)


def test_a_subject_without_a_key_is_not_read(session, dataset, subjects):
    keys = session.keys.open_many(KeyPurpose.GENOTYPE, subjects[1:])
    with pytest.raises(IntegrityError) as error:
        GenotypeReader(session, dataset, subjects, keys)
    assert error.value.code == "key_missing"


def test_a_rewritten_site_table_is_not_read_past(session, dataset, subjects):
    """The session has the table open; the books then name another version, which is not the object that is there."""
    reader(session, dataset, subjects).read(REGION)
    with session.books.write() as tx:
        tx.execute(update(ChunkRow).values(table_version=2))
    with pytest.raises(IntegrityError):
        reader(session, dataset, subjects).read(REGION)


def test_forgetting_opens_tables_anew(session, dataset, subjects):
    before = parts.open_parts(session, dataset.dataset_id)[0].reader
    assert parts.open_parts(session, dataset.dataset_id)[0].reader is before
    parts.forget(session)
    assert parts.open_parts(session, dataset.dataset_id)[0].reader is not before
