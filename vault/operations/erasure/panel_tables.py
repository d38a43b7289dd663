"""Panel builds of a part whose site tables lose alleles: their tables are rewritten after the part's, and no block is opened.

A build's rows are those that the panel's loci name in the part. They are found again in the part's tables before these are rewritten;
afterwards each takes the text of its site, and one that the panel names no more is blanked. A build that is not what making it again
would give (or whose rewriting was interrupted) is removed, and made again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from vault.crypto.envelope import open_blob, seal_blob
from vault.crypto.key_wrapping import KeyPurpose
from vault.crypto.primitives import sha256
from vault.genotypes.catalog import panel_blocks, panels, parts
from vault.genotypes.sites import Sites
from vault.genotypes.store.part_records import Owner
from vault.genotypes.store.selections import PanelLoci, Selection, choose_rows
from vault.genotypes.store.site_redaction import followed, shown, without_rows
from vault.genotypes.store.site_tables import SiteTable
from vault.ids import DatasetId, KeyId, PartId, new_id
from vault.operations.erasure.counts import Lists
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import PanelBuildRow, PanelContainerRow, PartRow


@dataclass(frozen=True)
class FollowingBuild:
    """A build whose table is to follow its part's in some chunks. ``rows``: of those that the panel names something in, the part's
    rows (int64[k]) and the build's (int64[k]).
    """

    build: PanelBuildRow
    owner: Owner
    table: SiteTable
    selection: Selection
    chunks: Sequence[int]
    rows: Mapping[int, tuple[NDArray[np.int64], NDArray[np.int64]]]


def standing(vault: UnlockedVault, part: PartRow, private: Lists) -> list[FollowingBuild]:
    """The builds over a part that are of its tables as they are, before what is ``private`` in them is blanked."""
    with vault.books.read() as tx:
        versions = panel_blocks.table_versions(tx, PartId(part.part_id))
        same = PanelBuildRow.part_id == part.part_id, PanelBuildRow.table_versions == versions
        rows = tx.scalars(select(PanelBuildRow).where(*same)).all() if private else ()
    by_id = {panel.panel_id: panel for panel in panels.list_all(vault)} if rows else {}
    found = []
    for row in rows:
        panel = by_id[row.panel_id]
        selection = Selection(panel=PanelLoci(panel.panel_id, panel.index))
        chosen = _chosen(vault, part, selection, private)
        owner = Owner(vault.vault_id, DatasetId(part.dataset_id), PartId(row.build_id))
        key = vault.keys.open_ids(KeyPurpose.PANEL, [row.table_key_id])[row.table_key_id]
        binding = owner.table_binding(0, 1, KeyId(row.table_key_id))
        table = SiteTable.from_bytes(open_blob(key, binding, vault.objects.get(row.table_object)))
        placed = {ordinal: (rows, _place(table.sites, sites)) for ordinal, (rows, sites) in chosen.items()}
        if all(at is not None for _, at in placed.values()):
            known = {ordinal: (rows, at) for ordinal, (rows, at) in placed.items() if at is not None}
            found.append(FollowingBuild(row, owner, table, selection, tuple(private), known))
    return found


def follow(vault: UnlockedVault, part: PartRow, builds: Sequence[FollowingBuild]) -> int:
    """Rewrite the tables of builds after their part's; how many were. Those that this cannot do are left as they are, stale."""
    done = 0
    for one in builds:
        table = _followed(vault, part, one)
        if table is not None:
            _swap(vault, part, one, table)
            done += 1
    return done


def settle_builds(vault: UnlockedVault, part_ids: Iterable[PartId]) -> int:
    """Remove builds over these parts that are stale, and what rewriting has left of the others' tables; how many were removed."""
    stale = []
    for part_id in part_ids:
        with vault.books.read() as tx:
            versions = panel_blocks.table_versions(tx, part_id)
            rows = tx.scalars(select(PanelBuildRow).where(PanelBuildRow.part_id == part_id)).all()
        for row in rows:
            if row.table_versions == versions:
                _tidy(vault, row)
            else:
                stale.append(bytes(row.build_id))
    panel_blocks.remove(vault, stale)
    return len(stale)


def _chosen(
    vault: UnlockedVault, part: PartRow, selection: Selection, private: Iterable[int]
) -> dict[int, tuple[NDArray[np.int64], Sites]]:
    """Sites that a panel names in some chunks of a part: rows int64[k], and their sites."""
    directory = parts.open_part(vault, part, keep=False).reader.directory
    wanted = [ordinal for ordinal in selection.chunks(directory) if ordinal in set(private)]
    if not wanted:
        return {}
    reader = parts.open_for_erasure(vault, part, wanted)
    found = {}
    for ordinal, rows in choose_rows(reader, selection, wanted):
        sites = reader.sites(ordinal)
        found[ordinal] = (np.arange(len(sites)) if rows is None else rows, sites if rows is None else sites.take(rows))
    return found


def _place(table: Sites, sites: Sites) -> NDArray[np.int64] | None:
    """int64[k]: the one run of rows of a build that says what ``sites`` say; None if there is none or more than one."""
    live = shown(table)
    wanted, there = _texts(sites), _texts(table.take(live))
    starts = [at for at, text in enumerate(there) if text == wanted[0] and there[at : at + len(wanted)] == wanted]
    return live[starts[0] : starts[0] + len(wanted)] if len(starts) == 1 else None


def _texts(sites: Sites) -> list[tuple[object, ...]]:
    names = [sites.contigs[number] for number in sites.contig.tolist()]
    texts = (column.items() for column in (sites.alleles, sites.ids, sites.filters, sites.info))
    return list(zip(names, sites.pos.tolist(), *texts, strict=True))


def _followed(vault: UnlockedVault, part: PartRow, one: FollowingBuild) -> SiteTable | None:
    """The table of a build after its part's were rewritten; None where making it again would give other rows."""
    with vault.books.read() as tx:
        now = tx.get_one(PartRow, part.part_id)
    chosen = _chosen(vault, now, one.selection, one.chunks)
    if chosen.keys() - one.rows.keys():
        return None
    sites = one.table.sites
    gone = []
    for ordinal, (rows, at) in one.rows.items():
        still, texts = chosen.get(ordinal, (np.zeros(0, np.int64), sites.take([])))
        if np.setdiff1d(still, rows).size:
            return None
        sites = followed(sites, at[np.isin(rows, still)], texts)
        gone.append(at[~np.isin(rows, still)])
    sites = without_rows(sites, np.concatenate([np.zeros(0, np.int64), *gone]))
    return SiteTable(sites, one.table.coding) if len(shown(sites)) else None


def _swap(vault: UnlockedVault, part: PartRow, one: FollowingBuild, table: SiteTable) -> None:
    """Name the new table in the books; then its predecessor goes. What a kill leaves between is found under the build's prefix."""
    build_id = one.build.build_id
    version = vault.keys.newest_version(KeyPurpose.PANEL, build_id) + 1
    key = vault.keys.create(KeyPurpose.PANEL, [build_id], version=version)[0]
    data = seal_blob(key.secret, one.owner.table_binding(0, 1, key.key_id), table.to_bytes(), random=vault.random)
    name = f"{build_id.hex()}/{new_id(vault.random).hex()}.sites"
    vault.objects.put(name, data)
    with vault.books.write() as tx:
        row = tx.get_one(PanelBuildRow, build_id)
        row.table_object, row.table_bytes, row.table_sha256, row.table_key_id = name, len(data), sha256(data), key.key_id
        row.table_versions = panel_blocks.table_versions(tx, PartId(part.part_id))
    _tidy(vault, row)


def _tidy(vault: UnlockedVault, row: PanelBuildRow) -> None:
    """Destroy keys and delete objects of a build that the books do not name."""
    with vault.books.read() as tx:
        blocks = tx.scalars(select(PanelContainerRow.object).where(PanelContainerRow.build_id == row.build_id))
        named = {row.table_object, *blocks}
    spare = set(vault.keys.ids_of(KeyPurpose.PANEL, row.build_id)) - {row.table_key_id, row.length_key_id}
    if spare:
        vault.keys.destroy_ids(sorted(spare))
    vault.objects.delete([name for name, _ in vault.objects.list(row.build_id.hex()) if name not in named])
