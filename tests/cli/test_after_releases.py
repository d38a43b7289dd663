"""Commands about what happens after a release, and about an extract that has to go on: one vault, from a withdrawal to the answer."""

from __future__ import annotations

import json

import pytest

from vault import gate
from vault.files import durable


@pytest.fixture
def released(consented):
    """A shell; a request of the project ``lab``, and its release in ``out``."""
    consented.write("lab.yaml", consented.run("project template --code lab --dataset cohort").out)
    consented.run("project create lab.yaml")
    consented.run("project approve lab")
    request = consented.run("request submit --project lab --dataset cohort --region 22 --json").json["request"]
    return consented, request, consented.run(f"extract {request} --output out --json").json["release"]


def test_a_withdrawal_becomes_a_notice_that_is_sent_checked_and_answered(released):
    shell, _, release = released
    (held,) = shell.run("release holdings --json").json["holdings"]
    assert (held["id"], held["to_drop"]) == (release, 0)
    assert shell.run("release notices --json").json["notices"] == []
    (name,) = [
        one["pseudonym"]
        for one in shell.run("pseudonym of SAMPLE_7 --project lab --reason 'a test' --json").json["names"]
        if one["id"] == release
    ]
    shell.run("consent withdraw SAMPLE_7")
    (held,) = shell.run("release holdings --project lab --json").json["holdings"]
    assert held["to_drop"] == 1
    (notice,) = shell.run("release notices --json").json["notices"]
    assert (notice["state"], notice["late"], notice["concerns"]["id"]) == ("open", False, release)
    assert [drop["pseudonym"] for drop in notice["drops"]] == [name]
    assert shell.run("release notices --due --json").json["notices"] == []
    shell.run(f"release notice {notice['notice']} --output notice.json")
    sent = shell.run("release check-notice notice.json --json").json
    assert (sent["notice"], [drop["pseudonym"] for drop in sent["drops"]]) == (notice["notice"], [name])
    forged = (shell.folder / "notice.json").read_text().replace(name, name[:-1] + ("2" if name[-1] != "2" else "3"))
    shell.write("forged.json", forged)
    assert shell.try_("release check-notice forged.json --json").code != 0
    said = shell.run(f"release ack {notice['notice']} --reason 'the lab, by telephone' --json").json
    assert said["state"] == "acknowledged"
    assert shell.run(f"release ack {notice['notice']} --reason 'another lab' --take-back --json").json["state"] == "open"
    anew = shell.run(f"release reissue {release} --output anew --without-withdrawn --json").json
    assert anew["replaces"] == release
    assert anew["subjects"] == shell.run(f"release show {release} --json").json["subjects"] - 1


def test_a_pseudonym_is_resolved_by_two_people_and_not_by_one(released):
    shell, _, _ = released
    shell.run("principal add cora --role custodian --new-key-file cora.key --argon2-profile test-only")
    shell.monkeypatch.setenv("GENOVAULT_PRINCIPAL", "ann")
    (name, *_) = [
        one["pseudonym"] for one in shell.run("pseudonym of SAMPLE_3 --project lab --reason 'a test' --json").json["names"]
    ]
    opened = shell.run(f"pseudonym resolve open {name} --project lab --reason 'a wrong genotype was reported' --json").json
    assert (opened["state"], opened["approved_by"]) == ("open", None)
    ident = opened["resolution"]
    assert shell.try_(f"pseudonym resolve approve {ident} --json").code == 3
    assert shell.try_(f"pseudonym resolve execute {ident} --json").error == "resolution_state"
    with shell.monkeypatch.context() as patch:
        patch.setenv("GENOVAULT_PRINCIPAL", "cora")
        approved = shell.run(f"--key-file cora.key pseudonym resolve approve {ident} --json").json
    assert approved["approved_by"] == "cora"
    assert shell.run(f"pseudonym resolve execute {ident} --json").json["samples"] == ["SAMPLE_3"]
    again = shell.run(f"pseudonym resolve open {name} --project lab --reason 'another report' --json").json["resolution"]
    listed = [one["resolution"] for one in shell.run("pseudonym resolve list --json").json["resolutions"]]
    assert again in listed
    assert shell.run(f"pseudonym resolve close {again} --reason 'it was another cohort' --json").json["state"] == "closed"


def test_an_extract_goes_on_or_says_that_it_begins_anew(released, monkeypatch):
    shell, request, release = released
    begun = f"extract {request} --output parts --split contig --json"
    assert shell.try_(f"{begun} --resume {release}").error == "release_finished"
    create = durable.creating

    def full(path, **options):
        if path.name == "README.txt":
            raise OSError(28, "No space left on device")
        return create(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(durable, "creating", full)
        ran = shell.try_(begun)
    assert ran.error == "output_unwritable"
    stopped = json.loads(ran.out)["error"]["hint"].split()[-1]
    made = shell.run(f"{begun} --resume {stopped}").json
    assert (made["release"], made["resumed"]) == (stopped, True)
    shell.run("release verify parts")
    with monkeypatch.context() as patch:
        patch.setattr(durable, "creating", full)
        assert shell.try_(f"extract {request} --output whole --json").error == "output_unwritable"
    lost = next(one["release"] for one in shell.run("release list --json").json["releases"] if one["state"] == "aborted")
    ran = shell.run(f"extract {request} --output whole --resume {lost} --json")
    assert (ran.json["release"] != lost, ran.json["resumed"]) == (True, False)
    assert "starts from the beginning" in ran.err


def test_a_wide_table_of_no_panel_is_refused_before_it_is_begun(released, monkeypatch):
    shell, request, _ = released
    monkeypatch.setattr(gate.accesses, "begin", None)
    assert shell.try_(f"extract {request} --output wide --format parquet --layout wide --json").error == "wide_without_panel"
