"""The Python door: an opened vault as programs see it. It can ask for views, and nothing else."""

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
    """An unlocked vault. Close it, or use it as a context manager: closing signs the log's head."""

    def __init__(self, opened: UnlockedVault) -> None:
        self._session = opened

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def view(self, *, project: str, dataset: str, panel: str | None = None, regions: Sequence[str] = ()) -> View:
        """De-identified genotypes of everyone whose consent covers the project: ``pseudonyms`` str[n], ``sites`` Sites[m],
        ``genotypes`` int8[m, n, ploidy] (-1 missing, -2 absent), ``receipt`` of this very access.

        A panel view keeps every locus of the panel that the dataset has; a region view ("22:16000000-16100000"; none: all of
        the dataset) leaves out what no released subject carries.

        Raises:
            RefusedError: nothing may be released. InputError, IntegrityError, UnavailableError.
        """
        return gate.view(self._session, project=project, dataset=dataset, panel=panel, regions=regions)

    def close(self) -> None:
        """Sign the log's head, where this principal can, and let go of keys and connections."""
        self._session.close()


def open_vault(
    path: str | os.PathLike[str],
    *,
    principal: str | None,
    passphrase: str | None,
    key_file: str | os.PathLike[str] | None,
) -> Vault:
    """Unlock a vault. See ``vault.open``."""
    factor = unlocked_vault.factor(passphrase=passphrase, key_file=None if key_file is None else Path(key_file))
    return Vault(recovery.open_recovered(Path(path), factor=factor, principal=principal))
