"""Login by an OpenID provider: who comes back is who was sent away, and is who a steward says; whatever else comes back is nobody."""

from __future__ import annotations

import base64
import hmac
import json
import time

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from tests.support import issuers, vaults
from tests.support.vaults import opened
from vault.access import outside_identities
from vault.crypto.keystore import Role
from vault.crypto.secret import Secret
from vault.errors import InputError, RefusedError
from vault.server.oidc import oidc_login
from vault.server.oidc.oidc_login import OidcLogin
from vault.server.oidc.settings import ALGORITHMS, OidcSettings, read
from vault.server.problems import HttpProblem
from vault.session import principals

ADDRESS = "https://vault.example.org"


@pytest.fixture(scope="module")
def vault(tmp_path_factory):
    folder = vaults.copy(tmp_path_factory.mktemp("oidc"), whole=False)
    with opened(folder) as s:
        principals.add(s, "rita", Role.RESEARCHER, None)
        yield s


@pytest.fixture
def issuer():
    with issuers.issuing() as it:
        yield it


@pytest.fixture
def known(vault, issuer):
    outside_identities.name(vault, "rita", issuer.url, "0815")
    return vault


class Times:
    """Clocks that a test moves."""

    def __init__(self):
        self.passed = 0.0

    def monotonic(self):
        return 1_000.0 + self.passed

    def wall(self):
        return time.time() + self.passed


def login(issuer, *, times=None, algorithms=ALGORITHMS):
    times = times or Times()
    settings = OidcSettings(issuer.url, issuers.CLIENT, ADDRESS, tuple(algorithms), Secret(issuers.SECRET.encode()))
    return OidcLogin(settings, monotonic=times.monotonic, clock=times.wall)


def comes_back(door, issuer, vault, **changes):
    begun = door.begin()
    query = {**issuer.authorise(begun.url), **changes}
    return door.finish(vault, {name: value for name, value in query.items() if value is not None}, begun.binder)


def refusal(act):
    with pytest.raises((HttpProblem, RefusedError)) as caught:
        act()
    return caught.value.code


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_who_comes_back_is_the_researcher_whom_a_steward_named(known, issuer, algorithm):
    issuer.algorithm = algorithm
    back = comes_back(login(issuer), issuer, known)
    who, subject = back.person, back.subject
    assert (who.principal, who.role, who.authn) == ("rita", Role.RESEARCHER, "oidc")
    assert who.flags() == ("role:researcher", "authn:oidc")
    assert (subject.issuer, subject.subject) == (issuer.url, "0815")


def test_what_is_asked_has_a_challenge_a_state_and_a_nonce_and_no_secret(issuer):
    url = login(issuer).begin().url
    assert {"code_challenge_method=S256", "response_type=code", "scope=openid"} <= set(url.partition("?")[2].split("&"))
    assert "state=" in url
    assert "nonce=" in url
    assert issuers.SECRET not in url


def test_an_identity_that_nobody_named_and_one_of_somebody_disabled_are_refused(vault, issuer):
    assert refusal(lambda: comes_back(login(issuer), issuer, vault)) == "token_refused"
    principals.add(vault, "rolf", Role.RESEARCHER, None)
    outside_identities.name(vault, "rolf", issuer.url, "0815")
    assert comes_back(login(issuer), issuer, vault).person.principal == "rolf"
    principals.disable(vault, "rolf")
    assert refusal(lambda: comes_back(login(issuer), issuer, vault)) == "token_refused"


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://evil.example.org"},
        {"iss": None},
        {"aud": "another"},
        {"aud": ["another", "third"]},
        {"aud": [issuers.CLIENT, "another"]},
        {"aud": [issuers.CLIENT, "another"], "azp": "another"},
        {"azp": "another"},
        {"aud": None},
        {"aud": {issuers.CLIENT: 1}},
        {"nonce": "another"},
        {"nonce": None},
        {"exp": 1},
        {"exp": None},
        {"exp": "never"},
        {"exp": True},
        {"iat": 1},
        {"iat": None},
        {"iat": 1 << 39},
        {"nbf": 1 << 39},
        {"nbf": "x"},
        {"sub": None},
        {"sub": ""},
        {"sub": 815},
        {"sub": ["0815"]},
        {"sub": "0" * 300},
    ],
)
def test_a_token_that_says_otherwise_is_nobody(known, issuer, claims):
    issuer.claims = lambda said: {name: value for name, value in {**said, **claims}.items() if value is not None}
    assert refusal(lambda: comes_back(login(issuer), issuer, known)) == "login_refused"


def segment(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def unsigned(text):
    return f"{segment({'alg': 'none'})}.{text.split('.')[1]}."


def under_the_public_key(issuer):
    def forged(text):
        public = issuer.own["ES256"].as_pem(private=False)
        covered = f"{segment({'alg': 'HS256', 'kid': 'ec'})}.{text.split('.')[1]}"
        mac = hmac.digest(public, covered.encode(), "sha256")
        return f"{covered}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"

    return forged


def of_a_stranger_s_key(text):
    claims = json.loads(base64.urlsafe_b64decode(text.split(".")[1] + "=="))
    key = ECKey.generate_key("P-256", {"kid": "ec"})
    header = {"alg": "ES256", "kid": "ec", "jwk": key.as_dict(private=False), "jku": "https://evil.example.org/jwks"}
    return jwt.encode(header, claims, key, algorithms=["ES256"])


def changed(text):
    head, _, signature = text.split(".")
    return f"{head}.{segment({'sub': 'another'})}.{signature}"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_token_of_no_algorithm_holds_when_a_bit_of_it_is_another(known, issuer, algorithm):
    issuer.algorithm = algorithm

    def flipped(text):
        head, body, signature = text.split(".")
        return f"{head}.{body}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"

    for forge in (changed, flipped, lambda text: text.rpartition(".")[0] + ".", lambda text: f"{text}!"):
        issuer.token = forge
        assert refusal(lambda: comes_back(login(issuer), issuer, known)) == "login_refused"


@pytest.mark.filterwarnings("default::joserfc.errors.SecurityWarning")
@pytest.mark.parametrize(
    "forge",
    [
        lambda _: unsigned,
        under_the_public_key,
        lambda _: of_a_stranger_s_key,
        lambda _: changed,
        lambda _: lambda text: text[:-4] + "AAAA",
        lambda _: lambda text: text.rpartition(".")[0] + ".",
        lambda _: lambda text: text.replace(".", "", 1),
        lambda _: lambda text: text + "." + text,
        lambda _: lambda _: "",
        lambda _: lambda _: "x.y.z",
        lambda _: lambda _: "\ud800",
        lambda _: lambda text: text + "A" * 20_000,
        lambda _: lambda text: segment({"alg": ["ES256"], "kid": "ec"}) + text[text.index(".") :],
        lambda _: lambda text: segment({"alg": "ES256", "kid": {"x": 1}}) + text[text.index(".") :],
        lambda _: lambda text: segment({"alg": "ES256", "kid": "ec", "crit": ["x"], "x": 1}) + text[text.index(".") :],
    ],
)
def test_a_token_that_the_provider_did_not_sign_is_nobody(known, issuer, forge):
    issuer.token = forge(issuer)
    assert refusal(lambda: comes_back(login(issuer), issuer, known)) == "login_refused"


def test_an_algorithm_that_was_not_chosen_is_refused(known, issuer):
    issuer.algorithm = "RS256"
    assert refusal(lambda: comes_back(login(issuer, algorithms=["ES256"]), issuer, known)) == "login_refused"


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "another"},
        {"state": None},
        {"code": None},
        {"code": "x" * 5_000},
        {"code": "another"},
        {"error": "access_denied"},
        {"iss": "https://evil.example.org"},
        {"iss": None},
    ],
)
def test_an_answer_to_nothing_or_of_another_provider_is_refused(known, issuer, changes):
    assert refusal(lambda: comes_back(login(issuer), issuer, known, **changes)) == "login_refused"
    assert issuer.given == []


def test_a_state_is_good_once_for_one_browser_and_ten_minutes(known, issuer):
    times = Times()
    door = login(issuer, times=times)
    begun = door.begin()
    query = issuer.authorise(begun.url)
    longer = begun.binder.replace(".", ".9", 1)
    for other in ("another browser's", "", door.begin().binder, longer, begun.binder + "A", "\udcff", "." * 3_000):
        assert refusal(lambda other=other: door.finish(known, query, other)) == "login_refused"
    assert refusal(lambda: login(issuer).finish(known, query, begun.binder)) == "login_refused", "of a server that ended"
    assert issuer.given == [], "no code was sent anywhere"
    assert door.finish(known, query, begun.binder).person.principal == "rita"
    assert refusal(lambda: door.finish(known, query, begun.binder)) == "login_refused", "a replayed code"
    begun = door.begin()
    query = issuer.authorise(begun.url)
    times.passed += oidc_login.PENDING_SECONDS
    assert refusal(lambda: door.finish(known, query, begun.binder)) == "login_refused"


def test_a_token_is_good_once_by_its_bytes_and_by_its_jti(known, issuer):
    door = login(issuer)
    issuer.claims = lambda said: {**said, "jti": "one"}
    comes_back(door, issuer, known)
    assert refusal(lambda: comes_back(door, issuer, known)) == "login_refused"
    issuer.claims = lambda said: {**said, "jti": "two"}
    comes_back(door, issuer, known)


def test_keys_are_looked_at_again_for_a_new_one_once_a_minute(known, issuer):
    times = Times()
    door = login(issuer, times=times)
    comes_back(door, issuer, known)
    comes_back(door, issuer, known)
    assert issuer.served["/jwks"] == 1
    issuer.own = issuers.keys()
    issuer.own["ES256"] = ECKey.generate_key("P-256", {"kid": "new"})
    for _ in range(3):
        assert refusal(lambda: comes_back(door, issuer, known)) == "login_refused"
    assert issuer.served["/jwks"] == 1, "a token of an unknown key makes nobody fetch all day"
    times.passed += 60
    assert comes_back(door, issuer, known).person.principal == "rita"
    assert issuer.served["/jwks"] == 2


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/.well-known/openid-configuration", (302, b"")),
        ("/.well-known/openid-configuration", (200, b"{")),
        ("/.well-known/openid-configuration", (200, b"[]")),
        ("/.well-known/openid-configuration", (200, b" " * (1 << 19))),
        ("/.well-known/openid-configuration", (500, b"{}")),
        ("/jwks", (302, b"")),
        ("/jwks", (200, b'{"keys": 5}')),
        ("/jwks", (200, b"\xff\xfe")),
        ("/token", (307, b"")),
        ("/token", (500, b"{}")),
    ],
)
def test_a_provider_that_answers_otherwise_is_not_followed(known, issuer, path, answer):
    issuer.answers[path] = answer
    assert refusal(lambda: comes_back(login(issuer), issuer, known)) == "provider_unreachable"


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://evil.example.org"},
        {"token_endpoint": "http://evil.example.org/token"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": None},
        {"authorization_endpoint": "javascript:alert(1)"},
    ],
)
def test_a_description_of_another_or_of_unsafe_places_is_none(issuer, metadata):
    issuer.metadata = metadata
    assert refusal(login(issuer).begin) == "provider_unreachable"


def test_logins_that_others_begin_take_nobody_s_place(known, issuer):
    door = login(issuer)
    first = door.begin("served")
    for _ in range(2_000):
        door.begin("x" * 64)
    back = door.finish(known, issuer.authorise(first.url), first.binder)
    assert (back.person.principal, back.project) == ("rita", "served")


def test_states_that_came_back_are_remembered_as_long_as_they_count_and_bounded(known, issuer, monkeypatch):
    monkeypatch.setattr(oidc_login, "MOST_USED", 3)
    times = Times()
    door = login(issuer, times=times)
    for _ in range(5):
        assert refusal(lambda: comes_back(door, issuer, known, code="")) == "login_refused"
    assert len(door._used) == 3
    times.passed += oidc_login.PENDING_SECONDS
    assert refusal(lambda: comes_back(door, issuer, known, code="")) == "login_refused"
    assert len(door._used) == 1


GOOD = {"issuer": "https://id.example.org", "client_id": "genovault", "address": ADDRESS}


def test_settings_are_read_strictly_and_the_secret_is_not_shown(tmp_path):
    (tmp_path / "secret").write_text("hush-hush\n")
    (tmp_path / "oidc.yaml").write_text("\n".join(f"{k}: {v}" for k, v in {**GOOD, "client_secret_file": "secret"}.items()))
    settings = read(tmp_path / "oidc.yaml")
    assert settings.secret.reveal() == b"hush-hush"
    assert settings.redirect_uri == f"{ADDRESS}/oidc/callback"
    assert "hush" not in repr(settings)
    for change in (
        {"issuer": "http://id.example.org"},
        {"issuer": "https://id.example.org/?x=1"},
        {"issuer": "https://a@id.example.org"},
        {"address": "https://vault.example.org/console"},
        {"algorithms": "[HS256]"},
        {"algorithms": "[none]"},
        {"algorithms": "[]"},
        {"client_id": ""},
        {"client_secret": "in the file"},
        {"client_secret_file": "oidc.yaml.nosuch"},
    ):
        (tmp_path / "oidc.yaml").write_text("\n".join(f"{k}: {v}" for k, v in {**GOOD, **change}.items()))
        with pytest.raises(InputError):
            read(tmp_path / "oidc.yaml")
