"""A kill at any instant of an extract by contigs, then its continuation: one release, whole, or none and another from the beginning."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
import yaml

from policies.declarations import project_template
from policies.purposes import RequestKind
from tests.faults.test_kill import EVERY, each_kill
from tests.support.parcels import pair, second_reading, secret_of
from tests.support.releases import pinned
from tests.support.vaults import SAMPLES, bring, gts, opened, verified
from tests.support.vcf_text import vcf
from vault import gate
from vault.access import leftovers, projects, recipients, releases, requests
from vault.crypto.crypt4gh_keys import fingerprint, public_key_armour
from vault.crypto.key_wrapping import KeyPurpose
from vault.errors import InputError
from vault.extracts.genotype_files import FileChoice
from vault.extracts.verification import verify_release
from vault.operations import resuming

SPLIT = FileChoice(by_contig=True)


def three_contigs(folder):
    """A request for a dataset on three contigs, of a project with a recipient, and where its extract goes."""
    with opened(folder) as s:
        lines = (f"{20 + at // 3} {100 + at} A G {gts(at + 1)}" for at in range(9))
        bring(s, vcf(" ".join(SAMPLES), *lines), "wide")
        recipients.add(s, "lab", public_key_armour(pair(1).public).encode())
        recipients.confirm(s, "lab", fingerprint(pair(1).public))
        projects.create(s, yaml.safe_load(project_template("sealed", "wide")) | {"recipients": [{"name": "lab"}]})
        projects.change(s, "sealed", "approve")
        asked = requests.submit(s, "sealed", "wide", kind=RequestKind.RECORDS, spec=requests.Spec())
        return asked.request_id, str(folder.parent / "out")


def extract(folder, request, output):
    with opened(folder) as s:
        gate.extract(s, request, Path(output), SPLIT)


def go_on(folder, request, output):
    with opened(folder) as s:
        (release,) = [one.release_id for one in releases.list_all(s) if one.state == releases.STAGING]
        gate.extract(s, request, Path(output), SPLIT, resume=release)


def settled(folder, request, output):
    """Go on with whatever was left, and look that one release came of it; the states that were found, and whether it went on."""
    with opened(folder) as s:
        found = releases.list_all(s)
        states = tuple(one.state for one in found)
        assert states in {(), (releases.ABORTED,), (releases.STAGING,), (releases.RELEASED,)}
        told, last = [], found[0].release_id if found else None
        if not found:
            last = gate.extract(s, request, output, SPLIT).release_id
        else:
            try:
                last = resuming.resume(s, found[0].release_id, request, output, SPLIT, begins_anew=told.append).release_id
            except InputError as error:
                assert (error.code, states) == ("release_finished", (releases.RELEASED,))
        went_on = states == (releases.STAGING,) and not told
        done = [one for one in releases.list_all(s) if one.state == releases.RELEASED]
        assert [one.release_id for one in done] == [last]
        assert not [one for one in releases.list_all(s) if s.keys.ids_of(KeyPurpose.RELEASE, leftovers._owner(one.release_id))]
        verify_release(output, **pinned(s), reader=pair(1))
        assert verified(s).ok
    assert not any(any(one.iterdir()) for one in folder.parent.glob(".genovault-*"))
    manifest = json.loads((output / "manifest.json").read_text())["manifest"]
    assert len(manifest["files"]) == 11
    columns = set()
    for name in (f"genotypes.{contig}.vcf.gz.c4gh" for contig in (20, 21, 22)):
        text = gzip.decompress(second_reading((output / name).read_bytes(), secret_of(1)))
        columns.add(next(line for line in text.splitlines() if line.startswith(b"#CHROM")))
        assert len([line for line in text.splitlines() if not line.startswith(b"#")]) == 3
    assert len(columns) == 1
    return states, went_on


@pytest.mark.long
@pytest.mark.parametrize("offset", range(1, EVERY, 4))
def test_going_on_after_a_kill(tmp_path, offset):
    ends = {
        settled(folder, request, Path(output))
        for folder, (request, output) in each_kill(tmp_path, offset, extract, three_contigs)
    }
    assert ((releases.RELEASED,), False) in ends
    assert ((releases.STAGING,), True) in ends


def stopped(folder):
    """The same, stopped in its second contig."""
    request, output = three_contigs(folder)
    with opened(folder) as s, pytest.MonkeyPatch.context() as patch:
        keep = leftovers.keep

        def kept(*arguments, **options):
            keep(*arguments, **options)
            raise KeyboardInterrupt

        patch.setattr(leftovers, "keep", kept)
        with pytest.raises(KeyboardInterrupt):
            gate.extract(s, request, Path(output), SPLIT)
    return request, output


@pytest.mark.long
@pytest.mark.parametrize("offset", range(1, EVERY, 4))
def test_going_on_after_a_kill_while_it_went_on(tmp_path, offset):
    ends = {settled(folder, request, Path(output)) for folder, (request, output) in each_kill(tmp_path, offset, go_on, stopped)}
    assert ((releases.RELEASED,), False) in ends
    assert ((releases.STAGING,), True) in ends
