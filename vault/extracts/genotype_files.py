"""The genotypes of a view as the files of each format, in one set or in one for each contig."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Literal

from vault.extracts.parcel import Parcel

if TYPE_CHECKING:
    from vault.ids import Pseudonym
    from vault.views.header_summary import HeaderSummary
    from vault.views.pages import Page, Paged

Format = Literal["vcf", "bcf", "pgen"]

Progress = Callable[[int, int], None]
"""(sites written, sites in all), while a view is written."""

_PLAIN = re.compile(r"[A-Za-z0-9._-]{1,40}")
STEM = "genotypes"  # of the files' names


@dataclass(frozen=True)
class FileChoice:
    """How genotypes are written. ``by_contig``: a set of files for each contig that has records, all with the same header."""

    file_format: Format = "vcf"
    by_contig: bool = False

    @property
    def indexed(self) -> bool:
        """The files have an index of htslib's beside them."""
        return self.file_format in {"vcf", "bcf"}


ONE_VCF = FileChoice()


def write_genotypes(
    view: Paged, parcel: Parcel, chosen: FileChoice, *, vault_view: Mapping[str, str], progress: Progress | None = None
) -> dict[str, int]:
    """Write the view's genotypes into ``parcel``; how many calls the format could not hold as they are, by what became of them.

    ``vault_view``: fields of the header's one line about the view, an ID among them.

    Raises:
        UsageError, InputError, IntegrityError, UnavailableError: as the writer of the format.
    """
    write = _WRITERS[chosen.file_format]
    watched = view if progress is None else _Watched(view, progress)
    if not chosen.by_contig:
        return write(watched, parcel, STEM, view.summary.n_sites, vault_view)
    from vault.extracts.contig_runs import contig_runs  # noqa: PLC0415 - loads what the other way does not need

    losses: Counter[str] = Counter()
    for run, name in zip(contig_runs(watched), _file_names(view), strict=True):
        losses.update(write(run, parcel, f"{STEM}.{name}", run.n_sites, vault_view))
    return dict(losses)


def _file_names(view: Paged) -> Iterator[str]:
    """A name for the files of each contig that has records: its own where that is plain, else its number among the header's."""
    taken = set()
    for number, (name, n_sites) in enumerate(zip(view.summary.contigs, view.summary.contig_sites, strict=True), 1):
        if n_sites:
            plain = _PLAIN.fullmatch(name) and not name.startswith("contig-") and name.lower() not in taken
            taken.add(name.lower())  # some systems take two names that differ in case for one
            yield name if plain else f"contig-{number}"


@dataclass(frozen=True)
class _Watched:
    """A view that tells how many of its sites were written: all of a page's once the next is asked for."""

    _view: Paged
    _progress: Progress

    @property
    def pseudonyms(self) -> tuple[Pseudonym, ...]:
        """Pseudonyms of the columns, in order."""
        return self._view.pseudonyms

    @property
    def assembly(self) -> str:
        """Assembly of the positions."""
        return self._view.assembly

    @property
    def summary(self) -> HeaderSummary:
        """Names that the header has to define."""
        return self._view.summary

    @property
    def not_assayed(self) -> tuple[str, ...]:
        """As in ``View``."""
        return self._view.not_assayed

    def pages(self) -> Iterator[Page]:
        """The records in order."""
        done = 0
        for page in self._view.pages():
            yield page
            done += len(page.sites)
            self._progress(done, self.summary.n_sites)


def _write_vcf(view: Paged, parcel: Parcel, stem: str, _n_sites: int, vault_view: Mapping[str, str]) -> dict[str, int]:
    from vault.extracts.vcf import write_vcf  # noqa: PLC0415 - kernels load when genotypes are opened, and those of one format

    name = f"{stem}.vcf.gz"
    with parcel.create(f"{name}.csi", file_format="csi/1") as index, parcel.create(name, file_format="vcf/4.3+bgzf") as vcf:
        found = write_vcf(view, vcf, index, vault_view=vault_view)
    if found.fits_tabix:
        with parcel.create(f"{name}.tbi", file_format="tbi/1") as index:
            found.write_tabix(index)
    return {}


def _write_bcf(view: Paged, parcel: Parcel, stem: str, _n_sites: int, vault_view: Mapping[str, str]) -> dict[str, int]:
    from vault.extracts.bcf import write_bcf  # noqa: PLC0415 - as above

    name = f"{stem}.bcf"
    with parcel.create(f"{name}.csi", file_format="csi/1") as index, parcel.create(name, file_format="bcf/2.2+bgzf") as bcf:
        write_bcf(view, bcf, index, vault_view=vault_view)
    return {}


def _write_pgen(view: Paged, parcel: Parcel, stem: str, n_sites: int, vault_view: Mapping[str, str]) -> dict[str, int]:
    from vault.extracts.pgen import write_pgen  # noqa: PLC0415 - as above

    with ExitStack() as stack:
        files: list[BinaryIO] = [
            stack.enter_context(parcel.create(f"{stem}.{kind}", file_format=f"{kind}/2")) for kind in ("pgen", "pvar", "psam")
        ]
        return write_pgen(view, *files, n_sites=n_sites, vault_view=vault_view)


_WRITERS: dict[Format, Callable[[Paged, Parcel, str, int, Mapping[str, str]], dict[str, int]]] = {
    "vcf": _write_vcf,
    "bcf": _write_bcf,
    "pgen": _write_pgen,
}
