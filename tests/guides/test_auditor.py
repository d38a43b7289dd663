"""The auditor's guide: a vault where people worked, and an auditor's slot."""

from __future__ import annotations

import pytest

from tests.support.guides import run_guide
from tests.support.shell import PASSPHRASE, Shell, cohort

PROJECT = """code: lungs
title: Inherited risk of lung cancer
purpose: {use_kinds: [hmb], commercial: false, commitments: [no_reid]}
organisation: {id: "https://ror.org/000000000", name: Example Institute, country: DE, profit: non_profit}
people: [rita]
datasets: [cohort]
kinds: [records]
"""


def worked(shell: Shell) -> None:
    """A week of stewards' work: answers, a withdrawal, an approved project, a release, a denied request, a refused extract."""
    shell.monkeypatch.setenv("GENOVAULT_NEW_PASSPHRASE", PASSPHRASE)
    shell.write("cohort.vcf", cohort().data)
    shell.write("lungs.yaml", PROJECT)
    shell.script(
        "--vault vault init vault --steward ann --argon2-profile test-only",
        "--vault vault dataset import cohort.vcf --name cohort --assembly GRCh38 --register --assayed all",
        "--vault vault consent sheet broad-research --accept > answers.csv",
        "--vault vault consent import answers.csv --form broad-research",
        "--vault vault consent withdraw SAMPLE_7",
        "--vault vault principal add rita --role researcher",
        "--vault vault project create lungs.yaml",
        "--vault vault project approve lungs",
    )
    ask = "--vault vault request submit --project lungs --dataset cohort --for rita --json"
    wide = shell.run(ask).json["request"]
    request = shell.run(f"{ask} --region 22:16000000-16000250").json["request"]
    shell.script(
        f"--vault vault request deny {wide} --reason 'more than the project needs'",
        f"--vault vault extract {request} --output out",
        "--vault vault subject show SAMPLE_3",
        "--vault vault audit disclosures SAMPLE_3 > account.txt",
        "--vault vault project suspend lungs",
    )
    assert shell.try_(f"--vault vault extract {request} --output again").code == 3
    shell.run("--vault vault principal add lea --role auditor --argon2-profile test-only")
    shell.monkeypatch.setenv("GENOVAULT_PASSPHRASE", "somebody else's")
    assert shell.try_("--vault vault --as ann audit log").code == 6
    shell.monkeypatch.setenv("GENOVAULT_PASSPHRASE", PASSPHRASE)
    after_the_release(shell)
    shell.run("--vault vault --as ann audit verify")


def after_the_release(shell: Shell) -> None:
    """Somebody withdraws, the notice is answered for the wrong one first, and two stewards resolve a pseudonym."""
    ann, bob = "--vault vault --as ann", "--vault vault --as bob --key-file bob.key"
    shell.run(f"{ann} consent withdraw SAMPLE_4")
    notice = shell.run(f"{ann} release notices --json").json["notices"][0]["notice"]
    shell.script(
        f"{ann} release ack {notice} --reason 'mail of another project'",
        f"{ann} release ack {notice} --take-back --reason 'it was of another project'",
        f"{ann} release ack {notice} --reason 'the right mail'",
        f"{ann} principal add bob --role steward --new-key-file bob.key",
    )
    name = shell.run(f"{ann} pseudonym of SAMPLE_4 --project lungs --reason 'rita asks' --json").json["names"][0]["pseudonym"]
    asked = shell.run(f"{ann} pseudonym resolve open {name} --project lungs --reason 'a call that cannot be' --json").json[
        "resolution"
    ]
    assert shell.try_(f"{ann} pseudonym resolve approve {asked}").code == 3
    shell.script(f"{bob} pseudonym resolve approve {asked}", f"{ann} pseudonym resolve execute {asked}")


@pytest.mark.parametrize("apart", [False, pytest.param(True, marks=pytest.mark.long)])
def test_the_auditors_guide_runs_as_printed(tmp_path, monkeypatch, apart):
    shell = Shell(tmp_path, monkeypatch)
    worked(shell)
    run_guide("auditor-guide.md", shell, apart=apart)
