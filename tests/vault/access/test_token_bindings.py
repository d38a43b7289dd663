"""Bindings of tokens: what a certificate and networks are, and that an edited row is refused."""

from __future__ import annotations

import ipaddress
from contextlib import nullcontext
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update

from policies.token_scopes import TokenScope
from tests.support import vaults
from tests.support.certificates import certificate
from tests.support.vaults import opened
from vault.access import access_tokens, token_bindings, token_texts
from vault.access.token_bindings import ShownFrom, TokenBinding, plain_address
from vault.audit.entry import decode_leaf
from vault.crypto.keystore import Role
from vault.errors import InputError, IntegrityError, RefusedError
from vault.operations import key_rotation
from vault.session import principals
from vault.storage.service_tables import AccessTokenRow

OURS = ShownFrom("a" * 64, plain_address("10.1.2.3"))
BOUND = TokenBinding("a" * 64, ("10.1.0.0/16",))


@pytest.fixture(scope="module")
def staffed(tmp_path_factory):
    folder = vaults.copy(tmp_path_factory.mktemp("bound"), whole=False)
    factors = {role: vaults.add_role(folder, role) for role in (Role.SERVICE, Role.AUDITOR)}
    with opened(folder) as s:
        principals.add(s, "rita", Role.RESEARCHER, None)
        vaults.approve(s, "served", "cohort", people=["rita"])
    return folder, factors


def issue(s, binding=BOUND):
    scopes, until = [TokenScope.READ], s.clock() + timedelta(days=1)
    text, made = access_tokens.issue(s, "rita", project="served", scopes=scopes, expires=until, binding=binding)
    return text.reveal().decode(), made


def refused(s, text, place):
    with pytest.raises(RefusedError) as caught:
        access_tokens.authenticate(s, text, place)
    assert caught.value.code == "token_refused"
    return str(caught.value)


def test_a_bound_token_is_good_from_its_place_alone_and_the_log_is_told_of_others(staffed):
    folder, factors = staffed
    with opened(folder) as s:
        text, made = issue(s)
    elsewhere = [
        ShownFrom(),
        ShownFrom("b" * 64, OURS.address),
        ShownFrom(OURS.certificate),
        ShownFrom(OURS.certificate, plain_address("10.2.0.1")),
    ]
    with opened(folder, factor=factors[Role.SERVICE], principal="service") as service:
        assert access_tokens.authenticate(service, text, OURS).person.principal == "rita"
        begun = service.trail.log.size()
        assert len({refused(service, text, place) for place in elsewhere} | {refused(service, "x", OURS)}) == 1
        assert access_tokens.remembered(service, text, OURS) is not None
        assert access_tokens.remembered(service, text) is None
        new = [decode_leaf(entry.leaf) for entry in service.trail.log.entries(begun)]
    said = ("principal.token.shown", "refused", {"token_elsewhere": 1})
    assert [(leaf["act"], leaf["outcome"], leaf["reasons"]) for leaf in new] == [said] * len(elsewhere)
    with opened(folder) as s:
        assert s.trail.detail(begun + 3) == {"accessor": made.accessor, "certificate": "a" * 64, "address": "10.2.0.1"}


def test_stewards_are_told_what_a_token_is_bound_to_and_auditors_that_it_is(staffed):
    folder, factors = staffed
    with opened(folder) as s:
        _, made = issue(s)
        free = issue(s, TokenBinding())[1]
        told = {one.accessor: one for one in access_tokens.list_all(s)}
        assert (told[made.accessor].certificate, told[made.accessor].networks) == (BOUND.certificate, BOUND.networks)
        assert not told[free.accessor].bound
    with opened(folder, factor=factors[Role.AUDITOR], principal="auditor") as s:
        told = {one.accessor: one for one in access_tokens.list_all(s)}
        assert (told[made.accessor].bound, told[made.accessor].certificate, told[made.accessor].networks) == (True, "", ())
        assert not told[free.accessor].bound
    stored = b"".join(file.read_bytes() for file in folder.glob("books.db*"))
    assert b"10.1.0.0/16" not in stored


@pytest.mark.parametrize("edit", ["taken away", "another's", "of another time"])
def test_an_edited_binding_is_found(tmp_path, staffed, edit):
    with opened(staffed[0]) as s:
        text, made = issue(s)
        another = issue(s, TokenBinding(networks=("0.0.0.0/1", "128.0.0.0/1")))[1]
        with s.books.read() as tx:
            sealed = tx.get(AccessTokenRow, another.accessor).sealed
        values = {"sealed": None} if edit == "taken away" else {"sealed": sealed} if edit == "another's" else {"expires": 1 << 51}
        change = update(AccessTokenRow).where(AccessTokenRow.accessor == made.accessor)
        with s.books.unwatched.write() as tx:
            before = tx.get(AccessTokenRow, made.accessor)
            kept = {name: getattr(before, name) for name in values}
            tx.execute(change.values(**values))
        try:
            with pytest.raises(IntegrityError) as caught:
                access_tokens._looked_up(s, *token_texts.parse(text))
            assert caught.value.code == "collection_altered"
            with s.books.unwatched.read() as tx, pytest.raises(IntegrityError) if edit != "taken away" else nullcontext():
                access_tokens._binding(s, tx.get(AccessTokenRow, made.accessor))
        finally:
            with s.books.unwatched.write() as tx:
                tx.execute(change.values(**kept))


def test_what_a_token_is_bound_to_keeps_its_epoch(staffed):
    with opened(staffed[0]) as s:
        issue(s)
        with s.books.read() as tx:
            before = key_rotation.sealed_under(tx, 1)
        issue(s)
        issue(s, TokenBinding())
        with s.books.read() as tx:
            assert key_rotation.sealed_under(tx, 1) == before + 1


def test_a_certificate_is_one_and_nothing_else(tmp_path):
    paths = certificate(tmp_path, "ours")
    pem, key = (path.read_bytes() for path in paths)
    assert token_bindings.fingerprint(b"Bag Attributes: x\n" + pem) == (
        x509.load_pem_x509_certificate(pem).fingerprint(hashes.SHA256()).hex()
    )
    for bad in (
        b"",
        key,
        pem + pem,
        pem + key,
        pem[:-60],
        pem.replace(b"\n", b"\nAAAA", 3),
        b"\xff" + pem.replace(b"M", b"\xff"),
    ):
        with pytest.raises(InputError) as caught:
            token_bindings.fingerprint(bad)
        assert caught.value.code == "certificate_malformed"


BAD = ["", "x", "10.0.0.1/8", "0.0.0.0/0", "::/0", "10.0.0.0/33", "::ffff:10.0.0.0/104", "10.0.0.0/8 ", "fe80::1%eth0/64"]


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_network_is_refused(text):
    with pytest.raises(InputError) as caught:
        token_bindings.networks([text])
    assert caught.value.code == "network_malformed"


def test_a_token_is_bound_to_a_bounded_number_of_networks():
    with pytest.raises(InputError) as caught:
        token_bindings.networks([f"10.{n}.0.0/16" for n in range(token_bindings.MOST_NETWORKS + 1)])
    assert caught.value.code == "networks_too_many"


@given(st.ip_addresses(), st.integers(1, 128))
def test_an_address_is_admitted_by_the_networks_that_hold_it(address, prefix):
    address = plain_address(str(address))
    prefix = min(prefix, address.max_prefixlen)
    (own,) = token_bindings.networks([str(ipaddress.ip_network((address, prefix), strict=False))])
    assert TokenBinding(networks=(own,)).admits(ShownFrom(address=address))
    other = type(address)(int(address) ^ 1 << address.max_prefixlen - prefix)
    assert not TokenBinding(networks=(own,)).admits(ShownFrom(address=other))


def test_an_address_is_the_same_however_it_is_written():
    assert plain_address("::ffff:10.1.2.3") == plain_address("10.1.2.3")
    assert plain_address("fe80::1%eth0") == plain_address("fe80::1")
    assert [plain_address(text) for text in ("", "unix:", "10.1.2.3:80", "name")] == [None] * 4
