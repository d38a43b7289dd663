"""Identities with providers: one researcher each, named and ended by stewards, and nobody else's word."""

from __future__ import annotations

import json

import pytest

from tests.support import vaults
from tests.support.vaults import opened, sql
from vault.access import outside_identities
from vault.crypto.keystore import Role
from vault.errors import InputError, IntegrityError, RefusedError
from vault.session import principals

ISSUER = "https://id.example.org"


@pytest.fixture
def vault(tmp_path):
    folder = vaults.copy(tmp_path, whole=False)
    with opened(folder) as s:
        for who in ("rita", "rob"):
            principals.add(s, who, Role.RESEARCHER, None)
    return folder


def test_an_identity_is_one_researcher_until_it_is_ended(vault):
    with opened(vault) as s:
        made = outside_identities.name(s, "rita", ISSUER, "0815")
        assert (made.principal, made.named_by) == ("rita", "ann")
        assert outside_identities.list_all(s) == [made]
        assert outside_identities.holder(s, ISSUER, "0815").principal == "rita"
        with pytest.raises(InputError) as error:
            outside_identities.name(s, "rob", ISSUER, "0815")
        assert error.value.code == "identity_taken"
        outside_identities.forget(s, ISSUER, "0815")
        for subject in ("0815", "0816"):
            with pytest.raises(RefusedError) as refused:
                outside_identities.holder(s, ISSUER, subject)
            assert refused.value.code == "token_refused"
        with pytest.raises(InputError):
            outside_identities.forget(s, ISSUER, "0815")
        leaves = [json.loads(one.leaf) for one in s.trail.log.entries(0)]
        assert [leaf["act"] for leaf in leaves if leaf["outcome"] == "done" and "identity" in leaf["act"]] == [
            "principal.identity",
            "principal.identity.forget",
        ]
        assert "0815" not in json.dumps(leaves), "who it is there is in the sealed detail alone"


@pytest.mark.parametrize(
    ("who", "issuer", "subject", "code"),
    [
        ("nosuch", ISSUER, "1", "principal_unknown"),
        ("ann", ISSUER, "1", "role_unlocks"),
        ("rita", "http://id.example.org", "1", "issuer_malformed"),
        ("rita", "https://id.example.org?x", "1", "issuer_malformed"),
        ("rita", "https://", "1", "issuer_malformed"),
        ("rita", "https://[x", "1", "issuer_malformed"),
        ("rita", "", "1", "issuer_malformed"),
        ("rita", ISSUER, "", "subject_malformed"),
        ("rita", ISSUER, "a\nb", "subject_malformed"),
        ("rita", ISSUER, "x" * 256, "subject_malformed"),
    ],
)
def test_what_is_no_identity_is_not_recorded(vault, who, issuer, subject, code):
    with opened(vault) as s:
        with pytest.raises(InputError) as error:
            outside_identities.name(s, who, issuer, subject)
        assert error.value.code == code
        assert outside_identities.list_all(s) == []


def test_a_row_that_somebody_edited_names_nobody(vault):
    with opened(vault) as s:
        outside_identities.name(s, "rita", ISSUER, "0815")
    sql(vault / "books.db", "UPDATE outside_identity SET subject = 'mine'")
    with pytest.raises(IntegrityError) as error, opened(vault) as s:
        outside_identities.holder(s, ISSUER, "mine")
    assert error.value.code == "collection_altered"
