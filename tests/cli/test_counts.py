"""Commands for counts and presence, on 130 people."""

import json
import shutil

import pytest

from tests.support import counted
from tests.support.counted import ABSENT, COMMON
from tests.support.shell import Shell

ASK = "request submit --project counting --dataset cohort --kind counts"


@pytest.fixture
def shell(tmp_path, monkeypatch):
    shutil.copytree(counted.template(), tmp_path / "v")
    return Shell(tmp_path, monkeypatch, documented=True)


def test_a_question_from_its_price_to_its_answer(shell):
    asked = shell.run(f"{ASK} --allele {COMMON} --allele {ABSENT} --accuracy 5 --json").json
    assert asked["price"] == {"accuracy95": 5, "alleles": 2, "epsilon": 0.538175, "factor": 2.93, "nats": 1.07635}
    assert shell.run("budget show counting --json").json["budgets"][0]["spent"] == 0
    answer = shell.run(f"request result {asked['request']} --output answer.json --json").json
    assert [one["allele"] for one in answer["answers"]] == [COMMON, ABSENT]
    assert answer["answers"][0]["exists"] is True
    assert abs(answer["answers"][0]["carriers"] - 60) < 60
    assert json.loads((shell.folder / "answer.json").read_text()) == answer
    again = shell.run(f"request result {asked['request']} --json").json
    assert (again["answers"], again["charged"]) == (answer["answers"], 0)
    spent = {one["scope"]: one["spent"] for one in shell.run("budget show counting --json").json["budgets"]}
    assert spent == {"project": 1.07635, "organisation": 1.07635, "world": 1.07635}


def test_what_people_read(shell):
    said = shell.run(f"{ASK} --allele {COMMON}").out
    assert "at most 0.1 nats: 1 allele at 0.1, each within ±30 in 95 of 100 cases" in said
    request = said.rsplit(None, 1)[-1]
    shown = shell.run(f"request result {request}").out
    assert "reads as existing in 6.4%" in shown
    assert "organisation: 0.1 nats spent" in shown
    assert "paid for this answer: 0.1 nats" in shown
    assert "paid for this answer: 0 nats" in shell.run(f"request result {request}").out
    assert "at most 0.1 nats: 1 allele at 0.1" in shell.run(f"request show {request}").out
    assert shell.run(f"request result {shell.run(f'{ASK} --allele {ABSENT} --json').json['request']}").out.count("absent") == 1
    other = shell.run(f"{ASK} --allele 22:151:A:G --json").json["request"]
    assert shell.run(f"request result {other} --reasons").out.count("absent") == 2


def test_a_file_that_is_imported_tells_its_price(shell):
    asked = "format: request/1\nproject: counting\ndataset: cohort\nkind: counts\nreason: x\n"
    (shell.folder / "r.yaml").write_text(f'{asked}loci: {{alleles: ["{COMMON}"]}}\n')
    assert "at most 0.1 nats: 1 allele at 0.1" in shell.run("request import r.yaml").out


def test_a_raise(shell):
    assert shell.run("budget raise counting --nats 0.5 --reason agreed --json").json["settled"] is True
    assert shell.run("budget show counting --json").json["budgets"][0]["cap"] == 2.8
    assert shell.try_("budget raise counting --nats 101 --reason agreed --json").error == "raise_too_large"
    assert shell.try_("budget show nope --json").error == "project_unknown"
