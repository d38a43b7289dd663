from __future__ import annotations

import pytest


def test_panels_are_created_in_versions_listed_and_shown(peopled):
    peopled.write("a.bed", "22\t16000099\t16000200\tfirst\n")
    peopled.write("b.tsv", "contig\tpos\tref\talt\n22\t16000100\tA\tG\nchr22\t5\tC\tT\n")
    first = peopled.run("panel create p --loci a.bed --dataset cohort --json").json
    second = peopled.run("panel create p --loci b.tsv --dataset cohort --json").json
    assert [(panel["version"], panel["loci"]) for panel in (first, second)] == [(1, 1), (2, 2)]
    assert peopled.run("panel list --json").json == {"panels": [first, second]}
    shown = peopled.run("panel show p --json").json
    assert shown["version"] == 2
    assert shown["loci"][0] == {"contig": "22", "first": 16000100, "last": 16000100, "ref": "A", "alts": ["G"], "name": ""}
    assert "22:16000100" in peopled.run("panel show p").out


def test_a_long_panel_is_cut_in_the_table_only(peopled):
    peopled.write("a.bed", "".join(f"22\t{i}\t{i + 1}\n" for i in range(30)))
    peopled.run("panel create p --loci a.bed --dataset cohort")
    assert "10 more" in peopled.run("panel show p").out
    assert len(peopled.run("panel show p --json").json["loci"]) == 30


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("panel create p --loci a.bed --dataset nope --json", "dataset_unknown"),
        ("panel create p --loci none.bed --dataset cohort --json", "file_unreadable"),
        ("panel create p --loci bad.bed --dataset cohort --json", "loci_malformed"),
        ("panel create p --loci empty.bed --dataset cohort --json", "loci_empty"),
        ("panel show nope --json", "panel_unknown"),
    ],
)
def test_bad_input_is_exit_4(peopled, line, error):
    peopled.write("a.bed", "22\t1\t2\n")
    peopled.write("bad.bed", "22\t2\t1\n")
    peopled.write("empty.bed", "")
    ran = peopled.try_(line)
    assert (ran.code, ran.error) == (4, error)
    assert peopled.run("panel list --json").json == {"panels": []}
