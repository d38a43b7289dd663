"""An extract made window by window is, byte for byte, the one that is made at once; and a fault in its middle leaves nothing."""

from __future__ import annotations

import hashlib
import random
import shutil
from itertools import count
from pathlib import Path

import pytest

from tests.support.held import Held, _opened
from tests.support.vcf_text import vcf
from vault.access import reference_data, releases
from vault.consent import recording
from vault.errors import IntegrityError
from vault.genotypes.catalog import datasets, panel_builder, panels, parts
from vault.genotypes.ingest.chunking import chunks_of
from vault.genotypes.loci import parse_loci
from vault.ids import utc_now
from vault.views import deidentify
from vault.views.deidentify import Deidentified

PEOPLE = [f"p{i:02}" for i in range(12)]
CALLS = ("0|0", "0|0", "0|1", "1|0", "1/1", "./.", ".|1", "1", ".", "0|1|1", "12|0", "2", "3/2")
PLACES = '{"version": "own 1", "source": "ours", "date": "2026-01-01", "assemblies": {"GRCh38": {"categories": {"own": ["22:22000100-22000110"]}}}}'
LOCI = {
    "sites": "contig\tpos\tref\talt\n"
    + "".join(f"{c}\t{20_000_000 + i}\tA\tC,G\n" for c in ("22", "X", "21") for i in range(0, 60, 2)),
    "stretches": "22\t20000004\t20000020\nX\t20000014\t20000050\n21\t20000009\t20000010\n21\t1\t2\n",
}
ASKED = {
    "everything": {},
    "regions": {"regions": ["22:20000005-20000021", "X:20000010-20000031", "21"]},
    "a panel": {"panel": "sites"},
    "a panel without blocks": {"panel": "stretches"},
}


class Repeated:
    """The same bytes each time it is made; a test wants two runs alike."""

    def __init__(self) -> None:
        self._calls = count()

    def __call__(self, size: int) -> bytes:
        return hashlib.shake_128(f"{next(self._calls)}".encode()).digest(size)


def rows(draw: random.Random, contig: str, people: int, sites: int) -> list[str]:
    """Records of which some share a position; masks and long alleles cut them up."""
    alts = ("C", "C,G", "G,C", ",".join("A" * i + "C" for i in range(1, 14)), "<DEL>")
    lines, position = [], 20_000_000
    for _ in range(sites):
        position += draw.choice((0, 1, 1, 2, 3))
        spelled = draw.choice(alts)
        most = spelled.count(",") + 1
        calls = " ".join(
            text if all(int(a) <= most for a in text if a.isdigit()) and (text[:2] != "12" or most > 11) else "0|1"
            for text in (draw.choice(CALLS) for _ in range(people))
        )
        lines.append(f"{contig} {position} A {spelled} {calls}")
    if contig == "22":  # what a consent hides, and a little on its other side
        lines += [
            f"22 {position + 3 * i} A C {' '.join(['0|1'] * people)}" for position in (22_000_000, 23_000_000) for i in range(30)
        ]
    return lines


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A vault of three parts: two with people and sites in common, one of another contig."""
    folder, draw = tmp_path_factory.mktemp("windows"), random.Random(5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(chunks_of.__kwdefaults__, "chunk_sites", 11)
        held = Held.make(folder)
        for at, (people, contigs) in enumerate([(PEOPLE[:8], "22 X"), (PEOPLE[5:], "X 22"), (PEOPLE, "21")]):
            lines = [line for contig in contigs.split() for line in rows(draw, contig, len(people), 40)]
            path = held.write(f"{at}.vcf", vcf(" ".join(people), *lines).data)
            held.load(path, append=at > 0, accept=True)
        dataset = datasets.by_name(held.vault, "cohort")
        for name, loci in LOCI.items():
            panel_builder.create(held.vault, dataset, name, parse_loci(loci.encode(), name="loci"))
        panel_builder.forget(held.vault, dataset)
        assert [len(part.reader.directory) for part in parts.open_parts(held.vault, dataset.dataset_id)] == [14, 14, 4]
        held.everyone_consents()
        recording.withdraw(held.vault, "sample:p06")
        reference_data.load(held.vault, reference_data.LOCI, PLACES, version="own 1")
        recording.withdraw(held.vault, "sample:p02", scope="loci:own")
        held.project("demo")
        held.project("plain", keep_phase=False, keep_ids=True)
        panel_builder.build(held.vault, dataset, panels.by_name(held.vault, "sites"))
        held.vault.close()
    return folder


def again(made: Path, folder: Path) -> Held:
    """A copy of the vault, as it was, whose chances are the same each time."""
    shutil.copytree(made / "v", folder / "v")
    chances = Repeated()
    return Held(folder, _opened(folder, utc_now, chances), utc_now, chances)


def files(made, folder, project, file_format, asked):
    folder.mkdir()
    held = again(made, folder)
    out = held.extract(project, file_format=file_format, **asked)
    held.vault.close()
    return {path.name: path.read_bytes() for path in out.iterdir() if path.name.startswith("genotypes")}


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("way", [("demo", "bcf"), ("plain", "vcf")])
def test_windows_of_any_size_give_the_same_files(made, tmp_path, monkeypatch, way, asked):
    expected = files(made, tmp_path / "at once", *way, ASKED[asked])
    assert min(map(len, expected.values())) > 100
    for read, counted in ((1, 40), (8, 3)):
        monkeypatch.setattr(deidentify, "FEWEST_SITES", read)
        monkeypatch.setattr(deidentify, "WINDOW_CALLS", 1)
        monkeypatch.setattr(deidentify, "WINDOW_SITES", counted)
        assert files(made, tmp_path / f"{read} {counted}", *way, ASKED[asked]) == expected


def test_a_fault_in_the_last_window_leaves_nothing(made, tmp_path, monkeypatch):
    held = again(made, tmp_path)
    monkeypatch.setattr(deidentify, "FEWEST_SITES", 20)
    monkeypatch.setattr(deidentify, "WINDOW_CALLS", 1)
    read, seen = Deidentified._read, []

    def broken(self, window):
        seen.append(window)
        if len(seen) == 8:
            raise IntegrityError("block_broken", "stored genotypes are not what was written")
        return read(self, window)

    monkeypatch.setattr(Deidentified, "_read", broken)
    with pytest.raises(IntegrityError):
        held.extract("demo")
    assert len(seen) == 8
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".genovault-*"))
    assert [r.state for r in releases.list_all(held.vault)] == ["aborted"]
    report = held.verified()
    assert report.ok
    assert report.open_intents == ()
    held.vault.close()
