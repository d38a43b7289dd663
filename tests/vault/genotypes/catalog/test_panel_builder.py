"""Panels' own blocks: what they give is what the chunks give, they are never served stale, and their making is logged."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pytest
from sqlalchemy import select, update

from policies.loci import Interval
from tests.support.gt_text import texts_of
from tests.vault.genotypes.vaults import cohort_vcf, load
from vault.crypto.key_wrapping import KeyPurpose
from vault.errors import IntegrityError, UnavailableError
from vault.genotypes.catalog import dataset_reader, panel_blocks, panel_builder, panels
from vault.genotypes.loci import Locus
from vault.genotypes.store import part_reader
from vault.genotypes.store.selections import PanelLoci, Selection
from vault.storage.book_tables import ChunkRow, LayoutMemberRow, LeaseRow, PanelBuildRow, PartRow

span = Interval.from_positions

LOCI = (
    Locus(span("chr1", 100, 100), "A", ("C",)),
    Locus(span("2", 130, 130)),
    Locus(span("2", 140, 171)),
    Locus(span("X", 5, 5)),
)


def subjects_of(session):
    with session.books.read() as tx:
        return list(tx.scalars(select(LayoutMemberRow.subject_id).distinct().order_by(LayoutMemberRow.subject_id)))


def read(session, dataset, panel, subjects=None):
    chosen = subjects or subjects_of(session)
    keys = session.keys.open_many(KeyPurpose.GENOTYPE, chosen)
    calls = dataset_reader.read(session, dataset, Selection(panel=PanelLoci(panel.panel_id, panel.index)), chosen, keys)
    sites = [
        (calls.sites.contigs[c], p, a)
        for c, p, a in zip(calls.sites.contig, calls.sites.pos.tolist(), calls.sites.alleles.items(), strict=True)
    ]
    return sites, texts_of(calls.codes, calls.escapes)


def builds(session):
    with session.books.read() as tx:
        return tx.execute(select(PanelBuildRow.build_id, PanelBuildRow.n_sites)).all()


def watch_chunks(monkeypatch):
    """The (part id, chunk) that readers read blocks of."""
    seen = []
    true = part_reader.PartReader.read

    def read(self, chunks, rows, places):
        seen.extend((self._owner.part_id, chunk) for chunk in chunks)
        return true(self, chunks, rows, places)

    monkeypatch.setattr(part_reader.PartReader, "read", read)
    return seen


def test_a_panels_blocks_give_what_the_chunks_give_and_nothing_else_is_read(session, dataset, monkeypatch):
    panel = panels.create(session, "p", LOCI, dataset_id=dataset.dataset_id)
    from_chunks = read(session, dataset, panel)
    assert [site[:2] for site in from_chunks[0]] == [("1", 100), ("2", 130), ("2", 140), ("2", 150), ("2", 160), ("2", 170)]
    assert panel_builder.build(session, dataset, panel) == 1
    ((build_id, n_sites),) = builds(session)
    assert n_sites == 6
    seen = watch_chunks(monkeypatch)
    assert read(session, dataset, panel) == from_chunks
    assert read(session, dataset, panel, subjects_of(session)[7:8])[1] == [[row[7]] for row in from_chunks[1]]
    assert seen == [(build_id, 0)] * 2


def test_making_is_logged_with_whose_genotypes_it_opens_before_it_opens_them(session, dataset, monkeypatch):
    order = []
    seal, record = panel_builder._seal, session.trail.record
    monkeypatch.setattr(panel_builder, "_seal", lambda *a: (order.append("open"), seal(*a))[1])
    monkeypatch.setattr(session.trail, "record", lambda *a, **k: (record(*a, **k), order.append((*a, len(k["subjects"]))))[0])
    panel_builder.create(session, dataset, "p", LOCI)
    assert order == [("panel.build", "intent", 20), "open"]
    last = [entry.leaf for entry in session.trail.log.entries(0)][-1]
    assert b'"act":"panel.build"' in last
    assert b'"done"' in last


def test_appended_parts_get_their_blocks_with_the_import(session, dataset, tmp_path, monkeypatch):
    panel = panel_builder.create(session, dataset, "p", LOCI)
    load(session, tmp_path, cohort_vcf(samples=9, contigs=("2",), sites=12, prefix="T"), "cohort", append=True)
    assert [n for _, n in builds(session)] == [6, 5]
    with_blocks = read(session, dataset, panel)
    assert panel_builder.forget(session, dataset) == 2
    assert builds(session) == []
    assert read(session, dataset, panel) == with_blocks


def test_stale_blocks_are_not_served_and_made_anew(session, dataset):
    panel = panel_builder.create(session, dataset, "p", LOCI)
    expected, before = read(session, dataset, panel), builds(session)
    with session.books.read() as tx:
        part_id = tx.scalars(select(PartRow.part_id)).one()
    assert panel_blocks.find(session, part_id, panel.panel_id) is not None
    with session.books.write() as tx:  # as erasure does; the table's seal says 1, so it is put back below
        tx.execute(update(ChunkRow).where(ChunkRow.ordinal == 0).values(table_version=2))
    assert panel_blocks.find(session, part_id, panel.panel_id) is None
    with session.books.write() as tx:
        tx.execute(update(ChunkRow).values(table_version=1))
        tx.execute(update(PanelBuildRow).values(table_versions=99))
    assert read(session, dataset, panel) == expected
    assert panel_builder.rebuild(session, dataset) == 1
    assert builds(session)[0].build_id != before[0].build_id
    assert panel_builder.rebuild(session, dataset) == 0
    assert [name for name, _ in session.objects.list(before[0].build_id.hex())] == []
    assert session.keys.destroy([KeyPurpose.PANEL], [before[0].build_id]) == 0


def test_blocks_are_made_without_people_whose_keys_are_gone(session, dataset):
    gone, *rest = subjects_of(session)
    session.keys.destroy([KeyPurpose.GENOTYPE], [gone])
    panel = panels.create(session, "p", LOCI, dataset_id=dataset.dataset_id)
    expected = read(session, dataset, panel, rest)
    assert panel_builder.build(session, dataset, panel) == 1
    assert read(session, dataset, panel, rest) == expected


def test_a_panel_that_names_nothing_or_too_much_gets_no_blocks(session, dataset, monkeypatch):
    assert panel_builder.build(session, dataset, panels.create(session, "none", LOCI[3:], dataset_id=dataset.dataset_id)) == 0
    monkeypatch.setattr(panel_builder, "MAX_SITES", 5)
    panel = panel_builder.create(session, dataset, "p", LOCI)
    assert builds(session) == []
    assert len(read(session, dataset, panel)[0]) == 6


def test_only_the_newest_version_is_made_again(session, dataset):
    for loci in (LOCI, LOCI[:2]):
        panel_builder.create(session, dataset, "p", loci)
    assert sorted(n for _, n in builds(session)) == [2, 6]
    panel_builder.forget(session, dataset)
    assert panel_builder.rebuild(session, dataset) == 1
    assert [n for _, n in builds(session)] == [2]


def test_a_failure_leaves_neither_objects_nor_keys_nor_lease(session, dataset, monkeypatch):
    panel = panels.create(session, "p", LOCI, dataset_id=dataset.dataset_id)
    objects = sorted(session.objects.list(""))
    put = session.objects.put

    def failing(name, data):
        if name.endswith(".sites"):
            raise IntegrityError("object_missing", "no")
        put(name, data)

    monkeypatch.setattr(session.objects, "put", failing)
    with pytest.raises(IntegrityError):
        panel_builder.build(session, dataset, panel)
    assert sorted(session.objects.list("")) == objects
    assert builds(session) == []
    with session.books.read() as tx:
        assert tx.scalars(select(LeaseRow)).all() == []
    assert b"object_missing" in [entry.leaf for entry in session.trail.log.entries(0)][-1]


@pytest.mark.parametrize("lost", [UnavailableError("database_unavailable", "lost"), KeyboardInterrupt()])
def test_blocks_that_were_committed_after_all_are_kept(session, dataset, monkeypatch, lost):
    """The commit is on disk, and its report was lost, or somebody interrupted just behind it."""
    panel = panels.create(session, "p", LOCI, dataset_id=dataset.dataset_id)
    write, add, named = session.books.write, panel_builder.panel_blocks.add, []

    @contextmanager
    def losing():
        with write() as tx:
            yield tx
        if named:
            named.clear()
            raise lost

    with monkeypatch.context() as patch:
        patch.setattr(session.books, "write", losing)
        patch.setattr(panel_builder.panel_blocks, "add", lambda *a, **k: (add(*a, **k), named.append(1)))
        with pytest.raises(type(lost)):
            panel_builder.build(session, dataset, panel)
    assert len(builds(session)) == 1
    sites, texts = read(session, dataset, panel)
    assert len(sites)
    assert len(texts)


def test_a_swapped_block_is_an_error(session, dataset):
    panel = panel_builder.create(session, dataset, "p", LOCI)
    name = next(n for n, _ in session.objects.list(builds(session)[0].build_id.hex()) if n.endswith(".blocks"))
    data = bytearray(session.objects.get(name))
    data[-1] ^= 1
    session.objects.delete([name])
    session.objects.put(name, bytes(data))
    with pytest.raises(IntegrityError) as caught:
        read(session, dataset, panel)
    assert caught.value.code == "block_broken"


def test_blocks_of_many_pieces_are_the_same(session, dataset, monkeypatch):
    panel = panels.create(session, "p", LOCI, dataset_id=dataset.dataset_id)
    expected = read(session, dataset, panel)
    monkeypatch.setattr(panel_builder, "_PIECE_CALLS", 40)
    panel_builder.build(session, dataset, panel)
    sites, texts = read(session, dataset, panel)
    assert (sites, texts) == expected
    assert np.shape(texts) == (6, 20)
