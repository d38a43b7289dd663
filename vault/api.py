"""Python API: an opened vault, of which programs ask views (docs/python-api.md)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from vault import gate
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

    def view(self, *, project: str, dataset: str, panel: str | None = None, regions: Sequence[str] = ()) -> View:
        """Make a view of all subjects whose consent permits the project's purpose.

        n pseudonyms, m sites: ``pseudonyms`` str[n], ``sites`` Sites[m], ``genotypes`` int8[m, n, ploidy] (-1 missing, -2 absent),
        ``receipt`` a tlog-proof of this access. A panel view keeps every locus of the panel that was declared as assayed or
        that a released subject carries; a region view leaves out sites and ALTs that no released subject carries.

        Args:
            project: code of an approved project.
            dataset: name of one of the project's datasets.
            panel: name of a panel of the dataset, in its newest version.
            regions: ``"contig:start-end"``, 1-based, both ends included; none and no panel: the whole dataset.

        Raises:
            RefusedError: nothing may be released. InputError: a name or region is unknown or malformed, for stewards.
            IntegrityError: stored data was altered. UnavailableError: the access cannot be logged, or a store does not answer.
        """
        return gate.view(self._opened, project=project, dataset=dataset, panel=panel, regions=regions)

    def close(self) -> None:
        """Sign the log's head if this principal holds the key, then drop keys and connections."""
        self._opened.close()


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
