from __future__ import annotations

import gzip
import shutil

import pytest

ASK = "request submit --project demo --dataset cohort --json"


@pytest.fixture
def asked(consented):
    """A shell, and the id of an open request."""
    return consented, consented.run(f"{ASK} --region 22").json["request"]


def test_an_extract_is_listed_shown_and_verified(asked):
    shell, request = asked
    made = shell.run(f"extract {request} --output out --json").json
    assert (made["state"], made["subjects"], made["sites"], made["request"]) == ("released", 12, 4, request)
    assert made["output"] == str(shell.folder / "out")
    assert shell.run("release list --json").json == {"releases": [made]}
    shown = shell.run(f"release show {made['release']} --json").json
    assert shown["asked"]["regions"] == ["22"]
    assert "no_reidentification" in str(shown["obligations"]) or shown["obligations"]
    assert made["release"] in shell.run("release list").out
    assert made["release"] in (words := shell.run(f"release show {made['release']}").out)
    assert shown["bits"]["largest"] >= shown["bits"]["mean"] > 0
    assert f"mean bits    {shown['bits']['mean']}" in words
    verified = shell.run("release verify out/manifest.json --json").json
    assert (verified["release"], verified["entry"], verified["subjects"]) == (made["release"], made["entry"], 12)


def test_a_release_is_verified_without_a_vault(asked, monkeypatch):
    shell, request = asked
    key = shell.script(f"extract {request} --output out", "audit key").out.strip()
    keys = shell.run("release key").out
    (mark,) = (own["fingerprint"] for own in shell.run("release key --json").json["release"])
    shutil.rmtree(shell.vault)
    monkeypatch.delenv("GENOVAULT_PASSPHRASE")
    shell.write("key.txt", key)
    shell.write("keys.txt", keys)
    assert shell.run("release verify out/manifest.json --key keys.txt --json").json["log_key"] == key
    assert mark in keys
    shell.run(f"release verify out/manifest.json --key {key} --release-key {mark}")
    shell.run(f"release verify out/manifest.json --key key.txt --release-key {mark.upper()}")
    shell.write("key.txt", f"{key} until 99")  # as "audit key" prints it of a key that was replaced
    shell.run(f"release verify out/manifest.json --key key.txt --release-key {mark}")
    assert shell.try_("release verify out/manifest.json --json").error == "no_vault"


def test_the_log_s_key_alone_does_not_say_who_signed(asked):
    shell, request = asked
    key = shell.script(f"extract {request} --output out", "audit key").out.strip()
    ran = shell.try_(f"release verify out/manifest.json --key {key} --json")
    assert (ran.code, ran.error) == (2, "release_key_missing")
    assert shell.try_(f"release verify out/manifest.json --key {key} --release-key {'0' * 64} --json").error == "manifest_key"
    assert shell.try_(f"release verify out/manifest.json --release-key {'0' * 64} --json").error == "manifest_key"
    shell.write("empty.txt", "# nothing\n")
    assert shell.try_("release verify out/manifest.json --key empty.txt --json").error == "bad_key"


@pytest.mark.parametrize(
    "name",
    [
        "genotypes.vcf.gz",
        "genotypes.vcf.gz.csi",
        "genotypes.vcf.gz.tbi",
        "LIMITS.txt",
        "README.txt",
        "manifest.json",
        "manifest.json.tlog-proof",
    ],
)
def test_a_changed_file_is_exit_5(asked, name):
    shell, request = asked
    shell.run(f"extract {request} --output out")
    path = shell.folder / "out" / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert shell.try_("release verify out/manifest.json --json").code == 5
    log = shell.run("audit log --act release.verify --json").json["entries"]
    assert [entry["outcome"] for entry in log] == ["failed"]


def test_another_log_s_release_is_exit_5(asked):
    shell, request = asked
    shell.script(f"extract {request} --output out", "init other --steward eve --argon2-profile test-only")
    assert shell.try_("--vault other release verify out/manifest.json --json").code == 5


def test_what_is_not_a_release_is_exit_4(asked):
    shell, _ = asked
    assert shell.try_("release verify none/manifest.json --json").error == "file_unreadable"
    assert shell.try_("release verify answers.csv --json").error == "not_a_manifest"
    assert shell.try_("release verify none/manifest.json --key x --json").code == 4
    assert shell.try_("release show rel-1 --json").error == "release_unknown"


def test_an_output_that_is_there_is_never_overwritten(asked):
    shell, request = asked
    shell.write("out", "mine")
    ran = shell.try_(f"extract {request} --output out --json")
    assert (ran.code, ran.error) == (4, "output_not_empty")
    assert (shell.folder / "out").read_text() == "mine"
    assert shell.try_(f"extract {request} --output none/out --json").error == "output_parent_missing"


def test_nobody_permitted_is_refused_and_leaves_no_folder(asked):
    shell, request = asked
    for i in range(1, 13):
        shell.run(f"consent withdraw SAMPLE_{i}")
    ran = shell.try_(f"extract {request} --output out --json")
    assert ran.code == 3
    assert not (shell.folder / "out").exists()
    (entry,) = shell.run("audit log --act extract --json").json["entries"]
    assert (entry["act"], entry["outcome"]) == ("extract.intent", "refused")


def test_a_closed_project_releases_nothing_more(asked):
    shell, request = asked
    shell.run("project close demo")
    assert shell.try_(f"extract {request} --output out --json").code == 3


def test_a_panel_extract_keeps_every_locus_and_names_what_was_not_assayed(consented):
    consented.write("p.tsv", "contig\tpos\tref\talt\n22\t16000100\tA\tG\n22\t16000300\tG\tGA\n22\t77\tA\tC\n")
    consented.run("panel create p --loci p.tsv --dataset cohort")
    request = consented.run(f"{ASK} --panel p").json["request"]
    consented.run(f"extract {request} --output out")
    text = gzip.decompress((consented.folder / "out" / "genotypes.vcf.gz").read_bytes()).decode()
    assert [line.split("\t")[1] for line in text.splitlines() if not line.startswith("#")] == ["16000100", "16000300"]
    assert '"not_assayed":1' in (consented.folder / "out" / "manifest.json").read_text()


def test_bcf_is_another_format(asked):
    shell, request = asked
    shell.run(f"extract {request} --output out --format bcf")
    assert (shell.folder / "out" / "genotypes.bcf").is_file()
    shell.run("release verify out/manifest.json")
    assert shell.try_(f"extract {request} --output out2 --format pdf --json").code == 2
