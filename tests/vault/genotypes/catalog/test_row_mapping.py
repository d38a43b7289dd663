"""What is written of a part, a chunk and its containers is what is read back."""

from __future__ import annotations

from types import SimpleNamespace

from vault.genotypes.catalog.row_mapping import (
    chunk_fields,
    chunk_from_row,
    container_fields,
    owner_from_row,
    part_fields,
    part_from_row,
    personal_fields,
    personal_from_row,
)
from vault.genotypes.store.containers import ContainerRef
from vault.genotypes.store.part_records import ChunkRecord, Owner, PartRecord
from vault.genotypes.store.personal_index import PersonalRecord
from vault.storage.book_tables import ChunkRow, ContainerRow, PanelBuildRow, PanelContainerRow, PartRow, PersonalPartRow

OWNER = Owner(b"v" * 16, b"d" * 16, b"p" * 16)
PART = PartRecord(OWNER.part_id, 2, 30, 4, 500, "directory", 60, b"\1" * 32, b"k" * 16, b"l" * 16)


def chunk(ordinal: int, version: int) -> ChunkRecord:
    refs = tuple(
        ContainerRef(bytes([g]) * 16, b"n" * 8, *vars(OWNER).values(), ordinal, g, 7 + g, 80 + g, 900 + g, b"\2" * 32, b"l" * 16)
        for g in range(2)
    )
    return ChunkRecord(ordinal, 11, "table", 120, b"\3" * 32, b"t" * 16, version, refs, ("first", "second"))


def columns(table) -> set[str]:
    return set(table.__table__.columns.keys())


def test_a_part_comes_back():
    row = PartRow(dataset_id=OWNER.dataset_id, ordinal=0, created=0, **part_fields(PART))
    assert part_from_row(row) == PART
    assert owner_from_row(OWNER.vault_id, row) == OWNER
    beside = {"dataset_id", "ordinal", "created", "assayed", "source", "compacted", "members_sha256", "layout_id"}
    assert columns(PartRow) == beside | set(part_fields(PART))


def test_a_personal_part_comes_back():
    part = PersonalRecord(OWNER.part_id, 30, True, "object", 500, b"\1" * 32, 60)
    row = PersonalPartRow(dataset_id=OWNER.dataset_id, subject_id=b"s" * 16, ordinal=0, created=0, **personal_fields(part))
    assert personal_from_row(row) == part
    assert owner_from_row(OWNER.vault_id, row) == OWNER
    assert columns(PersonalPartRow) >= set(personal_fields(part))


def test_a_chunk_and_its_containers_come_back():
    made = chunk(3, 5)
    rows = [SimpleNamespace(**fields) for fields in container_fields(made, part_id=OWNER.part_id, chunk=3)]
    row = SimpleNamespace(**chunk_fields(made))
    assert chunk_from_row(OWNER, row, rows, ordinal=3, table_version=5, length_key_id=b"l" * 16) == made
    assert columns(ChunkRow) == {"part_id", "ordinal", "table_version", *chunk_fields(made)}
    assert columns(ContainerRow) == set(vars(rows[0]))


def test_a_panel_build_is_a_chunk_with_its_own_places():
    made = chunk(0, 1)
    (first, _) = container_fields(made, build_id=OWNER.part_id)
    assert columns(PanelContainerRow) == set(first)
    assert columns(PanelBuildRow) >= set(chunk_fields(made))
