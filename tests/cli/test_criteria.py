"""Commands about criteria packs."""

import shutil

import pytest

from tests.support import counted
from tests.support.counted import COMMON, RARE
from tests.support.criteria import as_text, document
from tests.support.shell import Shell

PACK = document({"common": COMMON, "rare": RARE}, ("common", {"carries": "common"}), ("rare", {"carries": "rare"}))


@pytest.fixture
def shell(tmp_path, monkeypatch):
    shutil.copytree(counted.template(), tmp_path / "v")
    made = Shell(tmp_path, monkeypatch, documented=True)
    (tmp_path / "pack.yaml").write_bytes(as_text(PACK))
    rows = "".join(f"{allele.replace(':', chr(9))}\n" for allele in (COMMON, RARE))
    (tmp_path / "loci.tsv").write_text(f"contig\tpos\tref\talt\n{rows}")
    made.run("panel create exact --loci loci.tsv --dataset cohort")
    return made


def test_a_pack_from_its_file_to_its_approval(shell):
    assert shell.run("criteria lint pack.yaml --json").json == {"name": "small", "version": 1, "criteria": 2}
    assert shell.run("criteria add pack.yaml --json").json["state"] == "added"
    assert "genovault criteria approve small@1" in shell.run("criteria add pack.yaml").out
    (waits,) = shell.run("consent queue --json").json["packs"]
    assert (waits["name"], waits["version"]) == ("small", 1)
    assert "genovault criteria approve small@1" in shell.run("consent queue").out
    approved = shell.run("criteria approve small --json").json
    assert shell.run("consent queue --json").json["packs"] == []
    assert (approved["settled"], approved["pack"]["state"]) == (True, "approved")
    shown = shell.run("criteria show small@1 --json").json
    assert [one["id"] for one in shown["criteria"]] == ["common", "rare"]
    assert shell.run("criteria list --json").json["packs"][0]["criteria"] == 2
    assert "approved" in shell.run("criteria list").out
    assert shell.run("criteria retire small@1 --reason wrong --json").json["state"] == "retired"
    assert shell.try_("criteria show other --json").error == "criteria_unknown"


def test_all_that_is_wrong_is_told_with_its_place(shell):
    wrong = PACK | {"source": "", "criteria": [{"id": "x", "title": "X", "expression": {"carries": "z"}}]}
    (shell.folder / "wrong.yaml").write_bytes(as_text(wrong))
    said = shell.try_("criteria lint wrong.yaml").err
    assert "source" in said
    assert "criteria[0].expression.carries" in said
    assert shell.try_("criteria add wrong.yaml --json").error == "document_rejected"
    (shell.folder / "bomb.yaml").write_text("a: &a [x, x]\nb: [*a, *a]\n")
    assert shell.try_("criteria lint bomb.yaml --json").error == "document_malformed"
