from __future__ import annotations

import gzip
import os
import subprocess
from datetime import UTC, datetime

import pytest

from tests.support.gt_text import calls_of, sites_of
from tests.support.outside import tool
from tests.support.views import InPages
from vault.crypto.primitives import SigningKey
from vault.crypto.secret import Secret
from vault.errors import UsageError
from vault.extracts.manifest import NO_REIDENTIFICATION, NO_RELINKING, make_manifest, verify_files, verify_manifest
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
        manifest, data = write_folder(view(), staging, file_format=file_format, facts=facts(), signing_key=KEY)
        staging.publish()
    indexes = [f"{name}.csi", f"{name}.tbi"] if file_format == "vcf" else [f"{name}.csi"]
    assert sorted(p.name for p in output.iterdir()) == sorted(["README.txt", name, *indexes, "manifest.json"])
    written = (output / name).stat().st_mtime_ns
    assert all((output / index).stat().st_mtime_ns >= written for index in indexes)  # else htslib warns
    assert (output / "manifest.json").read_bytes() == data
    assert verify_manifest(data, KEY.public) == manifest
    verify_files(manifest, output)
    assert [entry.name for entry in manifest.files] == [name, *indexes, "README.txt"]
    done = subprocess.run([tool("bcftools"), "view", "-H", "-r", "22:5", output / name], capture_output=True, check=True)
    assert done.stderr == b""
    assert done.stdout == b"22\t5\t.\tA\tC\t.\tPASS\tAC=3;AN=4\tGT\t0|1\t1/1\n"


def test_the_header_names_the_release_and_the_label(tmp_path):
    with Staging(tmp_path / "out", random=os.urandom) as staging:
        write_folder(view(), staging, file_format="vcf", facts=facts(), signing_key=KEY)
        text = gzip.decompress((staging.path / "genotypes.vcf.gz").read_bytes()).decode()
    line = '##vault_view=<ID=0192f0c1-2222-7000-8000-000000000000,Kind="region",Label="pseudonymised personal data">'
    assert text.splitlines()[1] == line


def test_counts_that_are_not_the_views_are_refused(tmp_path):
    with pytest.raises(UsageError) as caught, Staging(tmp_path / "out", random=os.urandom) as staging:
        write_folder(view(), staging, file_format="vcf", facts=facts(counts={"subjects": 3, "sites": 1}), signing_key=KEY)
    assert caught.value.code == "manifest_counts"
    assert list(tmp_path.iterdir()) == []
