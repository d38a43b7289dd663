"""Python API: an opened vault, of which programs ask views (docs/python-api.md)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from policies.purposes import RequestKind
from vault import gate
from vault.access import askable
from vault.access.askable import ListedPanel, ListedProject
from vault.counting import CountsAnswer
from vault.errors import UsageError
from vault.gate.matching import MatchAnswer
from vault.match_counting import CriteriaCounts
from vault.operations import recovery
from vault.session import unlocked_vault
from vault.session.unlocked_vault import UnlockedVault
from vault.tables.answers import FrequencyTable
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
        if panel is not None and not asked:
            return gate.read_panel(self._opened, project=project, dataset=dataset, panel=panel).view
        return gate.view(self._opened, project=project, dataset=dataset, panel=panel, regions=asked)

    def match(self, *, project: str, dataset: str, panel: str, criteria: str) -> MatchAnswer:
        """Tell for whom each criterion of an approved pack holds, in place of genotypes.

        Who takes part, what is masked and whether phase is known are as in a view of the panel; somebody whose calls leave it open is not listed.
        ``criteria``: each with ``id``, ``matched`` (pseudonyms, in an order that tells nothing) and ``unknown_band``; ``bits``: ``view`` and ``cumulative``.

        Args:
            project: code of an approved project that declares matching.
            dataset: name of one of the project's datasets.
            panel: name of the panel that the pack is approved for.
            criteria: ``"NAME@VERSION"`` of the pack.

        Raises:
            UsageError: ``argument_type``. InputError: ``criteria`` is no such text; a name is unknown, of those that this principal may list.
            RefusedError: nothing is answered. IntegrityError, UnavailableError: as ``view``.
        """
        _require_texts(project=project, dataset=dataset, panel=panel, criteria=criteria)
        return gate.match(self._opened, project=project, dataset=dataset, panel=panel, criteria=criteria)

    def match_counts(
        self,
        *,
        project: str,
        dataset: str,
        panel: str,
        criteria: str,
        epsilon: float | str | None = None,
        accuracy: int | None = None,
    ) -> CriteriaCounts:
        """Noisy numbers of the people for whom each criterion of an approved pack holds, charged as those of ``counts``.

        ``criteria`` of the answer: each with ``id`` and ``people`` (None for fewer than 21, and for all but 20). The project declares counts
        beside matching. Arguments as of ``match``, and of ``counts`` for accuracy. Raises as ``counts``.
        """
        _require_texts(project=project, dataset=dataset, panel=panel, criteria=criteria)
        text = _exactness(epsilon, accuracy)
        return gate.match_counts(
            self._opened, project=project, dataset=dataset, panel=panel, criteria=criteria, epsilon=text, accuracy=accuracy
        )

    def counts(
        self,
        *,
        project: str,
        dataset: str,
        alleles: Sequence[str] | None = None,
        panel: str | None = None,
        epsilon: float | str | None = None,
        accuracy: int | None = None,
    ) -> CountsAnswer:
        """Noisy numbers of the people who carry alleles, among all whose consent permits the project's purpose.

        Each allele that was not answered before is charged ``epsilon`` nats to the budgets of project, organisation and all; the same
        question gets the same answer, free, while the same people take part. ``carriers`` is None for fewer than 21, masked or absent alike.

        Args:
            project: code of an approved project that declares counts.
            dataset: name of one of the project's datasets.
            alleles: ``"contig:pos:ref:alt"`` each, or
            panel: name of a panel of the dataset whose loci are exact.
            epsilon: nats for each allele, or
            accuracy: number of carriers that an answer may be off in 95 of 100 cases; neither: 0.1 nats, which is 30 carriers.

        Raises:
            UsageError: ``argument_type``. InputError: an allele or number is malformed. RefusedError: nothing is answered, or a budget is spent.
            IntegrityError, UnavailableError: as ``view``.
        """
        return self._counted(RequestKind.COUNTS, project, dataset, alleles=alleles, panel=panel, exact=(epsilon, accuracy))

    def presence(
        self,
        *,
        project: str,
        dataset: str,
        alleles: Sequence[str] | None = None,
        panel: str | None = None,
        epsilon: float | str | None = None,
        accuracy: int | None = None,
    ) -> CountsAnswer:
        """As ``counts``, but without numbers: which alleles 21 people or more carry, as far as the noise lets it be told."""
        return self._counted(RequestKind.PRESENCE, project, dataset, alleles=alleles, panel=panel, exact=(epsilon, accuracy))

    def frequencies(self, *, project: str, dataset: str, panel: str) -> FrequencyTable:
        """Exact frequencies of a panel's alleles, among all whose consent permits the project's purpose.

        The panel's newest version has to be approved for it by two stewards, before the project's first answer. ``rows``: (allele, frequency)
        of those that 21 people carry and 21 do not, and that are no rarer than 0.05, in steps of ``step``. The table is charged to the budgets of
        project, organisation and all; asked again it is the same, free, while everybody in it takes part.

        Args:
            project: code of an approved project that declares frequencies.
            dataset: name of one of the project's datasets.
            panel: name of a panel of the dataset.

        Raises:
            UsageError: ``argument_type``. RefusedError: nothing is given, or a budget is spent. IntegrityError, UnavailableError: as ``view``.
        """
        _require_texts(project=project, dataset=dataset, panel=panel)
        return gate.frequencies(self._opened, project=project, dataset=dataset, panel=panel)

    def _counted(
        self,
        kind: RequestKind,
        project: str,
        dataset: str,
        *,
        alleles: object,
        panel: str | None,
        exact: tuple[float | str | None, int | None],
    ) -> CountsAnswer:
        if isinstance(alleles, str) or not isinstance(alleles, Iterable | None):
            raise UsageError("argument_type", "alleles is several str, not one")
        asked: list[str] = list(alleles or ())
        _require_texts(project=project, dataset=dataset, panel="" if panel is None else panel)
        _require_texts(**{f"alleles[{at}]": allele for at, allele in enumerate(asked)})
        epsilon, accuracy = exact
        text = _exactness(epsilon, accuracy)
        return gate.counts(
            self._opened,
            project=project,
            dataset=dataset,
            kind=kind,
            alleles=asked,
            panel=panel,
            epsilon=text,
            accuracy=accuracy,
        )

    def close(self) -> None:
        """Sign the log's head if this principal holds the key, then drop keys and connections."""
        self._opened.close()


def _exactness(epsilon: object, accuracy: object) -> str | None:
    """An epsilon as text. Raises UsageError ``argument_type`` unless both are numbers or None."""
    if isinstance(epsilon, bool) or not isinstance(epsilon, str | float | int | None):
        raise UsageError("argument_type", f"epsilon is a number, not {type(epsilon).__name__}")
    if isinstance(accuracy, bool) or not isinstance(accuracy, int | None):
        raise UsageError("argument_type", f"accuracy is an int, not {type(accuracy).__name__}")
    return f"{epsilon:.6f}" if isinstance(epsilon, float | int) else epsilon


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
