from __future__ import annotations

import pytest

from tests.support.outside import extra
from tests.support.shell import cohort


def test_the_demo_tells_its_story_with_a_person_s_own_file(shell):
    shell.write("mine.vcf", cohort(30).data)
    result = shell.run("demo --vcf mine.vcf --keep kept --json").json
    assert {name: result[name] for name in ("permitted", "released", "matched", "dropped", "forgeries_caught")} == {
        "permitted": 20,
        "released": 20,
        "matched": 0,
        "dropped": 1,
        "forgeries_caught": 1,
    }
    assert (shell.folder / "kept" / "out" / "manifest.json").is_file()
    assert (shell.folder / "kept" / "passphrase.txt").stat().st_mode & 0o077 == 0


def test_the_demo_wants_a_file_and_an_empty_folder(shell):
    assert shell.try_("demo --vcf none.vcf --json").error == "file_missing"
    shell.write("x", "")
    assert shell.try_("demo --keep . --json").error == "folder_not_empty"


@pytest.mark.long
def test_the_demo_tells_its_story_in_under_a_minute(shell):
    extra("msprime")
    result = shell.run("demo --json").json
    assert (result["permitted"], result["released"], result["forgeries_caught"]) == (209, 209, 1)
    assert result["matched"] > 50
    assert result["dropped"] == 1
    assert result["seconds"] < 60
