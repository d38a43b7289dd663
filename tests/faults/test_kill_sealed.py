"""A kill at any instant of an extract that is sealed: no partial parcel, no plaintext, and nothing left that is not a release's."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from policies.declarations import project_template
from policies.purposes import RequestKind
from tests.faults.test_kill import EVERY, each_kill, extract, found
from tests.support.parcels import pair, second_reading, secret_of
from tests.support.vaults import opened
from vault import gate
from vault.access import projects, recipients, requests
from vault.crypto.crypt4gh_keys import fingerprint, public_key_armour
from vault.extracts.genotype_files import FileChoice


def sealed_project(folder):
    """A request of an approved project whose recipient has a confirmed key, and where its extract goes."""
    with opened(folder) as s:
        recipients.add(s, "lab", public_key_armour(pair(1).public).encode())
        recipients.confirm(s, "lab", fingerprint(pair(1).public))
        declared = yaml.safe_load(project_template("sealed", "cohort")) | {"recipients": [{"name": "lab"}]}
        projects.create(s, declared)
        projects.change(s, "sealed", "approve")
        asked = requests.submit(s, "sealed", "cohort", kind=RequestKind.RECORDS, spec=requests.Spec())
        return asked.request_id, str(folder.parent / "out")


@pytest.mark.long
@pytest.mark.parametrize("offset", range(1, EVERY, 4))  # every fourth step
def test_extracting_to_a_recipient(tmp_path, offset):
    ends = set()
    for folder, (_, output) in each_kill(tmp_path, offset, extract, sealed_project):
        for left in folder.parent.glob(".genovault-*"):  # as the kill left it, before anything is opened again
            assert not any(b"\x1f\x8b\x08\x04" in path.read_bytes() for path in left.glob("genotypes*"))
        states = found(folder).releases
        ends.add(states)
        assert states in {(), ("aborted",), ("released",)}
        assert not any(any(one.iterdir()) for one in folder.parent.glob(".genovault-*"))
        if Path(output).exists():
            sealed = sorted(Path(output).glob("genotypes*"))
            assert [path.name for path in sealed] == [f"genotypes.vcf.gz{end}.c4gh" for end in ("", ".csi", ".tbi")]
            assert all(second_reading(path.read_bytes(), secret_of(1)) for path in sealed)
    assert ("released",) in ends


FILES = {
    "pgen": ["genotypes.pgen.c4gh", "genotypes.psam.c4gh", "genotypes.pvar.c4gh"],
    "parquet": ["calls.parquet.c4gh", "samples.parquet.c4gh", "sites.parquet.c4gh"],
}


def extract_as(folder, request, output, file_format):
    with opened(folder) as s:
        gate.extract(s, request, Path(output), FileChoice(file_format))


@pytest.mark.long
@pytest.mark.parametrize("file_format", FILES)
@pytest.mark.parametrize("offset", range(3, EVERY, 12))
def test_extracting_in_other_formats(tmp_path, offset, file_format):
    ends = set()
    for folder, (_, output, _) in each_kill(tmp_path, offset, extract_as, lambda at: (*sealed_project(at), file_format)):
        states = found(folder).releases
        ends.add(states)
        assert states in {(), ("aborted",), ("released",)}
        assert not any(any(one.iterdir()) for one in folder.parent.glob(".genovault-*"))
        if Path(output).exists():
            sealed = sorted(Path(output).glob("*.c4gh"))
            assert [path.name for path in sealed] == FILES[file_format]
            assert all(second_reading(path.read_bytes(), secret_of(1)) for path in sealed)
    assert ("released",) in ends
