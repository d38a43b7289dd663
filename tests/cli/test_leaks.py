"""Names, record numbers, sample ids, alleles and the passphrase are where they belong and nowhere else (docs/architecture.md §3, rule 7)."""

from __future__ import annotations

import gzip
import json
import tempfile
from collections.abc import Iterator

import pytest

from tests.support.shell import PASSPHRASE, Shell
from tests.support.vcf_text import vcf

NAME, MRN, SAMPLE = "Canarina Vogelsang", "MRN-7317-CANARY", "CANARY_SAMPLE_42"
STRAY = "CANARY_STRAY_43"  # a reference that nobody has
ALLELE = "GATTACAGATTACAGATTACATTTACCCGGGATTACA"
PRIVATE = (NAME, "Vogelsang", MRN, SAMPLE, STRAY, "CANARY", ALLELE, PASSPHRASE)

SHEET = f"sample_id,mrn,name,birth_date\n{SAMPLE},{MRN},{NAME},1980-01-31\nB,2,Ben,\n"
COHORT = vcf(f"{SAMPLE} B", "22 100 A G 0|1 1|1", f"22 200 C {ALLELE} 0|1 0|0")
ANSWERS = f"subject,legal_time,research_use,signer\nmrn:{MRN},,yes,self\nB,,yes,self\n"

STORY = (
    "init v --steward ann --argon2-profile test-only",
    "subject import s.csv",
    "subject import s.csv --update",
    "dataset import c.vcf --name cohort --assembly GRCh38",
    "dataset import c.vcf --name other --assembly GRCh38 --samples map.csv",
    "dataset list",
    "dataset show cohort",
    "consent import a.csv --form broad-research",
    f"subject restrict {SAMPLE}",
    f"subject restrict {SAMPLE} --lift",
    "project template > p.yaml",
    "project create p.yaml",
    "project approve demo",
    "project check demo",
    "panel create p --loci p.bed --dataset cohort",
    "principal add bob --role researcher",
    "request submit --project demo --dataset cohort --region 22 --for bob",
    "request list",
    "audit log",
    "audit log --json",
    "audit export --format tiles tiles",
    "audit export --format jsonl log.jsonl",
    "audit verify",
)
MISTAKES = (
    f"subject show {STRAY}",
    f"subject show --json id:{STRAY}",
    f"consent show {STRAY}",
    f"consent withdraw mrn:{STRAY}",
    f"consent withdraw {SAMPLE} --scope {STRAY}",
    f"consent withdraw {SAMPLE} --scope module:{STRAY}",
    f"consent withdraw {SAMPLE} --scope recipient:{STRAY}",
    "subject import s.csv",
    "subject import bad.csv",
    "subject import swapped.csv",
    "consent import bad-answers.csv --form broad-research",
    "consent import shifted.csv --form broad-research",
    "consent import strange.csv --form broad-research",
    "consent import strange.csv --form duo-codes",
    "dataset import c.vcf --name third --assembly GRCh38 --samples bad-map.csv",
    "dataset import bad.vcf --name third --assembly GRCh38 --register",
    "dataset import twice.vcf --name third --assembly GRCh38 --register",
    "dataset import stray.vcf --name third --assembly GRCh38",
)
FILES = {
    "s.csv": SHEET,
    "bad.csv": f"{SHEET}{STRAY},{MRN},{NAME},31.1.1980\n",
    "swapped.csv": f"{NAME},mrn\n{SAMPLE},{MRN}\n",
    "c.vcf": COHORT.text,
    "bad.vcf": COHORT.text.replace("0|1\t1|1", f"0|1\t{STRAY}"),
    "twice.vcf": COHORT.text.replace("\tB\n", f"\t{SAMPLE}\n"),
    "stray.vcf": COHORT.text.replace("\tB\n", f"\t{STRAY}\n"),
    "map.csv": f"sample,subject\n{SAMPLE},mrn:{MRN}\nB,2\n",
    "bad-map.csv": f"sample,subject\n{SAMPLE},{STRAY}\n{STRAY},2\n",
    "a.csv": ANSWERS,
    "bad-answers.csv": f"{ANSWERS}{STRAY},,yes,self\n{MRN},,yes,{NAME}\n",
    "shifted.csv": f"subject,legal_time,research_use,signer\n{MRN},,{NAME},self\nB,{NAME},yes,self\n",
    "strange.csv": f"subject,research_use\n{MRN},{NAME}\n",
    "p.bed": "22\t99\t200\n",
}


@pytest.fixture(scope="module")
def story(tmp_path_factory) -> Iterator[Shell]:
    """The story, with every mistake made, and a temp folder of its own; the tests only look at it."""
    folder = tmp_path_factory.mktemp("story")
    with pytest.MonkeyPatch.context() as monkeypatch:
        (folder / "tmp").mkdir()
        monkeypatch.setenv("TMPDIR", str(folder / "tmp"))
        monkeypatch.setattr(tempfile, "tempdir", str(folder / "tmp"))
        yield told(Shell(folder, monkeypatch))


def told(shell: Shell) -> Shell:
    for name, text in FILES.items():
        shell.write(name, text)
    shell.script(*STORY)
    request = shell.run("request list --json").json["requests"][0]["request"]
    shell.script(f"extract {request} --output out", "release list", "release verify out/manifest.json")
    withdrawn = shell.run(f"consent withdraw {SAMPLE}")
    listed = shell.run("subject list")
    assert leaks(withdrawn.out.encode()) == leaks(f"{NAME} {MRN} {SAMPLE}".encode())  # whom it was
    assert leaks(listed.out.encode()) == leaks(f"{MRN} {SAMPLE}".encode())  # no name
    for shown in (withdrawn, listed):
        assert not leaks(shown.err.encode())
        shell.printed.remove(shown)
    for line in MISTAKES:
        assert shell.try_(line).code == 4, line
    shell.script("audit log --json", "audit export --format tiles tiles2")
    return shell


def leaks(data: bytes) -> list[str]:
    """Private words found in some bytes, in any usual encoding."""
    found = {word for word in PRIVATE for encoding in ("utf-8", "utf-16-le") if word.encode(encoding) in data}
    return sorted(found | {word for word in PRIVATE if word.encode().hex().encode() in data.lower()})


def test_nothing_private_gets_out(story):
    for ran in story.printed:
        assert leaks(ran.err.encode()) == [], ran.err
        assert leaks(ran.out.encode()) == [], ran.out
    for path in (*story.vault.rglob("*"), *story.folder.glob("tiles*/**/*")):
        assert leaks(str(path.relative_to(story.folder)).encode()) == []
        assert not path.is_file() or leaks(path.read_bytes()) == [], path
    assert list((story.folder / "tmp").iterdir()) == []
    assert leaks((story.folder / "log.jsonl").read_bytes()) == []


def test_a_release_holds_genotypes_under_pseudonyms_and_nobody_s_name(story):
    for path in (story.folder / "out").iterdir():
        data = path.read_bytes()
        text = gzip.decompress(data) if path.suffix == ".gz" else data
        assert set(leaks(text)) <= {ALLELE}, path
    assert ALLELE.encode() in gzip.decompress((story.folder / "out" / "genotypes.vcf.gz").read_bytes())


def test_what_auditors_open_names_nobody(story):
    for entry in story.run("audit log --json").json["entries"]:
        shown = story.run(f"audit show {entry['index']} --json")
        assert leaks(json.dumps(shown.json, ensure_ascii=False).encode()) == []
