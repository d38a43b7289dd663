"""Blocks opened for a reader: step 5 of the gate, and the de-identification that follows. No other module opens one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from policies.loci import Interval, Mask
from vault.access import asked_regions, leftovers, release_names
from vault.access.disclosure.carrier_table import Read
from vault.access.excluded_places import renamed
from vault.access.scope import AccessScope
from vault.crypto.key_wrapping import KeyPurpose
from vault.errors import IntegrityError
from vault.gate.accesses import Access, Destination
from vault.genotypes.catalog import dataset_reader, declared_assays
from vault.genotypes.store.selections import Selection
from vault.ids import SubjectId
from vault.session.unlocked_vault import UnlockedVault

if TYPE_CHECKING:
    from vault.genotypes.codec.allele_counts import AlleleCounts
    from vault.genotypes.store.part_merge import Calls
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
    reader = dataset_reader.GenotypeReader(vault, scope.dataset, [subjects[at] for at in order], keys)
    chosen = reader.choose(selection)
    rules = access.limits.rules
    profile = Profile(
        keep_phase=rules.keep_phase,
        keep_ids=rules.keep_ids,
        keep_filters=rules.keep_filters,
        min_carriers=rules.min_carriers,
        hidden=access.limits.hidden.and_places(_linked(access, reader)),
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


def _linked(access: Access, reader: dataset_reader.GenotypeReader) -> tuple[Interval, ...]:
    """Places that are linked with an excluded one in the people who are released; the excluded place is opened too, to compare with.

    Where nothing is excluded, or nothing near it is asked for, nothing is read.
    """
    from vault.views.linked_places import linked_places  # noqa: PLC0415 - as in ``open_view``

    limits, scope = access.limits, access.scope
    if limits.rules.linkage is None or not limits.excluded.intervals:
        return ()
    asked = [locus.place for locus in (scope.panel.loci if scope.panel else ())]
    if scope.regions:
        asked += asked_regions.read_regions(scope.regions).intervals

    def read(places: tuple[Interval, ...], n_sites: int) -> Iterator[tuple[Calls, AlleleCounts]]:
        return (window.read() for window in reader.choose(Selection(regions=places)).windows(n_sites))

    return linked_places(
        read,
        excluded=limits.excluded,
        hidden=Mask.from_intervals(limits.hidden.masks),
        asked=renamed(Mask.from_intervals(asked)) if scope.panel or scope.regions else None,
        linkage=limits.rules.linkage,
        n_people=len(access.decided.permitted),
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
