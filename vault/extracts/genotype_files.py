"""The genotypes of a view as the files of each format, in one set or in one for each contig."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, BinaryIO, Literal, cast

from vault.errors import UsageError
from vault.extracts.parcel import Parcel

if TYPE_CHECKING:
    from vault.extracts.manifest import FileEntry
    from vault.views.pages import Paged

Format = Literal["vcf", "bcf", "pgen", "parquet"]
Layout = Literal["long", "wide"]

Progress = Callable[[int, int], None]
"""(sites written, sites in all), while a view is written."""

_PLAIN = re.compile(r"[A-Za-z0-9._-]{1,40}")
STEM = "genotypes"  # of the files' names, but of Parquet's tables


@dataclass(frozen=True)
class FileChoice:
    """Choice of how genotypes are written. ``by_contig``: a set of files for each contig that has records, all with the same header. ``layout``: of Parquet.

    Raises:
        UsageError: ``layout_without_parquet``, ``wide_by_contig``: choices that exclude each other.
    """

    file_format: Format = "vcf"
    by_contig: bool = False
    layout: Layout = "long"

    def __post_init__(self) -> None:
        if self.layout == "wide" and self.file_format != "parquet":
            raise UsageError("layout_without_parquet", "only Parquet has a wide layout", hint="--format parquet --layout wide")
        if self.layout == "wide" and self.by_contig:
            raise UsageError("wide_by_contig", "a wide table has all sites of a panel side by side", hint="--layout long")

    @property
    def indexed(self) -> bool:
        """The files have an index of htslib's beside them."""
        return self.file_format in {"vcf", "bcf"}

    def require_fits(self, *, panel: bool) -> None:
        """Raises UsageError ``wide_without_panel`` for a wide table of something else than a panel."""
        if self.layout == "wide" and not panel:
            raise UsageError("wide_without_panel", "only a panel is written with a column for each site", hint="--layout long")


ONE_VCF = FileChoice()
_DATA = {"vcf": "genotypes.vcf.gz", "bcf": "genotypes.bcf", "pgen": "genotypes.pgen", "parquet": "calls.parquet"}


def choice_of(manifest: str) -> FileChoice:
    """Choice by which a release's genotypes are written, from its manifest.json. Raises ValueError for text that is none."""
    names = {str(entry["name"]).removesuffix(".c4gh") for entry in json.loads(manifest)["manifest"]["files"]}
    for file_format, whole in _DATA.items():
        stem, end = whole.split(".", 1)
        if any(name.startswith(f"{stem}.") and name.endswith(f".{end}") for name in names):
            wide = file_format == "parquet" and "samples.parquet" not in names
            return FileChoice(cast("Format", file_format), by_contig=whole not in names, layout="wide" if wide else "long")
    raise ValueError("no file of the manifest holds genotypes")


@dataclass(frozen=True)
class FinishedContig:
    """A contig whose files are written and synced. ``losses`` as of ``write_genotypes``."""

    contig: str
    files: tuple[FileEntry, ...]
    losses: Mapping[str, int]


@dataclass(frozen=True)
class Unfinished:
    """A view that is written contig by contig: those finished ``before``, and what is told of each one as it is finished."""

    before: Sequence[FinishedContig]
    finished: Callable[[FinishedContig], None]


@dataclass(frozen=True)
class _FileSet:
    """The files that hold ``n_sites`` sites, the first of which has number ``first_site`` in the whole view. ``contig``: what tells their names apart."""

    n_sites: int
    first_site: int = 0
    contig: str = ""

    def name(self, stem: str, end: str) -> str:
        """A file's name, as in "genotypes.chr22.vcf.gz"."""
        return ".".join([stem, *([self.contig] if self.contig else []), end])


def write_genotypes(
    view: Paged,
    parcel: Parcel,
    chosen: FileChoice,
    *,
    vault_view: Mapping[str, str],
    progress: Progress | None = None,
    unfinished: Unfinished | None = None,
) -> dict[str, int]:
    """Write the view's genotypes into ``parcel``; how many calls the format could not hold as they are, by what became of them.

    ``vault_view``: fields of the header's one line about the view, an ID among them. ``unfinished``: contigs that are in the parcel already,
    whose files are not written.

    Raises:
        UsageError, InputError, IntegrityError, UnavailableError: as the writer of the format.
    """
    write = _WRITERS[chosen.file_format, chosen.layout]
    before = unfinished.before if unfinished else ()
    numbers = dict(zip(view.summary.contigs, view.summary.contig_sites, strict=True))
    from vault.extracts.watched_pages import WatchedPages  # noqa: PLC0415 - loads kernels, as the writers do

    watched = view if progress is None else WatchedPages(view, progress, sum(numbers[one.contig] for one in before))
    if not chosen.by_contig:
        return write(watched, parcel, _FileSet(view.summary.n_sites), vault_view)
    from vault.extracts.contig_runs import contig_runs  # noqa: PLC0415 - loads what the other way does not need

    losses = sum((Counter(one.losses) for one in before), Counter[str]())
    names = dict(zip((name for name, n_sites in numbers.items() if n_sites), _file_names(view), strict=True))
    firsts = dict(zip(numbers, accumulate(numbers.values(), initial=0), strict=False))
    for run in contig_runs(watched, without={one.contig for one in before}):
        written = len(parcel.entries)
        lost = write(run, parcel, _FileSet(run.n_sites, firsts[run.name], names[run.name]), vault_view)
        losses.update(lost)
        if unfinished:
            unfinished.finished(FinishedContig(run.name, tuple(parcel.entries[written:]), lost))
    return dict(losses)


def _file_names(view: Paged) -> Iterator[str]:
    """A name for the files of each contig that has records: its own where that is plain, else its number among the header's."""
    taken = set()
    for number, (name, n_sites) in enumerate(zip(view.summary.contigs, view.summary.contig_sites, strict=True), 1):
        if n_sites:
            plain = _PLAIN.fullmatch(name) and not name.startswith("contig-") and name.lower() not in taken
            taken.add(name.lower())  # some systems take two names that differ in case for one
            yield name if plain else f"contig-{number}"


def _write_vcf(view: Paged, parcel: Parcel, files: _FileSet, vault_view: Mapping[str, str]) -> dict[str, int]:
    from vault.extracts.vcf import write_vcf  # noqa: PLC0415 - kernels load when genotypes are opened, and those of one format

    name = files.name(STEM, "vcf.gz")
    with parcel.create(f"{name}.csi", file_format="csi/1") as index, parcel.create(name, file_format="vcf/4.3+bgzf") as vcf:
        found = write_vcf(view, vcf, index, vault_view=vault_view)
    if found.fits_tabix:
        with parcel.create(f"{name}.tbi", file_format="tbi/1") as index:
            found.write_tabix(index)
    return {}


def _write_bcf(view: Paged, parcel: Parcel, files: _FileSet, vault_view: Mapping[str, str]) -> dict[str, int]:
    from vault.extracts.bcf import write_bcf  # noqa: PLC0415 - as above

    name = files.name(STEM, "bcf")
    with parcel.create(f"{name}.csi", file_format="csi/1") as index, parcel.create(name, file_format="bcf/2.2+bgzf") as bcf:
        write_bcf(view, bcf, index, vault_view=vault_view)
    return {}


def _write_pgen(view: Paged, parcel: Parcel, files: _FileSet, vault_view: Mapping[str, str]) -> dict[str, int]:
    from vault.extracts.pgen import write_pgen  # noqa: PLC0415 - as above

    with ExitStack() as stack:
        opened: list[BinaryIO] = [
            stack.enter_context(parcel.create(files.name(STEM, kind), file_format=f"{kind}/2"))
            for kind in ("pgen", "pvar", "psam")
        ]
        return write_pgen(view, *opened, n_sites=files.n_sites, vault_view=vault_view)


def _write_long(view: Paged, parcel: Parcel, files: _FileSet, _vault_view: Mapping[str, str]) -> dict[str, int]:
    from vault.extracts.parquet import write_long, write_samples  # noqa: PLC0415 - as above

    if not files.first_site:
        with parcel.create("samples.parquet", file_format=_PARQUET) as samples:
            write_samples(view.pseudonyms, samples)
    names = (files.name(table, "parquet") for table in ("sites", "calls"))
    with ExitStack() as stack:
        sites, calls = (stack.enter_context(parcel.create(name, file_format=_PARQUET)) for name in names)
        write_long(view, sites, calls, first_site=files.first_site)
    return {}


def _write_wide(view: Paged, parcel: Parcel, files: _FileSet, _vault_view: Mapping[str, str]) -> dict[str, int]:
    from vault.extracts.parquet import write_wide  # noqa: PLC0415 - as above

    with (
        parcel.create("sites.parquet", file_format=_PARQUET) as sites,
        parcel.create("calls.parquet", file_format=_PARQUET) as calls,
    ):
        write_wide(view, sites, calls, n_sites=files.n_sites)
    return {}


_PARQUET = "parquet/2"
_WRITERS: dict[tuple[Format, Layout], Callable[[Paged, Parcel, _FileSet, Mapping[str, str]], dict[str, int]]] = {
    ("vcf", "long"): _write_vcf,
    ("bcf", "long"): _write_bcf,
    ("pgen", "long"): _write_pgen,
    ("parquet", "long"): _write_long,
    ("parquet", "wide"): _write_wide,
}
