"""An extract that is stopped while it is written, in each form: no file of it, no key, and nothing in a folder of temporary files."""

from __future__ import annotations

import tempfile

import pytest

from policies.purposes import RequestKind
from tests.support import vaults
from tests.support.parcels import pair
from tests.support.vaults import opened, sql
from vault import gate
from vault.access import recipients, releases, requests
from vault.consent import recording
from vault.crypto.crypt4gh_keys import fingerprint, public_key_armour
from vault.crypto.key_wrapping import KeyPurpose
from vault.errors import RefusedError
from vault.extracts.genotype_files import FileChoice
from vault.extracts.manifest import MANIFEST_NAME
from vault.extracts.staging import Staging

FORMS = {
    "vcf": FileChoice(),
    "vcf by contig": FileChoice(by_contig=True),
    "bcf by contig": FileChoice("bcf", by_contig=True),
    "pgen": FileChoice("pgen"),
    "pgen by contig": FileChoice("pgen", by_contig=True),
    "parquet": FileChoice("parquet"),
    "parquet by contig": FileChoice("parquet", by_contig=True),
    "parquet wide": FileChoice("parquet", layout="wide"),
}


@pytest.fixture(scope="module")
def vault_with_recipient(tmp_path_factory):
    """Project ``once`` gives new names to each release and is sealed to ``lab``."""
    folder = vaults.copy(tmp_path_factory.mktemp("stopped"))
    with opened(folder) as s:
        recipients.add(s, "lab", public_key_armour(pair(1).public).encode())
        recipients.confirm(s, "lab", fingerprint(pair(1).public))
        vaults.approve(s, "once", "cohort", pseudonyms="release", recipients=[{"name": "lab"}])
    return folder


def keys_of_releases(folder):
    query = "SELECT count(*) FROM wrapped_key WHERE purpose = ?"
    return sql(folder / "keys.db", (query, (KeyPurpose.RELEASE.value,)))[0][0]


@pytest.mark.long
@pytest.mark.parametrize("form", FORMS)
def test_nothing_is_left_of_it(vault_with_recipient, tmp_path, monkeypatch, form):
    folder, chosen = vault_with_recipient, FORMS[form]
    asked_for = requests.Spec(panel="pgx") if chosen.layout == "wide" else requests.Spec()
    person = vaults.PERMITTED[list(FORMS).index(form) % 4]
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    with opened(folder) as s:
        recording.record(s, person, "broad-research", {"research_use": "yes"})
        asked = requests.submit(s, "once", "cohort", kind=RequestKind.RECORDS, spec=asked_for).request_id
        create, before = Staging.create, keys_of_releases(folder)

        def creating(self, name):
            if name == MANIFEST_NAME:  # all genotypes are written
                recording.withdraw(s, person)
            return create(self, name)

        monkeypatch.setattr(Staging, "create", creating)
        with pytest.raises(RefusedError) as caught:
            gate.extract(s, asked, tmp_path / "out", chosen)
        assert caught.value.code == "consent_changed"
        assert releases.list_all(s)[0].state == "aborted"
    assert keys_of_releases(folder) == before == 0
    assert [path.name for path in tmp_path.iterdir()] == ["temporary"]
    assert list(temporary.iterdir()) == []
