"""Cost of de-identification on top of reading: the same windows read, and read and made a view of.

    python -m benchmarks.deidentification [--people 2504] [--sites 20000] [--rounds 5]

Made-up sites, 200 bases apart. Reading is what a view reads: allele counts of everything once, then the calls, window by window. Below the gate: decision and
log are the same whatever is read. With a place excluded, half of the sites lie in the margin and the others are compared with it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
from sqlalchemy import select

from policies.disclosure.view_profiles import Linkage
from policies.loci import Interval, Mask
from vault.crypto.key_wrapping import KeyPurpose
from vault.crypto.keystore import PassphraseFactor
from vault.crypto.primitives import Argon2Profile
from vault.genotypes import import_job
from vault.genotypes.catalog import datasets
from vault.genotypes.catalog.dataset_reader import GenotypeReader
from vault.genotypes.codec.allele_counts import AlleleCounts
from vault.genotypes.store.part_merge import Calls
from vault.genotypes.store.selections import Selection
from vault.ids import Pseudonym, SubjectId
from vault.operations.create import init
from vault.operations.recovery import open_recovered
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import SubjectRow
from vault.views.deidentify import FEWEST_SITES, WINDOW_CALLS, WINDOW_SITES, Deidentified
from vault.views.hidden_places import HiddenPlaces
from vault.views.linked_places import linked_places
from vault.views.site_selection import Profile

FACTOR = PassphraseFactor.from_text("correct horse canary staple")
FIRST, APART, MARGIN = 40_000_000, 200, 500_000


def made(folder: Path, people: int, sites: int) -> UnlockedVault:
    """A vault with one dataset."""
    init(folder / "v", steward="ann", factor=FACTOR, profile=Argon2Profile.TEST_ONLY)
    vault = open_recovered(folder / "v", factor=FACTOR)
    draw = np.random.default_rng(1)
    spelled = np.array(["0|0", "0|1", "1|0", "1|1"])
    with (folder / "in.vcf").open("w") as file:
        names = "\t".join(f"P{at:05}" for at in range(people))
        file.write(
            "##fileformat=VCFv4.2\n##contig=<ID=19>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t" + names + "\n"
        )
        for at in range(sites):
            frequency = draw.beta(0.2, 2)
            carried = (draw.random(people) < frequency) + 2 * (draw.random(people) < frequency)
            carried[draw.integers(people)] |= 1  # a file has no site that nobody carries
            calls = spelled[carried]
            file.write(f"19\t{FIRST + APART * at}\t.\tA\tG\t.\tPASS\t.\tGT\t" + "\t".join(calls) + "\n")
    options = import_job.ImportOptions(unknown="register")
    import_job.import_files(vault, [folder / "in.vcf"], name="cohort", assembly="GRCh38", options=options)
    return vault


class Cohort:
    """Everybody's genotypes, read anew for each measurement; ``sites``: as many as there are."""

    def __init__(self, vault: UnlockedVault, sites: int) -> None:
        self._vault, self._dataset = vault, datasets.by_name(vault, "cohort")
        with vault.books.read() as tx:
            self._people = [
                SubjectId(person) for person in tx.scalars(select(SubjectRow.subject_id).order_by(SubjectRow.subject_id))
            ]
        self._keys = vault.keys.open_many(KeyPurpose.GENOTYPE, self._people)
        self._middle = FIRST + APART * sites // 2

    def reader(self) -> GenotypeReader:
        """A reader whose keys are derived."""
        found = GenotypeReader(self._vault, self._dataset, self._people, self._keys)
        found.derive()
        return found

    def read(self) -> None:
        """Reading as a view reads."""
        chosen = self.reader().choose(Selection())
        for window in chosen.windows(WINDOW_SITES):
            window.count()
        for window in chosen.windows(max(FEWEST_SITES, WINDOW_CALLS // len(self._people))):
            window.read()

    def view(self, *, excluded: bool = False, min_carriers: int = 1) -> None:
        """A view of everything."""
        reader = self.reader()
        hidden = HiddenPlaces(assembly="GRCh38")
        if excluded:
            place = Mask((Interval("19", self._middle - 20_000, self._middle + 20_000),))
            masked = place.widened(MARGIN)

            def read(places: tuple[Interval, ...], n_sites: int) -> Iterator[tuple[Calls, AlleleCounts]]:
                return (window.read() for window in reader.choose(Selection(regions=places)).windows(n_sites))

            linkage = Linkage(20, 2_000_000, 21)
            more = linked_places(read, excluded=place, hidden=masked, asked=None, linkage=linkage, n_people=len(self._people))
            hidden = HiddenPlaces((*masked.intervals, *more), assembly="GRCh38")
        names = [Pseudonym(f"P{at:07}") for at in range(len(self._people))]
        profile = Profile(keep_phase=True, hidden=hidden, min_carriers=min_carriers)
        for _ in Deidentified(reader.choose(Selection()), names, profile=profile, assembly="GRCh38").pages():
            pass


def timed(act: Callable[[], object]) -> tuple[float, float]:
    """Seconds of a call, by the wall and of the processors."""
    begun, used = perf_counter(), process_time()
    act()
    return perf_counter() - begun, process_time() - used


def main() -> None:
    """Measure in turn, and print each beside reading alone."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=2_504)
    parser.add_argument("--sites", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        vault = made(Path(temporary), given.people, given.sites)
        cohort = Cohort(vault, given.sites)
        acts: dict[str, Callable[[], None]] = {
            "reading alone": cohort.read,
            "a view, nothing excluded": cohort.view,
            "a view without alleles of fewer than 5 people": lambda: cohort.view(min_carriers=5),
            "a view with a place excluded, and what is linked": lambda: cohort.view(excluded=True),
        }
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in acts}
        for at in range(given.rounds + 1):
            for name, act in acts.items():
                taken = timed(act)
                if at:  # the first round compiles and fills caches
                    times[name].append(taken)
        vault.close()
    base = times["reading alone"]
    for name, found in times.items():
        wall, used = zip(*found, strict=True)
        ratios = [[one[at] / other[at] for one, other in zip(found, base, strict=True)] for at in (0, 1)]
        told = [f"{statistics.median(one):.2f} ({min(one):.2f} to {max(one):.2f})" for one in ratios]
        print(f"{name:50} {statistics.median(wall):6.2f} s   {told[0]} times reading")
        print(f"{'   of the processors':50} {statistics.median(used):6.2f} s   {told[1]}")
    print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
