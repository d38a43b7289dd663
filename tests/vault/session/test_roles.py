"""What a role cannot open, it cannot open with changed source either: tried with every raw key that its slot yields."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from tests.support import vaults
from vault import gate
from vault.audit.live_source import LogSource
from vault.audit.verify import verify
from vault.consent import people, recording
from vault.crypto.context import encode_context
from vault.crypto.key_wrapping import PURPOSE_BRANCH, KeyPurpose, WrapContext, unwrap
from vault.crypto.keystore import ROLE_BRANCHES, Branch, KeyFileFactor, Role
from vault.crypto.primitives import AesGcm, hkdf_expand_sha256
from vault.crypto.secret import Secret
from vault.errors import GenovaultError
from vault.operations import backup, doctor, key_backups, key_rotation
from vault.operations.erasure import process
from vault.session import principals
from vault.session.unlocked_vault import UnlockedVault, open_vault
from vault.storage.key_tables import WrappedKeyRow
from vault.subjects import registry

ROLES = (Role.AUDITOR, Role.ENGINE, Role.CUSTODIAN, Role.SERVICE)


def factor(role: Role) -> KeyFileFactor:
    return KeyFileFactor(Secret(role.value.encode().ljust(32, b".")))


@pytest.fixture(scope="module")
def vault(tmp_path_factory) -> Path:
    """The small vault with a slot of every role; nobody in this module changes it."""
    folder = vaults.copy(tmp_path_factory.mktemp("roles"), whole=False)
    with vaults.opened(folder) as s:
        for role in ROLES:
            principals.add(s, role.value, role, factor(role))
    return folder


def as_role(vault: Path, role: Role) -> UnlockedVault:
    return open_vault(vault, factor=factor(role), principal=role.value)


def raw_keys(s: UnlockedVault) -> list[bytes]:
    """Every 32 bytes that a slot gives: branch keys, epochs, and what wraps under each for any branch."""
    keys = [key.reveal() for key in s.unlocked.payload.branch_keys.values()]
    keys += [s.keyring.epoch(branch, n).reveal() for branch in Branch if s.keyring.has(branch) for n in s.keyring.epochs(branch)]
    derived = [hkdf_expand_sha256(key, encode_context("genovault/kek/v1", branch), 32) for key in keys for branch in Branch]
    return keys + derived


@pytest.mark.parametrize("role", ROLES)
def test_with_all_its_raw_keys_a_role_unwraps_what_its_branches_hold_and_nothing_else(vault, role):
    s = as_role(vault, role)
    keks = [AesGcm(key) for key in raw_keys(s)]
    with s._key_database.read() as tx:
        rows = tx.scalars(select(WrappedKeyRow)).all()
    opened: set[Branch] = set()
    for row in rows:
        purpose = KeyPurpose(row.purpose)
        for kek in keks:
            for claimed in {purpose, KeyPurpose.GENOTYPE}:
                try:
                    unwrap(
                        kek,
                        WrapContext(s.vault_id, row.epoch, claimed),
                        key_id=row.key_id,
                        wrapped=row.wrapped,
                        subject_id=row.owner,
                    )
                except GenovaultError:
                    continue
                opened.add(PURPOSE_BRANCH[purpose])
    assert opened == ROLE_BRANCHES[role] & {PURPOSE_BRANCH[KeyPurpose(row.purpose)] for row in rows}
    assert s.unlocked.root is None
    s.abandon()


Try = Callable[[UnlockedVault, Path], object]

SERVICES: dict[str, tuple[Try, frozenset[Role]]] = {
    "read a name": (lambda s, _: registry.subject_show(s, "S03"), frozenset({Role.CUSTODIAN})),
    "list handles": (lambda s, _: people.listed(s), frozenset({Role.CUSTODIAN})),
    "read consent": (lambda s, _: recording.history(s, "S03"), frozenset({Role.CUSTODIAN})),
    "withdraw": (lambda s, _: recording.withdraw(s, "S09"), frozenset({Role.CUSTODIAN})),
    "see genotypes": (lambda s, _: gate.view(s, project="demo", dataset="cohort"), frozenset({Role.ENGINE})),
    "see a panel": (lambda s, _: gate.view(s, project="demo", dataset="cohort", panel="pgx"), frozenset({Role.ENGINE})),
    "read details": (lambda s, _: [s.trail.detail(at) for at in range(3)], frozenset({Role.AUDITOR})),
    "verify the log": (
        lambda s, _: verify(LogSource(s.trail.log, None), s.trail.log_keys()[0].to_text()).findings,
        frozenset(ROLES),
    ),
    "sign the log": (lambda s, _: s.trail.checkpoint(), frozenset({Role.ENGINE, Role.CUSTODIAN, Role.SERVICE})),
    "erase": (lambda s, _: process.erase(s, "S03"), frozenset()),
    "rotate": (lambda s, _: key_rotation.rotate(s), frozenset()),
    "renew the root": (lambda s, _: key_rotation.renew_root(s, {}), frozenset()),
    "renew tokens": (lambda s, _: key_rotation.renew_tokens(s), frozenset()),
    "renew a project's key": (lambda s, _: key_rotation.renew_project(s, "demo"), frozenset()),
    "destroy an epoch": (lambda s, _: key_rotation.destroy_epoch(s, Branch.GENOTYPE, 1), frozenset()),
    "add a principal": (lambda s, _: principals.add(s, "x", Role.RESEARCHER, None), frozenset()),
    "add a slot": (lambda s, _: principals.add_slot(s, s.principal, factor(Role.ENGINE)), frozenset()),
    "disable": (lambda s, _: principals.disable(s, "auditor"), frozenset()),
    "copy the keys": (lambda s, t: backup.backup_keys(s, t / "kb", expires=s.clock() + timedelta(days=1)), frozenset()),
    "disown a key backup": (lambda s, _: key_backups.destroyed(s, "kb-1"), frozenset()),
    "look the vault over": (lambda s, _: doctor.examine(s).ok, frozenset(ROLES)),
    "copy the data": (lambda s, t: backup.backup(s, t / "b"), frozenset(ROLES) - {Role.SERVICE}),
}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", SERVICES)
def test_every_service_with_every_role(vault, role, name, tmp_path):
    attempt, allowed = SERVICES[name]
    s = as_role(vault, role)
    try:
        if role in allowed:
            attempt(s, tmp_path)
            return
        with pytest.raises(GenovaultError) as caught:
            attempt(s, tmp_path)
        assert caught.value.code in ("branch_closed", "not_administrator", "not_authorised")
    finally:
        s.abandon()


def test_an_engine_s_view_names_nobody(vault):
    s = as_role(vault, Role.ENGINE)
    shown = repr(gate.view(s, project="demo", dataset="cohort"))
    assert not any(sample in shown for sample in vaults.SAMPLES)
    s.abandon()


@pytest.mark.parametrize("role", ROLES)
def test_what_was_tried_and_refused_is_in_the_log(vault, role):
    s = as_role(vault, role)
    before = s.trail.log.size()
    with pytest.raises(GenovaultError):
        process.erase(s, "S03")
    (entry,) = s.trail.log.entries(before)
    assert b'"subject.erase"' in entry.leaf
    assert role.value.encode() in entry.leaf
    s.abandon()
