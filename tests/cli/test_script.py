"""The script of a steward's first day, from init to a verified release, works as it stands."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.outside import tool
from tests.support.shell import PASSPHRASE, cohort

BEFORE = (
    "init v --steward ann",
    "dataset import cohort.vcf.gz --name cohort --assembly GRCh38 --register",
    "consent sheet broad-research --accept > answers.csv",
    "consent import answers.csv --form broad-research",
    "consent withdraw SAMPLE_7",
    "project template --code demo --dataset cohort > demo.yaml",
    "project create demo.yaml",
    "project approve demo",
)
CHECK = "project check demo --json"
SUBMIT = "request submit --project demo --dataset cohort --region 22:16000000-16100000 --json"
AFTER = ("extract ID --output out", "release verify out/manifest.json", "audit verify", "audit log --json")

FILES = {
    "genotypes.vcf.gz",
    "genotypes.vcf.gz.csi",
    "genotypes.vcf.gz.tbi",
    "manifest.json",
    "manifest.json.tlog-proof",
    "LIMITS.txt",
    "README.txt",
}


def test_the_script_works_as_it_stands(shell):
    shell.write("cohort.vcf.gz", gzip.compress(cohort().data))
    shell.script(*BEFORE)
    asked = {"subjects": 12, "permit": 11, "deny": {"withdrawn": 1}, "review": {}, "refused": [], "state": "approved"}
    checked = shell.run(CHECK).json
    assert {name: checked[name] for name in asked} == asked
    assert [(one["reason"], one["people"]) for one in checked["reasons"]] == [("withdrawn", 1)]
    request = shell.run(SUBMIT).json["request"]
    log = shell.script(*(line.replace("ID", request) for line in AFTER)).json
    assert {path.name for path in (shell.folder / "out").iterdir()} == FILES
    text = gzip.decompress((shell.folder / "out" / "genotypes.vcf.gz").read_bytes()).decode()
    (columns,) = [line.split("\t") for line in text.splitlines() if line.startswith("#CHROM")]
    assert len(columns) == 9 + 11
    assert all(name.startswith("demo1") for name in columns[9:])
    assert "SAMPLE" not in text
    positions = [line.split("\t")[1] for line in text.splitlines() if not line.startswith("#")]
    assert positions == ["16000100", "16000200", "16000300"]
    acts = [entry["act"] for entry in log["entries"]]
    assert acts[0] == "vault.init"
    assert [entry["index"] for entry in log["entries"]] == list(range(len(acts)))
    assert {"dataset.import", "consent.import", "consent.withdraw", "project.approve", "project.check"} < set(acts)
    assert {"request.submit", "extract.intent", "extract.outcome", "release.verify", "audit.verify"} < set(acts)
    assert all(entry["actor"] == "ann" for entry in log["entries"])
    shell.run("audit verify")  # every command leaves the log signed


@pytest.mark.long
def test_the_script_works_in_a_real_shell(tmp_path: Path):
    lines = "\n".join(f"genovault {line}" for line in (*BEFORE, CHECK))
    picked = f'ID=$(genovault {SUBMIT} | "$PYTHON" -c \'import json,sys; print(json.load(sys.stdin)["request"])\')'
    after = "\n".join(f"genovault {line.replace('ID', '$ID')}" for line in AFTER)
    (tmp_path / "cohort.vcf.gz").write_bytes(gzip.compress(cohort().data))
    environment = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHON": sys.executable,
        "GENOVAULT_HOME": "v",
        "GENOVAULT_PASSPHRASE": PASSPHRASE,
    }
    command = [tool("bash"), "-euo", "pipefail", "-c", f"{lines}\n{picked}\n{after}"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES
