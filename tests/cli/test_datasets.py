from __future__ import annotations

import gzip

import pytest

from tests.support.shell import cohort
from tests.support.vcf_text import vcf


def objects(shell) -> list:
    return sorted(path for path in (shell.vault / "objects").rglob("*") if path.is_file())


def test_a_dataset_is_imported_listed_and_shown(vault):
    vault.write("cohort.vcf.gz", gzip.compress(cohort().data))
    made = vault.run("dataset import cohort.vcf.gz --name cohort --assembly GRCh38 --register --json").json
    assert made == {
        "dataset": "cohort",
        "sites": 5,
        "matched": 0,
        "new": 12,
        "skipped": 0,
        "stored_bytes": made["stored_bytes"],
        "structural": {"sites": 0, "ends_from_lengths": 0, "ends_left_out": 0, "unplaced": 0},
        "gvcf": None,
        "already": {"same": 0, "different": 0},
        "nothing_new": False,
        "unnamed": 0,
        "replaced": 0,
        "checks": {"other_sex": 0, "few_calls": 0},
        "indels": {"sites": 1, "apart": 0},
        "erased": 0,
        "compacted": 0,
    }
    (listed,) = vault.run("dataset list --json").json["datasets"]
    assert (listed["name"], listed["assembly"], listed["parts"], listed["subjects"], listed["sites"]) == (
        "cohort",
        "GRCh38",
        1,
        12,
        5,
    )
    assert vault.run("dataset show cohort --json").json == {**listed, "contigs": ["22", "X"], "assayed_by": None}
    assert "cohort" in vault.run("dataset list").out
    acts = [entry["act"] for entry in vault.run("audit log --json").json["entries"]]
    assert acts[1:] == ["dataset.import", "dataset.list", "dataset.show", "dataset.list"]


def test_more_is_appended(peopled):
    peopled.write("more.vcf", vcf("SAMPLE_1 NEW", "21 100 A G 0|1 1|1").data)
    ran = peopled.try_("dataset import more.vcf --name cohort --assembly GRCh38 --register --json")
    assert (ran.code, ran.error) == (4, "dataset_exists")
    assert peopled.try_("dataset import more.vcf --name new --assembly GRCh38 --append --json").error == "dataset_unknown"
    assert peopled.try_("dataset import more.vcf --name cohort --assembly GRCh37 --append --json").error == "assembly_differs"
    assert peopled.try_("dataset import more.vcf --name cohort --assembly GRCh38 --append --json").error == "samples_unknown"
    made = peopled.run("dataset import more.vcf --name cohort --assembly GRCh38 --append --unknown register --json").json
    assert (made["matched"], made["new"]) == (1, 1)
    assert peopled.run("dataset show cohort --json").json["parts"] == 2


def test_unknown_samples_can_be_left_out_or_mapped(vault):
    vault.write("s.csv", "sample_id,mrn\nA,1\nB,2\n")
    vault.run("subject import s.csv")
    vault.write("x.vcf", vcf("A Q", "22 100 A G 0|1 1|1").data)
    made = vault.run("dataset import x.vcf --name one --assembly GRCh38 --unknown skip --json").json
    assert (made["matched"], made["skipped"]) == (1, 1)
    vault.write("map.csv", "sample,subject\nA,1\nQ,mrn:2\n")
    made = vault.run("dataset import x.vcf --name two --assembly GRCh38 --samples map.csv --json").json
    assert (made["matched"], made["new"], made["skipped"]) == (2, 0, 0)


def test_a_name_that_another_cohort_registered_wants_a_namespace(peopled):
    peopled.write("other.vcf", vcf("SAMPLE_1", "22 100 A G 0|1").data)
    ran = peopled.try_("dataset import other.vcf --name other --assembly GRCh38 --register --json")
    assert (ran.code, ran.error) == (4, "sample_taken")
    made = peopled.run("dataset import other.vcf --name other --assembly GRCh38 --register --namespace other --json").json
    assert made["new"] == 1
    assert peopled.run("subject show sample:other/SAMPLE_1 --json").json["identity"]["samples"] == ["other/SAMPLE_1"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a VCF\n",
        b"\x1f\x8b broken gzip",
        gzip.compress(cohort().data)[:-40],
        cohort().data[:-30],
        cohort().data.replace(b"16000300", b"15999999"),
        vcf("", "22 100 A G").data,
        vcf("A").data,
    ],
    ids=["empty", "text", "gzip", "truncated gzip", "truncated", "unsorted", "no samples", "no sites"],
)
def test_a_bad_file_is_refused_and_leaves_no_trace(vault, data):
    vault.write("bad.vcf", data)
    ran = vault.try_("dataset import bad.vcf --name d --assembly GRCh38 --register --json")
    assert ran.code == 4
    assert vault.run("dataset list --json").json == {"datasets": []}
    assert vault.run("subject list --json").json == {"subjects": []}
    assert objects(vault) == []
    log = vault.run("audit log --act dataset.import --json").json["entries"]
    assert [(entry["outcome"], list(entry["reasons"])) for entry in log] == [("failed", [ran.error])]


def test_a_file_that_is_not_there_is_exit_4(vault):
    assert vault.try_("dataset import none.vcf --name d --assembly GRCh38 --register --json").code == 4


def test_unknown_datasets_are_exit_4(peopled):
    assert peopled.try_("dataset show nope --json").error == "dataset_unknown"


def test_options_that_exclude_each_other_are_exit_2(vault):
    vault.write("cohort.vcf", cohort().data)
    ran = vault.try_("dataset import cohort.vcf --name d --assembly A --register --unknown skip --json")
    assert (ran.code, ran.error) == (2, "options_exclude")
    assert vault.try_("dataset import cohort.vcf --name d --json").code == 2


def test_gvcfs_are_imported_by_a_rule_that_is_shown_and_raised(vault):
    head = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t"
    for name in "AB":
        rows = (
            "1\t1\t.\tA\t<NON_REF>\t.\t.\tEND=99\tGT:DP:GQ\t0/0:30:40\n1\t100\t.\tA\tG,<NON_REF>\t.\t.\t.\tGT:DP:GQ\t0/1:30:40\n"
        )
        vault.write(f"{name}.g.vcf", f"{head}{name}\n{rows}".encode())
    made = vault.run("dataset import A.g.vcf B.g.vcf --name lab --assembly GRCh38 --register --min-dp 12 --json").json
    assert (made["new"], made["sites"], made["gvcf"]["confident_blocks"]) == (2, 2, 2)
    assert "DP 12 (6 with one copy)" in vault.run("dataset show lab --json").json["assayed_by"]
    assert "GQ 30" in vault.run("dataset rule lab --min-gq 30 --json").json["assayed_by"]
    vault.write("C.g.vcf", (vault.folder / "A.g.vcf").read_bytes().replace(b"\tA\n", b"\tC\n"))
    out = vault.run("dataset import C.g.vcf --name lab --append --assembly GRCh38 --register").out
    assert "reference blocks: 1, assayed: 1" in out
    assert "records kept as calls: 1" in out


def test_indels_are_left_aligned_by_a_fasta_and_told_of_without(vault):
    bases = "ACGTTGCAGC" + "CA" * 10 + "TTGACCGTAA" * 4
    vault.write("ref.fa", f">chr22\n{bases}\n")
    vault.write("ref.fa.fai", f"chr22\t{len(bases)}\t7\t{len(bases)}\t{len(bases) + 1}\n")
    row = f"22 27 {bases[26:29]} {bases[26]} 0/1"
    vault.write("a.vcf", vcf("A", row).data)
    vault.write("b.vcf", vcf("B", row).data)
    made = vault.run("dataset import a.vcf --name plain --assembly x --unlisted-assembly --register --json").json
    assert made["indels"] == {"sites": 1, "apart": 1}
    said = vault.run("dataset import b.vcf --name moved --assembly x --unlisted-assembly --register --fasta ref.fa")
    assert "not left-aligned" not in said.out + said.err
    assert (
        vault.try_("dataset import b.vcf --name c --assembly x --unlisted-assembly --register --fasta none.fa --json").error
        == "no_such_file"
    )
    vault.write("c.vcf", vcf("C", "22 27 G T 0/1").data)
    refused = vault.try_("dataset import c.vcf --name c --assembly x --unlisted-assembly --register --fasta ref.fa --json")
    assert (refused.code, refused.error) == (4, "ref_mismatch")
