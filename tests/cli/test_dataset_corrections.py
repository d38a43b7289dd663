from __future__ import annotations

import hashlib

from tests.support.vcf_text import vcf


def test_parts_are_listed_and_one_is_removed(peopled):
    file = peopled.write("more.vcf", vcf("SAMPLE_1 NEW", "21 100 A G 0|1 1|1").data)
    peopled.run("dataset import more.vcf --name cohort --assembly GRCh38 --append --register")
    first, second = peopled.run("dataset parts cohort --json").json["parts"]
    assert (first["people"], first["sites"], second["people"], second["sites"]) == (12, 5, 2, 1)
    assert second["source"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert second["source"] in peopled.run("dataset parts cohort").out.replace("\n", "").replace(" ", "") or second["part"]
    refused = peopled.try_(f"dataset remove cohort --part {second['part']} --reason twice --json")
    assert (refused.code, refused.error) == (2, "confirmation_needed")
    gone = peopled.run(f"dataset remove cohort --part {second['part']} --reason twice --yes --json").json
    assert (gone["parts"], gone["people"], gone["bare"], gone["horizon"]) == ([second["part"]], 2, 1, None)
    assert peopled.run("dataset parts cohort --json").json["parts"] == [first]
    assert peopled.try_("dataset remove cohort --yes").code == 2  # no reason
    said = peopled.run("dataset remove cohort --reason 'the wrong cohort' --yes").out
    assert "12 people have no genotypes any more" in said
    assert peopled.run("dataset list --json").json == {"datasets": []}
    assert peopled.run("doctor --json").json["ok"]
