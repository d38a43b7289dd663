from __future__ import annotations

import gzip
import hashlib
import io
import os
import subprocess
import sys
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.gt_text import calls_of, sites_of
from tests.support.outside import extra, tool
from tests.support.parcels import data_key_of, key_files, pair, second_reading, secret_of
from tests.support.views import InPages
from vault.crypto.crypt4gh_keys import fingerprint
from vault.crypto.primitives import SigningKey
from vault.crypto.secret import Secret
from vault.errors import UsageError
from vault.extracts.crypt4gh import Envelope
from vault.extracts.genotype_files import ONE_VCF, FileChoice
from vault.extracts.manifest import (
    NO_REIDENTIFICATION,
    NO_RELINKING,
    SealedFor,
    Sealing,
    make_manifest,
    verify_files,
    verify_manifest,
)
from vault.extracts.release_folder import write_folder
from vault.extracts.staging import Staging
from vault.views.view import View

KEY = SigningKey(Secret(bytes(range(32))))


def view():
    codes, escapes = calls_of([["0|1", "1/1"]], 2)
    return InPages(View(("demo1b", "demo1a"), sites_of([("22", 5, "A,C")]), codes, escapes, "GRCh38"))


def facts(**changes):
    fields = {
        "release": "0192f0c1-2222-7000-8000-000000000000",
        "log": "vault.example/log",
        "project": "demo",
        "request": "r1",
        "purpose": "General research",
        "recipients": (),
        "dataset": "cohort",
        "assembly": "GRCh38",
        "kind": "region",
        "loci": {"regions": ("22:1-10",)},
        "counts": {"subjects": 2, "sites": 1},
        "obligations": (NO_REIDENTIFICATION, NO_RELINKING),
        "policies": ("rules/1",),
        "created": datetime(2026, 11, 22, tzinfo=UTC),
        "files": (),
    }
    return make_manifest(**(fields | changes))


@pytest.mark.parametrize(("file_format", "name"), [("vcf", "genotypes.vcf.gz"), ("bcf", "genotypes.bcf")])
def test_a_whole_folder_verifies_and_reads(tmp_path, file_format, name):
    output = tmp_path / "out"
    with Staging(output, random=os.urandom) as staging:
        manifest, data = write_folder(view(), staging, FileChoice(file_format), facts=facts(), signing_key=KEY)
        staging.publish()
    indexes = [f"{name}.csi", f"{name}.tbi"] if file_format == "vcf" else [f"{name}.csi"]
    assert sorted(p.name for p in output.iterdir()) == sorted(["LIMITS.txt", "README.txt", name, *indexes, "manifest.json"])
    written = (output / name).stat().st_mtime_ns
    assert all((output / index).stat().st_mtime_ns >= written for index in indexes)  # else htslib warns
    assert (output / "manifest.json").read_bytes() == data
    assert verify_manifest(data, KEY.public) == manifest
    verify_files(manifest, output)
    assert [entry.name for entry in manifest.files] == [name, *indexes, "README.txt", "LIMITS.txt"]
    done = subprocess.run([tool("bcftools"), "view", "-H", "-r", "22:5", output / name], capture_output=True, check=True)
    assert done.stderr == b""
    assert done.stdout == b"22\t5\t.\tA\tC\t.\tPASS\tAC=3;AN=4\tGT\t0|1\t1/1\n"


def test_the_header_names_the_release_and_the_label(tmp_path):
    with Staging(tmp_path / "out", random=os.urandom) as staging:
        write_folder(view(), staging, ONE_VCF, facts=facts(), signing_key=KEY)
        text = gzip.decompress((staging.path / "genotypes.vcf.gz").read_bytes()).decode()
    line = '##vault_view=<ID=0192f0c1-2222-7000-8000-000000000000,Kind="region",Label="pseudonymised personal data">'
    assert text.splitlines()[1] == line


def test_counts_that_are_not_the_views_are_refused(tmp_path):
    with pytest.raises(UsageError) as caught, Staging(tmp_path / "out", random=os.urandom) as staging:
        write_folder(view(), staging, ONE_VCF, facts=facts(counts={"subjects": 3, "sites": 1}), signing_key=KEY)
    assert caught.value.code == "manifest_counts"
    assert list(tmp_path.iterdir()) == []


def sealed_facts(*numbers):
    readers = tuple(SealedFor(name=f"lab{n}", fingerprint=fingerprint(pair(n).public)) for n in numbers)
    return facts(crypt4gh=Sealing(writer=pair(0).public.hex(), recipients=readers))


def envelope(*numbers):
    return Envelope(pair(0), tuple(pair(n).public for n in numbers), os.urandom)


def sealed_folder(output, *numbers, file_format="vcf"):
    with Staging(output, random=os.urandom) as staging:
        given = {"signing_key": KEY, "envelope": envelope(*numbers)}
        manifest, data = write_folder(view(), staging, FileChoice(file_format), facts=sealed_facts(*numbers), **given)
        staging.publish()
    assert verify_manifest(data, KEY.public) == manifest
    return manifest


SEALED = [("vcf", "genotypes.vcf.gz"), ("bcf", "genotypes.bcf"), ("pgen", "genotypes.pgen"), ("parquet", "calls.parquet")]


@pytest.mark.parametrize(("file_format", "name"), SEALED)
def test_genotypes_and_indexes_are_sealed_and_hold_what_a_plain_folder_holds(tmp_path, file_format, name):
    manifest = sealed_folder(tmp_path / "sealed", 1, 2, file_format=file_format)
    with Staging(tmp_path / "plain", random=os.urandom) as staging:
        write_folder(view(), staging, FileChoice(file_format), facts=facts(), signing_key=KEY)
        staging.publish()
    verify_files(manifest, tmp_path / "sealed")
    clear = {"LIMITS.txt", "README.txt", "manifest.json"}
    plain = {path.name: path.read_bytes() for path in (tmp_path / "plain").iterdir() if path.name not in clear}
    found = {path.name: path.read_bytes() for path in (tmp_path / "sealed").iterdir() if path.name not in clear}
    assert found.keys() == {f"{file}.c4gh" for file in plain}
    assert name in plain
    told = {entry.name: entry for entry in manifest.files}
    for file, data in plain.items():
        for number in (1, 2):
            assert second_reading(found[f"{file}.c4gh"], secret_of(number)) == data
        entry = told[f"{file}.c4gh"]
        assert (entry.plain.bytes, entry.plain.sha256) == (len(data), hashlib.sha256(data).hexdigest())
        assert entry.format.endswith("+crypt4gh/1")
    assert told["README.txt"].plain is None


def test_each_sealed_file_has_a_key_of_its_own(tmp_path):
    sealed_folder(tmp_path / "out", 1)
    heads = [path.read_bytes()[:124] for path in sorted((tmp_path / "out").glob("*.c4gh"))]
    assert len({data_key_of(head, secret_of(1)) for head in heads}) == len(heads) == 3


@pytest.mark.parametrize(("told", "used"), [((1,), (2,)), ((1, 2), (1,)), ((1,), ()), ((), (1,))])
def test_a_manifest_that_names_another_envelope_is_refused(tmp_path, told, used):
    given = {"facts": sealed_facts(*told) if told else facts(), "envelope": envelope(*used) if used else None}
    with pytest.raises(UsageError) as caught, Staging(tmp_path / "out", random=os.urandom) as staging:
        write_folder(view(), staging, ONE_VCF, signing_key=KEY, **given)
    assert caught.value.code == "manifest_sealing"
    assert list(tmp_path.iterdir()) == []


def test_the_readme_of_a_sealed_release_opens_and_checks_it_with_others_programs(tmp_path):
    for program in ("jq", "sha256sum"):
        tool(program)
    extra("crypt4gh")
    sealed_folder(tmp_path / "out", 1, 2)
    key_files(tmp_path, 2)
    readme = (tmp_path / "out" / "README.txt").read_text()
    begin = readme.index("-----BEGIN")
    (tmp_path / "out" / "vault.pub").write_text(readme[begin:].partition("\nCrypt4GH")[0])
    first = readme.index("    for file in")
    second = readme.index("    jq -r '.manifest.files[] | select(.plain)")
    commands = readme[first : readme.index("\n\n", first)] + "\n" + readme[second : readme.index("\n\n", second)]
    script = f'crypt4gh() {{ "{sys.executable}" -m crypt4gh "$@"; }}\nset -e\n' + commands.replace(
        "KEY.sec", str(tmp_path / "2.sec")
    )
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path / "out", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"genotypes.vcf.gz{end}: OK" for end in ("", ".csi", ".tbi")]
    assert gzip.decompress((tmp_path / "out" / "genotypes.vcf.gz").read_bytes()).startswith(b"##fileformat=VCFv4.3")


def test_what_pgen_cannot_hold_is_counted_in_the_manifest(tmp_path):
    codes, escapes = calls_of([["0|1", "1"], ["./1", "0/0"]], 2)
    odd = InPages(View(("demo1b", "demo1a"), sites_of([("22", 5, "A,C"), ("X", 5, "A,C")]), codes, escapes, "GRCh38"))
    with Staging(tmp_path / "out", random=os.urandom) as staging:
        counted = facts(counts={"subjects": 2, "sites": 2})
        manifest, data = write_folder(odd, staging, FileChoice("pgen"), facts=counted, signing_key=KEY)
        assert "half_calls: 1, haploid_calls: 1" in (staging.path / "README.txt").read_text()
    assert verify_manifest(data, KEY.public).losses == {"half_calls": 1, "haploid_calls": 1}
    assert [entry.name for entry in manifest.files[:3]] == ["genotypes.psam", "genotypes.pvar", "genotypes.pgen"]


CONTIGS = ("22", "X", "HLA*A:01", "x", "contig-1")
NAMES = ("22", "X", "contig-3", "contig-4", "contig-5")


@pytest.mark.parametrize("file_format", ["vcf", "bcf", "pgen", "parquet"])
@pytest.mark.parametrize("size", [1, 3, 100])
def test_a_set_of_files_for_each_contig_says_what_one_set_does(tmp_path, file_format, size):
    rows = [[f"{i % 2}|{i // 2 % 2}", "./1"] for i in range(12)]
    sites = sites_of([(CONTIGS[i * 5 // 12], 5 + i, "A,C") for i in range(12)])
    whole = InPages(View(("demo1b", "demo1a"), sites, *calls_of(rows, 2), "GRCh38"), size)
    told, files = [], {}
    for by_contig in (False, True):
        with Staging(tmp_path / "out", random=os.urandom) as staging:
            counted = facts(counts={"subjects": 2, "sites": 12})
            chosen = FileChoice(file_format, by_contig=by_contig)
            progress = lambda done, total: told.append((done, total))  # noqa: E731 - one use in each turn
            manifest, _ = write_folder(whole, staging, chosen, facts=counted, signing_key=KEY, progress=progress)
            files[by_contig] = {path.name: path.read_bytes() for path in staging.path.iterdir()}
            verify_files(manifest, staging.path)
        assert told[-1] == (12, 12)
        assert manifest.losses == ({"half_calls": 12, "haploid_calls": 0} if file_format == "pgen" else {})
    if file_format == "parquet":
        assert len(files[True]) == 5 * 2 + 4
        for table in ("sites", "calls"):
            parts = [pq.read_table(io.BytesIO(files[True][f"{table}.{name}.parquet"])) for name in NAMES]
            assert pa.concat_tables(parts).equals(pq.read_table(io.BytesIO(files[False][f"{table}.parquet"])))
        return
    end = {"vcf": "vcf.gz", "bcf": "bcf", "pgen": "pvar"}[file_format]
    names = [f"genotypes.{name}.{end}" for name in NAMES]
    assert sorted(name for name in files[True] if name.endswith(f".{end}")) == sorted(names)
    if file_format != "bcf":
        texts = [gzip.decompress(data) if end == "vcf.gz" else data for data in (files[True][name] for name in names)]
        one = files[False][f"genotypes.{end}"]
        head, records = split(gzip.decompress(one) if end == "vcf.gz" else one)
        assert [split(text)[0] for text in texts] == [head] * 5
        assert [line for text in texts for line in split(text)[1]] == records


def split(text):
    lines = text.splitlines()
    return [line for line in lines if line.startswith(b"#")], [line for line in lines if not line.startswith(b"#")]


def test_choices_that_exclude_each_other_are_refused(tmp_path):
    for wrong, code in ((("vcf", False), "layout_without_parquet"), (("parquet", True), "wide_by_contig")):
        with pytest.raises(UsageError) as caught:
            FileChoice(wrong[0], by_contig=wrong[1], layout="wide")
        assert caught.value.code == code
    with pytest.raises(UsageError) as caught, Staging(tmp_path / "out", random=os.urandom) as staging:
        write_folder(view(), staging, FileChoice("parquet", layout="wide"), facts=facts(), signing_key=KEY)
    assert caught.value.code == "wide_without_panel"
    assert list(tmp_path.iterdir()) == []


def test_a_panel_has_a_wide_table(tmp_path):
    panel = facts(kind="panel", loci={"panel": "pgx", "panel_version": "1"})
    with Staging(tmp_path / "out", random=os.urandom) as staging:
        manifest, _ = write_folder(view(), staging, FileChoice("parquet", layout="wide"), facts=panel, signing_key=KEY)
        staging.publish()
    assert [entry.name for entry in manifest.files] == ["calls.parquet", "sites.parquet", "README.txt", "LIMITS.txt"]
    rows = pq.read_table(tmp_path / "out" / "calls.parquet").to_pylist()
    assert rows == [{"sample": "demo1b", "0:22:5": "0|1"}, {"sample": "demo1a", "0:22:5": "1/1"}]
