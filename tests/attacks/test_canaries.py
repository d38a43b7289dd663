"""A canary in every field of every kind of source, and in people who are not released: none is in anything that leaves.

What leaves: files of each format, manifests, READMEs, answers to requests, notices, views and their tables, leaves of the log, documents
of commands, and what an engine is told. What may leave is said by ``docs/design/disclosure.md`` §11.
"""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from cli.main import app
from tests.attacks.test_source_text import HEADER, HIDDEN, RECORDS, SAMPLES, WORD
from tests.support import vaults
from tests.support.attack_figures import shown
from tests.support.golden import run
from tests.support.held import Held
from tests.support.outside import tool
from tests.support.vaults import opened
from vault import gate
from vault.access import notices, releases, request_files
from vault.consent import drop_lists, recording
from vault.crypto.keystore import Role
from vault.errors import GenovaultError
from vault.genotypes.catalog import datasets, panel_builder
from vault.genotypes.loci import parse_loci
from vault.views import released_text

FORMATS = ("vcf", "bcf", "pgen", "parquet")
PRIVATE = re.compile(rf"{WORD}|{HIDDEN}".encode(), re.IGNORECASE)
WORDS = "What a file brings along", "files, tables, answers and entries of the log with a word of the source in them"
SOURCE = {"on": "VCF, BCF and gVCF with a word in every field, and somebody who withdrew", "bound": "0"}
PLACE = 1900  # where the one who withdrew carries what nobody else does
PANEL = b"contig\tpos\n22\t1000\n22\t1200\n22\t1300\n22\t1700\n22\t1805\n"
GVCF = HEADER.replace("VCFv4.3", "VCFv4.2") + '##INFO=<ID=END,Number=1,Type=Integer,Description="{WORD}">\n'
FILE = {
    "format": "request/1", "project": "ids", "dataset": "cohort", "kind": "records", "loci": {"regions": ["22:1-3000"]},
    "fields": ["genotypes"], "for": "ann", "reason": "asked",
}  # fmt: skip


def text() -> str:
    """The VCF of all canaries."""
    columns = "\t".join(["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *SAMPLES])
    lines = ["\t".join(["22", pos, name, ref, alt, ".", filters, info, form, *calls.split()])
             for pos, name, ref, alt, filters, info, form, calls in RECORDS]  # fmt: skip
    return "\n".join([HEADER + columns, *lines]) + "\n"


def as_vcf(held: Held) -> list[Path]:
    return [held.write(f"{WORD}.vcf", text())]


def as_bcf(held: Held) -> list[Path]:
    """What bcftools makes of it; a BCF holds nothing that its header does not name."""
    tool("bcftools")
    kinds = {
        "END": "Integer",
        "SVLEN": "Integer",
        "CHR2": "String",
        "POS2": "String",
        "END2": "String",
        "MATEID": "String",
        "EVENT": "String",
    }
    named = "".join(f'##INFO=<ID={name},Number=1,Type={kind},Description="{WORD}">\n' for name, kind in kinds.items())
    source = held.write("source.vcf", text().replace("#CHROM", named + "#CHROM").replace(f"{WORD};.\tEND", f"{WORD}\tEND"))
    made = held.folder / f"{WORD}.bcf"
    run("bcftools", "view", "--no-version", "-Ob", "-o", made, source)
    return [made]


def as_gvcf(held: Held) -> list[Path]:
    """A file for each person, reference blocks between their records."""
    made = []
    for at, sample in enumerate(SAMPLES):
        head = f"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t{sample}"
        rows = [("900", WORD, "A", "<NON_REF>", WORD, "END=999", f"GT:GQ:{WORD}", f"0/0:50:{WORD}")]
        for pos, name, ref, alt, filters, info, form, calls in RECORDS:
            call = calls.split()[at]
            if set(call.partition(":")[0]) & set("123"):
                rows.append(
                    (
                        pos,
                        name,
                        ref,
                        f"{alt},<NON_REF>",
                        filters,
                        info,
                        form.replace("GT", "GT:GQ", 1),
                        call.replace(":", ":50:") if ":" in call else f"{call}:50",
                    )
                )
        rows.append(("1950", WORD, "A", "<NON_REF>", WORD, "END=2000", "GT:GQ", "0/0:50"))
        lines = [
            f"22\t{pos}\t{name}\t{ref}\t{alt}\t.\t{filters}\t{info}\t{form}\t{call}"
            for pos, name, ref, alt, filters, info, form, call in rows
        ]
        made.append(held.write(f"{sample}.g.vcf", "\n".join([GVCF.replace("{WORD}", WORD) + head, *lines]) + "\n"))
    return made


SOURCES = {"vcf": as_vcf, "bcf": as_bcf, "gvcf": as_gvcf}


class Left:
    """What left a vault after one import, by where it stood."""

    def __init__(self, held: Held, kind: str) -> None:
        self.held = held
        self.found: dict[str, bytes] = {}
        held.load(*SOURCES[kind](held))
        held.everyone_consents()
        recording.withdraw(held.vault, SAMPLES[2])
        held.project("ids", keep_ids=True)
        panel_builder.create(held.vault, datasets.by_name(held.vault, "cohort"), "p", parse_loci(PANEL, name="p"))
        self.extracts()
        self.views()
        self.afterwards()
        self.documents()
        self.uninformed()

    def keep(self, name: str, said: object) -> None:
        self.found[name] = said if isinstance(said, bytes) else (said if isinstance(said, str) else repr(said)).encode()

    def told(self) -> dict[str, list[bytes]]:
        """Canaries by where they were found."""
        return {name: PRIVATE.findall(said) for name, said in self.found.items() if PRIVATE.search(said)}

    def extracts(self) -> None:
        for file_format in FORMATS:
            for panel in (None, "p") if file_format == "vcf" else (None,):
                folder = self.held.extract("ids", "cohort", out=f"{file_format}-{panel}", file_format=file_format, panel=panel)
                for path in folder.rglob("*"):
                    self.keep(f"{folder.name}/{path.name}", unpacked(path))

    def views(self) -> None:
        for panel in (None, "p"):
            view = gate.view(self.held.vault, project="ids", dataset="cohort", panel=panel)
            sites = view.sites
            texts = [item for column in (sites.alleles, sites.ids, sites.filters, sites.info) for item in column.items()]
            self.keep(f"view {panel}", repr([texts, sites.contigs, sites.pos.tolist(), view.pseudonyms, view.not_assayed]))
            self.keep(f"frame {panel}", view.to_pandas().to_csv())
            self.keep(f"receipt {panel}", view.receipt)

    def afterwards(self) -> None:
        vault = self.held.vault
        made = request_files.take_in(vault, FILE)
        self.keep("answer", request_files.answer(vault, made.request_id))
        recording.withdraw(vault, SAMPLES[1])
        drop_lists.bring_up_to_date(vault)
        for notice in notices.list_all(vault):
            self.keep(f"notice {notice.notice_id}", notices.issue(vault, notice.notice_id))
        for at, entry in enumerate(vault.trail.log.entries()):
            self.keep(f"leaf {at}", entry.leaf or b"")

    def documents(self) -> None:
        """What commands about releases print for programs."""
        (first, *_) = releases.list_all(self.held.vault)
        self.held.vault.close()
        for words in (
            ["release", "list"],
            ["release", "show", first.release_id],
            ["release", "holdings"],
            ["release", "notices"],
        ):
            environment = {"GENOVAULT_HOME": str(self.held.folder / "v"), "GENOVAULT_PASSPHRASE": vaults.PASSPHRASE}
            done = CliRunner().invoke(app, ["--json", *words], env=environment)
            assert done.exit_code == 0, done.output
            self.keep(" ".join(words), done.output)

    def uninformed(self) -> None:
        """What an engine is told about questions that touch what is withheld."""
        own = vaults.add_role(self.held.folder / "v", Role.ENGINE)
        with opened(self.held.folder / "v", factor=own, principal="engine") as session:
            for project in ("ids", "gone"):
                for asked in ({"regions": [f"22:{PLACE}"]}, {"panel": "p"}, {"regions": ["22:1-3000"]}, {}):
                    try:
                        said = repr(gate.view(session, project=project, dataset="cohort", **asked))
                    except GenovaultError as error:
                        said = repr([error, vars(error), error.__cause__, error.__context__])
                    self.keep(f"{project} {asked}", said)


def unpacked(path: Path) -> bytes:
    """A file as its readers see it, whatever packs it, after the bytes themselves."""
    data = path.read_bytes()
    if data.startswith(b"\x1f\x8b"):
        return data + gzip.decompress(data)
    if path.suffix == ".parquet":
        table = pq.read_table(path)
        return data + repr([table.schema, table.to_pylist()]).encode()
    return data


@pytest.fixture(scope="module", params=["vcf", pytest.param("bcf", marks=pytest.mark.long), "gvcf"])
def left(request, tmp_path_factory):
    held = Held.make(tmp_path_factory.mktemp(request.param))
    return Left(held, request.param)


def test_no_canary_is_in_anything_that_leaves(left):
    assert left.told() == {}
    shown(*WORDS, guarded=0, **SOURCE)


def test_without_the_allow_lists_words_of_the_source_leave(tmp_path, monkeypatch):
    for name in ("filters", "ids", "alt"):
        monkeypatch.setattr(released_text, name, lambda text, *_: text)
    monkeypatch.setattr("tests.attacks.test_canaries.FORMATS", ("vcf",))  # a BCF cannot even be written of such filters
    off = Left(Held.make(tmp_path), "vcf").told()
    assert {"vcf-None/genotypes.vcf.gz", "view None", "frame None"} <= off.keys()
    shown(*WORDS, off=len(off), **SOURCE)


def test_what_was_looked_at_is_what_left(left):
    """Each format's records, both kinds of view, answer, notices, leaves, documents and refusals are among it."""
    found = left.found
    assert sum(name.startswith(tuple(f"{one}-" for one in FORMATS)) for name in found) >= 4 * (len(FORMATS) + 1)
    assert all(b"1805" in found[f"view {panel}"] and b"1805" in found[f"frame {panel}"] for panel in (None, "p"))
    assert all(
        b"1805" in found[name] for name in ("vcf-None/genotypes.vcf.gz", "parquet-None/sites.parquet", "pgen-None/genotypes.pvar")
    )
    assert any(name.startswith("notice ") for name in found)
    assert json.loads(found["answer"])
    assert found["ids {'panel': 'p'}"].startswith(b"[RefusedError")


def test_the_place_that_only_somebody_carries_who_withdrew_is_nowhere(left):
    views = [
        said for name, said in left.found.items() if name.startswith(("view", "frame", "parquet-", "vcf-")) and b"1805" in said
    ]
    assert len(views) >= 5
    assert not [said for said in views if re.search(rb"\b1900\b", said)]


def test_the_canaries_are_found_where_they_are():
    """The scan itself: it finds each kind of canary, in whatever letters."""
    assert all(PRIVATE.search(said.encode()) for said in (WORD, WORD.lower(), HIDDEN, text()))
