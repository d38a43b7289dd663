"""Access tokens: issued once, held against the books at each use, ended at once."""

from __future__ import annotations

import string
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.token_scopes import TokenScope
from tests.support import vaults
from tests.support.vaults import opened
from vault.access import access_tokens, token_texts
from vault.crypto.keystore import Role
from vault.errors import GenovaultError, InputError, IntegrityError, RefusedError
from vault.session import principals

DAYS = timedelta(days=1)


@pytest.fixture(scope="module")
def staffed(tmp_path_factory):
    folder = vaults.copy(tmp_path_factory.mktemp("tokens"), whole=False)
    factor = vaults.add_role(folder, Role.SERVICE)
    with opened(folder) as s:
        principals.add(s, "rita", Role.RESEARCHER, None)
        principals.add(s, "rob", Role.RESEARCHER, None)
        vaults.approve(s, "served", "cohort", people=["rita", "rob"])
    return folder, factor


@pytest.fixture
def ann(staffed):
    with opened(staffed[0]) as s:
        yield s


def issue(s, who="rita", *, days=7, scopes=(TokenScope.READ, TokenScope.ENGINE), project="served"):
    text, made = access_tokens.issue(s, who, project=project, scopes=scopes, expires=s.clock() + days * DAYS)
    return text.reveal().decode(), made


def test_a_token_says_who_and_for_what_and_its_secret_is_nowhere(staffed, ann):
    text, made = issue(ann)
    with opened(staffed[0], factor=staffed[1], principal="service") as service:
        found = access_tokens.authenticate(service, text)
    assert (found.person.principal, found.person.role, found.project) == ("rita", Role.RESEARCHER, "served")
    assert found.scopes == {TokenScope.READ, TokenScope.ENGINE}
    assert found.accessor == made.accessor
    secret = text.split("_", 2)[2]
    ann.books.checkpoint_wal()
    stored = b"".join(file.read_bytes() for file in staffed[0].rglob("*") if file.is_file())
    assert secret.encode() not in stored
    assert token_texts.parse(text)[1] not in stored


def test_revoked_expired_and_of_somebody_disabled_are_refused_alike(staffed, ann):
    texts = {
        "revoked": issue(ann)[0],
        "disabled": issue(ann, "rob")[0],
        "expired": issue(ann)[0],
        "misspelt": issue(ann)[0][:-1] + "!",
    }
    texts["another's secret"] = texts["revoked"][:15] + issue(ann)[0][15:]
    access_tokens.revoke(ann, texts["revoked"].split("_")[1])
    principals.disable(ann, "rob")
    later = ann.clock() + 8 * DAYS
    said = set()
    for why, text in texts.items():
        ann.clock = (lambda: later) if why == "expired" else ann.clock
        with pytest.raises(RefusedError) as caught:
            access_tokens.authenticate(ann, text)
        said.add(str(caught.value))
    assert len(said) == 1


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"who": "ann"}, "role_unlocks"),
        ({"who": "nobody"}, "principal_unknown"),
        ({"project": "demo"}, "not_of_project"),
        ({"project": "nosuch"}, "project_unknown"),
        ({"days": 91}, "expiry_too_late"),
        ({"days": -1}, "expiry_past"),
        ({"scopes": ()}, "scopes_missing"),
    ],
)
def test_what_no_token_is_issued_for(ann, asked, code):
    with pytest.raises(GenovaultError) as caught:
        issue(ann, **asked)
    assert caught.value.code == code


def test_a_token_is_ended_once(ann):
    _, made = issue(ann)
    assert access_tokens.revoke(ann, made.accessor).state == "revoked"
    for accessor, code in ((made.accessor, "token_revoked"), ("nosuch", "token_unknown")):
        with pytest.raises(InputError) as caught:
            access_tokens.revoke(ann, accessor)
        assert caught.value.code == code


def test_a_row_put_into_the_books_is_nobody_s_token(staffed, ann):
    text, made = issue(ann)
    ann.books.checkpoint_wal()
    vaults.sql(staffed[0] / "books.db", ("UPDATE access_token SET principal = 'engine' WHERE accessor = ?", (made.accessor,)))
    with pytest.raises(IntegrityError):
        access_tokens.authenticate(ann, text)
    vaults.sql(staffed[0] / "books.db", ("UPDATE access_token SET principal = 'rita' WHERE accessor = ?", (made.accessor,)))


@given(st.text(alphabet=string.ascii_letters + string.digits + "_-", max_size=80) | st.from_regex(r"gvt_\w{10}_\w{43}_\w{6}"))
def test_a_text_that_is_no_token_is_none(text):
    assert token_texts.parse(text) is None


def test_a_slip_of_the_pen_in_any_place_is_noticed(ann):
    text, _ = issue(ann)
    for at in range(4, len(text)):
        other = "a" if text[at] != "a" else "b"
        assert token_texts.parse(text[:at] + other + text[at + 1 :]) is None
