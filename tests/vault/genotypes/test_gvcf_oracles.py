"""Several people's gVCFs against bcftools, and in any order of import; an import that is killed is there or is not."""

from __future__ import annotations

import itertools
import random
import subprocess
from pathlib import Path

import pytest

from tests.support import vaults
from tests.support.crashing import steps_survived
from tests.support.gvcf_text import block, drawn, gvcf, truth
from tests.support.held import Held
from tests.support.outside import tool
from tests.support.vcf_text import vcf
from tests.vault.genotypes.imports import calls
from vault.genotypes.catalog import personal_parts
from vault.genotypes.import_job import import_files
from vault.genotypes.import_plan import ImportOptions
from vault.operations import doctor
from vault.operations.compaction import process


def merged(folder: Path, files: dict[str, bytes]) -> dict[tuple[str, int, str, str], list[str]]:
    """What ``bcftools merge --gvcf - -m both`` says: (sample, POS, REF, ALT) → alleles called, "." where none is; ALTs one by one."""
    paths = []
    for name, data in files.items():
        path = folder / f"{name}.vcf.gz"
        subprocess.run([tool("bcftools"), "view", "-Oz", "-o", path, "-"], input=data, check=True, capture_output=True)
        subprocess.run([tool("bcftools"), "index", path], check=True)
        paths.append(path)
    ran = subprocess.run(
        [tool("bcftools"), "merge", "--gvcf", "-", "-m", "both", *paths], check=True, capture_output=True, text=True
    )
    found = {}
    for line in ran.stdout.splitlines():
        if line.startswith("##"):
            continue
        fields = line.split("\t")
        if line.startswith("#"):
            samples = fields[9:]
            continue
        listed = [fields[3], *fields[4].split(",")]
        for alt in listed[1:]:
            for sample, column in zip(samples, fields[9:], strict=True):
                numbers = column.split(":")[0].replace("|", "/").split("/")
                found[sample, int(fields[1]), fields[3], alt] = sorted("." if at == "." else listed[int(at)] for at in numbers)
    return found


@pytest.mark.parametrize("seed", range(3))
def test_a_view_is_what_bcftools_merges_but_for_what_is_not_confident(held, seed):
    rng = random.Random(100 + seed)
    people = {name: drawn(rng, name) for name in "ABCD"}
    theirs = merged(held.folder, {name: data for name, (data, _, _) in people.items()})
    held.load(*(held.write(f"{name}.g.vcf", data) for name, (data, _, _) in people.items()))
    apart = calls(held)
    assert process.compact(held.vault, "cohort").parts == 1
    found = calls(held)
    assert found == apart
    compared = 0
    for (name, _, pos, alleles), call in found.items():
        ref, *alts = alleles.split(",")
        mine = sorted("." if at < 0 else alleles.split(",")[at] for at in call)
        _, own, confident = people[name]
        for alt in alts:
            if mine == theirs[name, pos, ref, alt]:
                compared += 1
                continue
            # a place that is below the rule, partly covered, or under a variant of the person's own: they fill it in, we do not
            assert mine == [".", "."], (name, pos, ref, alt, mine, theirs[name, pos, ref, alt])
            assert truth(own, confident, (pos, ref, alt), 20) is None
    assert compared > 20


def test_any_order_of_import_gives_the_same_view(tmp_path):
    rng = random.Random(7)
    files = {name: drawn(rng, name)[0] for name in "AB"}
    files["C"] = vcf("C D", "1 33 A G 0|1 0|0", "1 60 A C 1|1 0|1").data
    views = []
    for at, order in enumerate(itertools.permutations(files)):
        folder = tmp_path / str(at)
        folder.mkdir()
        held = Held.make(folder)
        for nth, name in enumerate(order):
            held.load(held.write(f"{name}.vcf", files[name]), append=nth > 0)
        views.append(calls(held))
        held.vault.close()
    assert all(view == views[0] for view in views[1:])


def bring_two(folder: str) -> None:
    here = Path(folder)
    files = [here.parent / "one.g.vcf", here.parent / "two.g.vcf"]
    with vaults.opened(here) as s:
        import_files(s, files, name="lab", assembly="GRCh38", options=ImportOptions(unknown="register"))


@pytest.mark.long
def test_an_import_killed_at_any_step_is_there_or_is_not(tmp_path):
    vault = vaults.copy(tmp_path, whole=False)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    for at, name in (("one", "X1"), ("two", "X2")):
        (scratch / f"{at}.g.vcf").write_bytes(gvcf(name, block(1, 99), "1 100 A G,<NON_REF> 0/1 50"))

    def settled(folder: Path) -> None:
        with vaults.opened(folder) as s:
            with s.books.read() as tx:
                held = len(personal_parts.live(tx))
            assert held in (0, 2)
            assert doctor.examine(s).ok

    assert steps_survived(vault, scratch, bring_two, settled, every=3) > 5
