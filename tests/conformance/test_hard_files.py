"""Hard and wild files through the whole vault: each comes out as bcftools reads it, or is refused with a reason and no trace."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.carried import shown_rows
from tests.support.golden import extract_rows, samples_of
from tests.support.held import Held
from tests.support.outside import shared, tool
from tests.support.vcf_reading import bcftools_rows
from vault.errors import GenovaultError, InputError, RefusedError
from vault.genotypes.ingest.open_source import open_source

SUFFIXES = (".vcf", ".vcf.gz", ".vcf.bgz", ".bgz", ".bcf")
ROOTS = ("data/1-real", "data/3-hard")
WHOLE_FILE = {  # refusals that are about no single line
    "bad_bcf", "bad_compression", "bad_header", "duplicate_sample", "file_truncated", "no_samples", "no_sites", "not_a_vcf",
}  # fmt: skip
UNKNOWN = "of-no-pack"  # an assembly whose contigs and lengths the vault does not know: these files make theirs up
SMALL = 150_000  # bytes: of what the default suite takes
STRIDE = 31  # of the small files, sorted by name, how many are passed over for one taken

LAXER = re.compile(
    r"failed_body_sample_00[78]\.vcf"
)  # a subfield that the vault does not keep is wrong, and htslib refuses for it


def every_file() -> list[Path]:
    found = [path for root in ROOTS for path in shared(root).rglob("*") if path.is_file() and path.name.endswith(SUFFIXES)]
    return sorted(found)


def through_the_vault(held: Held, path: Path, number: int) -> str:
    """Import, let everyone consent, extract, compare; what came of it. Raises AssertionError where something is wrong."""
    if is_gvcf(path):
        return "one person's blocks: tests/vault/genotypes/ingest/test_gvcf_corpora.py"
    before, size = held.traces(), held.vault.trail.log.size()
    dataset, code, space = f"d{number}", f"p{number}", f"n{number}"
    try:
        held.load(path, name=dataset, namespace=space, assembly=UNKNOWN, unlisted_assembly=True)
    except GenovaultError as error:
        assert isinstance(error, InputError)
        assert held.traces() == before
        (entry,) = held.entries(size)
        assert (entry["act"], entry["outcome"], entry["reasons"]) == ("dataset.import", "failed", {error.code: 1})
        assert error.code in WHOLE_FILE or re.search(r": line \d+:", error.message), error.message
        return f"refused, {error.code}"
    theirs = bcftools_rows(path, "bcftools")
    if theirs is None:
        assert LAXER.search(path.name)
        return "accepted, refused by htslib for a subfield not kept"
    with open_source(path) as source:
        samples = source.samples
    held.answer({f"sample:{space}/{sample}": "yes" for sample in samples})
    held.project(code, dataset)
    try:
        extract = held.extract(code, dataset, out=code) / "genotypes.vcf.gz"
    except RefusedError as error:
        assert error.code == "nothing_to_release"
        assert not list(shown_rows(theirs, list(range(len(samples)))))
        return "accepted, nobody carries anything"
    place = {f"{space}/{sample}": at for at, sample in enumerate(samples)}
    names = held.names(code)
    columns = [place[names[pseudonym]] for pseudonym in samples_of(extract)]
    assert sorted(columns) == list(range(len(samples)))
    assert list(extract_rows(extract)) == shown_rows(theirs, columns)
    return "accepted, the same"


def is_gvcf(path: Path) -> bool:
    try:
        with open_source(path) as source:
            return source.gvcf
    except GenovaultError:
        return False


def judge(folder: Path, paths: Sequence[Path], capsys: pytest.CaptureFixture[str]) -> Counter[str]:
    tool("bcftools")
    counts: Counter[str] = Counter()
    wrong = []
    held = None
    for number, path in enumerate(paths):
        if number % 50 == 0:  # a vault that holds everything would make each file pay for those before it
            (place := folder / str(number)).mkdir()
            held = Held.make(place)
        assert held is not None
        try:
            counts[through_the_vault(held, path, number)] += 1
        except (AssertionError, ValueError) as error:
            wrong.append(f"{path}: {str(error)[:300]}")
    with capsys.disabled():
        sys.stdout.write("\n" + "".join(f"  {count:>6,}  {what}\n" for what, count in sorted(counts.items())))
    assert not wrong, "\n".join(wrong)
    return counts


def test_a_sample_of_hard_files_comes_out_as_it_went_in_or_is_refused(tmp_path, capsys):
    small = [path for path in every_file() if path.stat().st_size <= SMALL]
    counts = judge(tmp_path, small[::STRIDE], capsys)
    assert counts["accepted, the same"] >= 8
    assert counts["accepted, the same"] + counts["accepted, nobody carries anything"] >= 10


@pytest.mark.long
@pytest.mark.parametrize("part", range(4))
def test_every_hard_file_comes_out_as_it_went_in_or_is_refused(tmp_path, capsys, part):
    counts = judge(tmp_path, every_file()[part::4], capsys)
    assert counts["accepted, the same"] >= 80
    assert counts["accepted, the same"] + counts["accepted, nobody carries anything"] >= 100
