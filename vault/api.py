"""Python API: an opened vault, of which programs ask views (docs/python-api.md)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from vault import gate
from vault.access import askable
from vault.access.askable import ListedPanel, ListedProject
from vault.errors import UsageError
from vault.operations import recovery
from vault.session import unlocked_vault
from vault.session.unlocked_vault import UnlockedVault
from vault.views.view import View


class Vault:
    """An unlocked vault, made by ``vault.open``. Use it as a context manager or call ``close``."""

    def __init__(self, opened: UnlockedVault) -> None:
        self._opened = opened

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def projects(self) -> list[ListedProject]:
        """Projects that this principal may see, by code: an engine those that are approved and name it. The listing is logged."""
        return askable.list_projects(self._opened)

    def panels(self) -> list[ListedPanel]:
        """Panels of the datasets that this principal may ask of, by name, in their newest versions. The listing is logged."""
        return askable.list_panels(self._opened)

    def view(self, *, project: str, dataset: str, panel: str | None = None, regions: str | Sequence[str] | None = None) -> View:
        """Make a view of all subjects whose consent permits the project's purpose.

        n pseudonyms, m sites: ``pseudonyms`` str[n], ``sites`` Sites[m], ``genotypes`` int8[m, n, ploidy] (-1 missing, -2 absent),
        ``receipt`` a tlog-proof of this access. A panel view keeps every locus of the panel that was declared as assayed or
        that a released subject carries; a region view leaves out sites and ALTs that no released subject carries.

        Args:
            project: code of an approved project.
            dataset: name of one of the project's datasets.
            panel: name of a panel of the dataset, in its newest version.
            regions: ``"contig:start-end"``, 1-based, both ends included, or a gene, one or several; with a panel: beside its loci;
                none and no panel: the whole dataset.

        Raises:
            UsageError: ``argument_type``; ``regions_empty``: an empty list, which is not everything. RefusedError: nothing may be released.
            InputError: a region is malformed; a name is unknown, of those that ``projects`` and ``panels`` list for this principal.
            IntegrityError: stored data was altered. UnavailableError: the access cannot be logged, or a store does not answer.
        """
        asked = _asked_regions(regions)
        _require_texts(project=project, dataset=dataset, panel="" if panel is None else panel)
        _require_texts(**{f"regions[{at}]": region for at, region in enumerate(asked)})
        return gate.view(self._opened, project=project, dataset=dataset, panel=panel, regions=asked)

    def close(self) -> None:
        """Sign the log's head if this principal holds the key, then drop keys and connections."""
        self._opened.close()


def _asked_regions(given: object) -> list[str]:
    """Regions as a list; None: the whole dataset. Raises UsageError ``argument_type``, ``regions_empty``."""
    if given is None:
        return []
    if isinstance(given, str):
        return [given]
    if not isinstance(given, Iterable):
        raise UsageError("argument_type", f"regions is a str or several, not {type(given).__name__}")
    asked: list[str] = list(given)
    if not asked:
        raise UsageError("regions_empty", "no region is in regions", hint="leave regions out to ask for the whole dataset")
    return asked


def _require_texts(**given: object) -> None:
    """Refuse what is no text where a name belongs, before anything is looked up. Raises UsageError ``argument_type``."""
    for name, value in given.items():
        if not isinstance(value, str):
            raise UsageError("argument_type", f"{name} is a str, not {type(value).__name__}")


def open_vault(
    path: str | os.PathLike[str],
    *,
    principal: str | None,
    passphrase: str | None,
    key_file: str | os.PathLike[str] | None,
) -> Vault:
    """Unlock a vault. Arguments and errors as ``vault.open``."""
    factor = unlocked_vault.factor(passphrase=passphrase, key_file=None if key_file is None else Path(key_file))
    return Vault(recovery.open_recovered(Path(path), factor=factor, principal=principal))
