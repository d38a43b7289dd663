"""The book of panels: named, versioned lists of loci of one dataset, sealed under the books branch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from sqlalchemy import select

from vault.audit.actions import Action, Outcome
from vault.audit.entry import ObjectRef
from vault.crypto.primitives import sha256
from vault.errors import InputError
from vault.files.names import require_name
from vault.genotypes.catalog.datasets import Dataset
from vault.genotypes.loci import Locus
from vault.genotypes.panel_loci import LocusIndex
from vault.ids import DatasetId, new_id
from vault.session.sealed_records import SealedRecord
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import DatasetRow, PanelRow
from vault.storage.stored_types import largest
from vault.storage.timestamps import to_micros

SEALED = SealedRecord("panel", dumps=str, loads=str)  # the text whose digest names the list of loci


@dataclass(frozen=True)
class Panel:
    """A panel in one version."""

    panel_id: bytes
    name: str
    version: int
    dataset_id: DatasetId
    dataset: str
    loci: tuple[Locus, ...]
    sha256: str  # of the canonical list of loci

    @cached_property
    def index(self) -> LocusIndex:
        """The loci arranged for look-up."""
        return LocusIndex(self.loci)


def create(vault: UnlockedVault, name: str, loci: Sequence[Locus], *, dataset_id: DatasetId) -> Panel:
    """Record a panel; a name that is there already gets its next version. ``panel_building`` makes its blocks.

    Raises:
        InputError: ``name_malformed``; ``panel_of_other_dataset``.
    """
    content = json.dumps([locus.as_dict() for locus in loci], sort_keys=True, separators=(",", ":"))
    panel_id = new_id(vault.random)
    with vault.trail.attempting(Action.PANEL_CREATE), vault.books.write() as tx:
        require_name(name, what="panel")
        others = set(tx.scalars(select(PanelRow.dataset_id).where(PanelRow.name == name)))
        if others - {dataset_id}:
            raise InputError("panel_of_other_dataset", f"panel {name} is of another dataset", hint="choose another name")
        version = (tx.scalar(select(largest(PanelRow.version)).where(PanelRow.name == name)) or 0) + 1
        row = PanelRow(
            panel_id=panel_id,
            name=name,
            version=version,
            dataset_id=dataset_id,
            n_loci=len(loci),
            sealed=SEALED.seal(vault.records, panel_id, content),
            created=to_micros(vault.clock()),
        )
        tx.add(row)
        tx.flush()
        panel = ObjectRef("panel", f"{sha256(content.encode()).hex()}:{version}")
        vault.trail.append(tx, Action.PANEL_CREATE, Outcome.DONE, obj=panel, counts={"loci": len(loci)}, detail={"name": name})
    return by_name(vault, name)


def of_dataset(vault: UnlockedVault, name: str, dataset: Dataset) -> Panel:
    """A panel of a dataset in its newest version. Raises InputError ``panel_unknown``."""
    panel = by_name(vault, name)
    if panel.dataset_id != dataset.dataset_id:
        raise InputError("panel_unknown", f"panel {name} is not of this dataset", hint="genovault panel list")
    return panel


def by_name(vault: UnlockedVault, name: str, *, version: int | None = None) -> Panel:
    """The newest (or the named) version of a panel. Raises InputError ``panel_unknown``."""
    query = select(PanelRow, DatasetRow.name).join(DatasetRow, DatasetRow.dataset_id == PanelRow.dataset_id)
    query = query.where(PanelRow.name == name).order_by(PanelRow.version.desc()).limit(1)
    if version is not None:
        query = query.where(PanelRow.version == version)
    with vault.books.read() as tx:
        found = tx.execute(query).first()
    if found is None:
        raise InputError("panel_unknown", f"there is no panel {name}", hint="genovault panel list")
    return _opened(vault, *found)


def list_all(vault: UnlockedVault) -> list[Panel]:
    """All panels and versions, by name."""
    query = select(PanelRow, DatasetRow.name).join(DatasetRow, DatasetRow.dataset_id == PanelRow.dataset_id)
    with vault.books.read() as tx:
        rows = tx.execute(query.order_by(PanelRow.name, PanelRow.version)).all()
    return [_opened(vault, *row) for row in rows]


def newest(vault: UnlockedVault, dataset_id: DatasetId) -> list[Panel]:
    """The newest version of each panel of a dataset."""
    return list({panel.name: panel for panel in list_all(vault) if panel.dataset_id == dataset_id}.values())


def _opened(vault: UnlockedVault, row: PanelRow, dataset: str) -> Panel:
    content = SEALED.open(vault.records, row.panel_id, row.sealed)
    loci = tuple(Locus.from_dict(fields) for fields in json.loads(content))
    return Panel(row.panel_id, row.name, row.version, DatasetId(row.dataset_id), dataset, loci, sha256(content.encode()).hex())
