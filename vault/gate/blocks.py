"""Blocks opened for a reader: step 5 of the gate, and the de-identification that follows. No other module opens one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vault.access import leftovers, release_names
from vault.access.disclosure.carrier_table import Read
from vault.access.scope import AccessScope
from vault.crypto.key_wrapping import KeyPurpose
from vault.errors import IntegrityError
from vault.gate.accesses import Access, Destination
from vault.genotypes.catalog import dataset_reader, declared_assays
from vault.genotypes.store.selections import Selection
from vault.ids import SubjectId
from vault.session.unlocked_vault import UnlockedVault

if TYPE_CHECKING:
    from vault.views.deidentify import Deidentified


def open_view(vault: UnlockedVault, access: Access, *, at_once: bool = False, to: Destination | None = None) -> Deidentified:
    """Steps 5 and 6: open the permitted subjects' blocks in random row order and de-identify them. An extract that may go on has its row
    order from a key, and one that goes on the same order and names.

    Nothing else opens a block for a reader. Further windows are opened as pages are asked for; ``at_once``: all now, as one page.

    Raises:
        IntegrityError: ``key_missing``; a block or table was altered. RefusedError: ``extract_changed``.
    """
    from vault.views.deidentify import Deidentified, row_order  # noqa: PLC0415 - kernels load when genotypes are opened, not with every command
    from vault.views.site_selection import Profile  # noqa: PLC0415 - as above

    scope, subjects, selection = access.scope, access.decided.permitted, access.scope.selection()
    keys = open_keys(vault, KeyPurpose.GENOTYPE, subjects)
    left = None if to is None else to.left
    naming = release_names.begin if left is None else release_names.naming
    names = release_names.names(vault, naming(vault, scope.project, access.release_id), subjects)
    kept = to is not None and to.chosen.by_contig
    order_key = leftovers.column_order(vault, access.release_id, again=left is not None) if kept else vault.random(32)
    order = row_order(order_key, names).tolist()
    # Blocks are decoded straight into the order of the view.
    chosen = dataset_reader.choose(vault, scope.dataset, selection, [subjects[at] for at in order], keys)
    rules = access.limits.rules
    profile = Profile(
        keep_phase=rules.keep_phase,
        keep_ids=rules.keep_ids,
        keep_filters=rules.keep_filters,
        min_carriers=rules.min_carriers,
        hidden=access.limits.hidden,
        regions=selection.regions,
    )
    return Deidentified(
        chosen,
        [names[at] for at in order],
        profile=profile,
        assembly=scope.dataset.assembly,
        panel=selection.panel.index if selection.panel else None,
        assayed=declared_assays.of_dataset(vault, scope.dataset.dataset_id),
        tracked=chosen.reference is not None,
        window_sites=max(1, chosen.n_sites) if at_once else None,
    )


def open_keys(vault: UnlockedVault, purpose: KeyPurpose, subjects: Sequence[SubjectId]) -> dict[bytes, bytes]:
    """Keys by subject. Raises IntegrityError ``key_missing`` unless every subject has one."""
    found = vault.keys.open_many(purpose, subjects)
    if len(found) != len(subjects):
        raise IntegrityError("key_missing", f"a {purpose.value} key is not in the key database", hint="run genovault doctor")
    return found


def open_calls(vault: UnlockedVault, scope: AccessScope, people: Sequence[SubjectId]) -> Read:
    """Reading of the calls of ``people``, in their order, to be counted inside: places in, genotypes out. Raises IntegrityError as ``open_view``."""
    reader = dataset_reader.GenotypeReader(vault, scope.dataset, people, open_keys(vault, KeyPurpose.GENOTYPE, people))
    return lambda places: reader.read(Selection(regions=tuple(places)))
