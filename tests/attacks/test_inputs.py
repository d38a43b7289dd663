"""Files and names made to do harm."""

from __future__ import annotations

import gzip
import io
import re
import subprocess
import tracemalloc
from pathlib import Path

import pytest

from tests.support import vaults
from tests.support.outside import tool
from tests.support.releases import pinned
from tests.support.vaults import ask, opened
from tests.support.vcf_text import Record, SmallVcf, vcf
from vault import gate
from vault.access import projects
from vault.consent import recording
from vault.errors import GenovaultError, InputError
from vault.files.csv_sheets import Column, read_sheet, text, write_sheet
from vault.files.names import MAX_NAME_CHARS
from vault.files.yaml_documents import parse_yaml
from vault.genotypes import import_job
from vault.genotypes.catalog import datasets, panels
from vault.genotypes.loci import parse_loci
from vault.session.settings import bound_text, read_settings
from vault.subjects import sheet_import

HEADER_LINE = re.compile(r'##\w+=(<(\w+=("(\\.|[^"\\])*"|[^",<>\\][^,<>\\]*),?)+>|[^<].*)')


@pytest.fixture
def bring(small, tmp_path):
    """Import bytes as a new dataset for everyone in them."""

    def do(data, name="evil", **options):
        file = tmp_path / "evil.vcf"
        file.write_bytes(data)
        with opened(small) as s:
            return import_job.import_files(
                s, [file], name=name, assembly="GRCh38", options=import_job.ImportOptions(unknown="register", **options)
            )

    return do


def files(folder):
    """Every path below a folder, but SQLite's working files."""
    return {p.relative_to(folder) for p in Path(folder).rglob("*") if not p.name.endswith(("-wal", "-shm"))}


BASE = vcf("E1 E2", "22 100 A G 0|1 1|1")


def with_record(**changes):
    fields = {"contig": "22", "pos": 100, "ref": "A", "alts": ("G",), "gts": ("0|1", "1|1")} | changes
    return SmallVcf(("E1", "E2"), (Record(**fields),)).data


REFUSED = {
    "a line break in a sample name": BASE.data.replace(b"\tE2\n", b"\tE2\r##evil\tE3\n"),
    "a tab in a contig": with_record(contig="2\v2"),
    "an escape in a contig": with_record(contig="\x1b[31m22"),
    "a NUL in a contig": with_record(contig="22\0"),
    "a comma in a contig": with_record(contig="22,ID=x"),
    "a bracket in a contig": with_record(contig='22>"'),
    "a quote in a contig": with_record(contig='22"'),
    "an escape in a filter": with_record(filter="\x1b]0;evil\x07"),
    "a NUL in an allele": with_record(ref="A\0"),
    "a control character in an allele": with_record(alts=("<DEL\x1b>",)),
    "a negative position": with_record(pos=-5),
    "a huge position": with_record(pos=10**30),
    "an allele that is not there": with_record(gts=("0|9", "0|0")),
    "an allele number without end": with_record(gts=("0|" + "9" * 400, "0|0")),
    "a thousand alleles in a call": with_record(gts=("|".join(["0"] * 1000), "0|0")),
    "ten thousand ALTs": with_record(alts=tuple("A" * n for n in range(2, 400))),
    "no columns": b"##fileformat=VCFv4.3\n",
    "not a VCF": b"\x7fELF" + bytes(1000),
    "an empty file": b"",
    "gzip of rubbish": gzip.compress(bytes(100_000)),
    "gzip cut short": gzip.compress(BASE.data)[:-9],
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_malicious_file_is_refused_and_leaves_no_trace(small, bring, name):
    before = files(small)
    with pytest.raises(InputError) as caught:
        bring(REFUSED[name])
    assert not any(c in str(caught.value) for c in "\x1b\0\n\r\x07")
    assert files(small) == before
    with opened(small) as s:
        assert [d.name for d in datasets.list_all(s)] == ["cohort"]


ACCEPTED = {
    "filters": {"filter": "x,Description=pwn"},
    "a filter with brackets": {"filter": "q10>,ID=<y"},
    "a filter with a quote": {"filter": 'q"10'},
    "a symbol with a quote": {"alts": ('<DEL"x>',)},
    "a symbol with an equals sign": {"alts": ("<DEL:ID=x>",)},
    "an id with odd characters": {"id": 'rs1";x=<y>'},
    "an INFO with END and more": {"alts": ("<DEL>",), "info": 'END=150;SVTYPE=DEL"x<y>'},
    "a formula": {"id": "=1+1", "filter": "=cmd|x"},
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_nothing_of_a_record_breaks_out_into_the_header(small, bring, tmp_path, name):
    """Refused at import, or written so that a strict reader and bcftools take each header line for one line."""
    try:
        bring(with_record(**ACCEPTED[name]))
    except InputError:
        return
    with opened(small) as s:
        recording.import_answers(s, b"subject,research_use,signer\nE1,yes,self\nE2,yes,self\n", "broad-research")
        vaults.approve(s, "open", "evil", disclosure={"keep_ids": True, "keep_phase": True})
        request = vaults.ask(s, project="open", dataset="evil", regions=())
        try:
            gate.extract(s, request, tmp_path / "out")
        except GenovaultError:
            return
    path = tmp_path / "out/genotypes.vcf.gz"
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    header = [line for line in lines if line.startswith("##")]
    assert all(HEADER_LINE.fullmatch(line) for line in header), header
    assert sum(line.startswith("##fileformat") for line in header) == 1
    assert len([line for line in lines if not line.startswith("#")]) == 1
    ran = subprocess.run([tool("bcftools"), "view", str(path)], capture_output=True, text=True, check=True)
    assert ran.stderr == ""


def test_nothing_of_a_source_header_is_in_an_extract(small, bring, tmp_path):
    evil = BASE.text.replace(
        "#CHROM",
        '##evil=canary-71\n##bcftools_command=view /home/canary-72\n##SAMPLE=<ID=canary-73>\n##INFO=<ID=X,Description="canary-74">\n#CHROM',
    )
    bring(evil.encode())
    with opened(small) as s:
        recording.import_answers(s, b"subject,research_use,signer\nE1,yes,self\nE2,yes,self\n", "broad-research")
        vaults.approve(s, "open", "evil")
        gate.extract(s, ask(s, project="open", dataset="evil", regions=()), tmp_path / "out")
    for path in (tmp_path / "out").iterdir():
        data = path.read_bytes()
        assert b"canary" not in (gzip.decompress(data) if path.suffix == ".gz" else data)


@pytest.mark.parametrize("inner", [b"##fileformat=VCFv4.3\n##x=", BASE.data + b"22\t200\t.\tA\tG\t.\t.\t"])
def test_a_small_file_that_grows_without_end_is_refused_in_bounded_memory(small, bring, inner):
    """80 KB on disk, 80 MB inflated without a line break, in the header or in a record: more than a line may have."""
    bomb = gzip.compress(inner + b"A" * (80 << 20), compresslevel=9)
    tracemalloc.start()
    try:
        with pytest.raises(InputError) as caught:
            bring(bomb)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.code in {"header_too_long", "line_too_long"}
    assert peak < 600 << 20  # the line's limit, while its buffer doubles


HOSTILE_NAMES = [
    "../../evil",
    "/etc/evil",
    "a/b",
    "..",
    ".",
    "a\0b",
    "a\nb",
    "\x1b[31m",
    "a\u202eb",
    "",
    " ",
    "x" * 5000,
    "~root",
    "C:\\x",
    "-rf",
]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_datasets_name_leads_nowhere(small, bring, tmp_path, name):
    outside, inside = files(tmp_path) - {p.relative_to(tmp_path) for p in small.rglob("*")}, len(list(small.rglob("*")))
    try:
        bring(BASE.data, name=name)
    except InputError as error:
        assert not any(c in str(error) for c in "\x1b\0\n")
        return
    assert inside
    left = {p for p in files(tmp_path) if not str(p).startswith("v/")}
    assert left - {Path("evil.vcf")} <= {p for p in outside if not str(p).startswith("v/")}
    assert name.isprintable()
    assert name.strip()
    assert len(name) <= MAX_NAME_CHARS


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_panels_name_leads_nowhere(small, name):
    with opened(small) as s:
        dataset = datasets.by_name(s, "cohort").dataset_id
        try:
            panels.create(s, name, parse_loci(b"22\t1\t2\n", name="x"), dataset_id=dataset)
        except InputError as error:
            assert not any(c in str(error) for c in "\x1b\0\n")
            return
    assert name.isprintable()
    assert name.strip()
    assert len(name) <= MAX_NAME_CHARS


@pytest.mark.parametrize("name", [*HOSTILE_NAMES, "UPPER", "x"])
def test_a_projects_code_is_plain(small, name):
    document = parse_yaml(vaults.project_template("demo", "cohort").encode(), name="t") | {"code": name}
    with opened(small) as s, pytest.raises(InputError) as caught:
        projects.create(s, document)
    assert caught.value.code == "document_rejected"
    assert not any(c in str(caught.value) for c in "\x1b\0\n")


FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "=cmd|' /C calc'!A0", "'=1"]


def test_sheets_that_we_write_hold_no_formula(small):
    rows = [(n, f"F{n};{formula}" if formula.isprintable() else f"F{n}") for n, formula in enumerate(FORMULAS)]
    with opened(small) as s:
        for number, samples in rows:
            sheet = f'sample_id,mrn\n"{samples.split(";")[-1]}",M{number}\n'.encode()
            try:
                sheet_import.import_sheet(s, vaults.read_subject_sheet(sheet, today=vaults.TODAY))
            except InputError:
                continue
        header, lines = recording.blank_sheet(s, "broad-research", accept=True)
        out = io.StringIO()
        write_sheet(out, columns=header, rows=lines)
        assert not re.search(r'(^|,)"?[=+@\-\t]', out.getvalue(), re.MULTILINE)
        recorded = recording.import_answers(s, out.getvalue().encode(), "broad-research")  # and it reads back as it was
        assert recorded.recorded == len(lines)


@pytest.mark.parametrize("formula", FORMULAS)
def test_a_formula_is_guarded_and_read_back(formula):
    out = io.StringIO()
    write_sheet(out, columns=["a"], rows=[[formula]])
    cell = out.getvalue().split("\n")[1].strip('"')
    assert cell[0] == "'"
    if formula.isprintable():
        column = Column("a", text)
        assert read_sheet(out.getvalue().encode(), columns=[column]).rows[0][column] == formula


def test_an_output_that_is_a_link_leads_to_nothing_of_others(small, tmp_path):
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "precious").write_text("stays")
    (tmp_path / "out").symlink_to(victim)
    with opened(small) as s:
        with pytest.raises(InputError) as caught:
            gate.extract(s, ask(s), tmp_path / "out")
        assert caught.value.code == "output_not_empty"
    assert [p.name for p in victim.iterdir()] == ["precious"]


def test_an_output_that_becomes_a_link_meanwhile_is_not_followed(small, tmp_path, monkeypatch):
    victim = tmp_path / "victim"
    victim.mkdir()
    opening = gate.blocks.open_view
    monkeypatch.setattr(gate.blocks, "open_view", lambda *a, **k: ((tmp_path / "out").symlink_to(victim), opening(*a, **k))[1])
    with opened(small) as s, pytest.raises(GenovaultError):
        gate.extract(s, ask(s), tmp_path / "out")
    assert list(victim.iterdir()) == []
    with opened(small) as s:  # committed, and never visible: recovery says so and takes the folder away
        assert [r.state for r in gate.accesses.releases.list_all(s)] == ["aborted"]
    assert list(victim.iterdir()) == []
    assert not list(tmp_path.glob(".genovault-*"))


def test_an_output_inside_the_vault_or_of_no_folder_is_refused(small, tmp_path):
    with opened(small) as s:
        request = ask(s)
        for output in (small, small / "objects", small / "books.db", tmp_path / "no/such/folder"):
            with pytest.raises(GenovaultError):
                gate.extract(s, request, output)
    with opened(small) as s:
        assert gate.check(s, "demo").permit


def test_a_link_in_the_place_of_a_database_is_not_followed_elsewhere(small, tmp_path):
    """A link to another vault's books: it opens no better than their copy would."""
    vaults.make(tmp_path / "w", whole=False)
    (small / "books.db").unlink()
    (small / "books.db").symlink_to(tmp_path / "w/books.db")
    with pytest.raises(GenovaultError) as caught, opened(small):
        pass
    assert caught.value.code == "wrong_books"


@pytest.mark.parametrize("offset", [0, *(pytest.param(n, marks=pytest.mark.long) for n in range(1, 8))])
def test_no_byte_of_the_settings_can_be_changed(small, offset):
    """What it says is compared with the books; its signature counts only where it says more than they know."""
    said, data = bound_text(read_settings(small)), (small / "vault.json").read_bytes()
    for at in range(offset, len(data), 8):
        changed = bytearray(data)
        changed[at] ^= 1
        (small / "vault.json").write_bytes(bytes(changed))
        try:
            with opened(small):
                assert bound_text(read_settings(small)) == said
        except GenovaultError:
            continue
        assert b'"signer"' in data[:at] or b'"signature"' in data[:at]


@pytest.mark.parametrize("offset", [0, *(pytest.param(n, marks=pytest.mark.long) for n in range(1, 8))])
def test_no_byte_of_the_keystore_can_be_changed(small, offset):
    """Both copies changed alike: one alone is mended from the other."""
    data = (small / "keystore.a").read_bytes()
    for at in range(offset * 37, len(data), 8 * 37):
        changed = bytearray(data)
        changed[at] ^= 1 << at % 7
        for name in ("keystore.a", "keystore.b"):
            (small / name).write_bytes(bytes(changed))
        with pytest.raises(GenovaultError):
            vaults.keystore.load(small).unlock(vaults.FACTOR, principal="ann")


@pytest.mark.parametrize("offset", [0, *(pytest.param(n, marks=pytest.mark.long) for n in range(1, 10, 3))])
def test_no_byte_of_a_release_can_be_changed(small, tmp_path, offset):
    from vault.extracts.verification import verify_release  # noqa: PLC0415 - one use

    with opened(small) as s:
        gate.extract(s, ask(s), tmp_path / "out")
        keys = pinned(s)
    verify_release(tmp_path / "out", **keys)
    for path in sorted((tmp_path / "out").iterdir()):
        data = path.read_bytes()
        for at in range(offset, len(data), 10):
            changed = bytearray(data)
            changed[at] ^= 1 << at % 8
            path.write_bytes(bytes(changed))
            with pytest.raises(GenovaultError):
                verify_release(tmp_path / "out", **keys)
        path.write_bytes(data[:-1])
        with pytest.raises(GenovaultError):
            verify_release(tmp_path / "out", **keys)
        path.write_bytes(data)
    verify_release(tmp_path / "out", **keys)
