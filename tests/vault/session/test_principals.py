"""Principals and slots: whatever is done, somebody can still administer, and the log knows of every keystore."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from tests.support import vaults
from vault.audit.actions import Action
from vault.audit.entry import ObjectRef, decode_leaf
from vault.crypto import keystore
from vault.crypto.keystore import KeyFileFactor, Role
from vault.crypto.primitives import Argon2Profile
from vault.crypto.secret import Secret
from vault.errors import GenovaultError
from vault.operations import doctor
from vault.session import principals
from vault.session.failed_unlocks import NOTES
from vault.session.unlocked_vault import open_vault
from vault.storage.book_tables import VaultRow

FACTORS = {name: KeyFileFactor(Secret(name.encode() * 32)) for name in "abcd"}


@pytest.fixture
def vault(tmp_path) -> Path:
    return vaults.copy(tmp_path, whole=False)


def code_of(work, *arguments: object, **options: object) -> str:
    with pytest.raises(GenovaultError) as caught:
        work(*arguments, **options)
    return caught.value.code


def test_a_principal_comes_with_a_slot_that_its_factor_opens(vault):
    with vaults.opened(vault) as s:
        made = principals.add(s, "aud", Role.AUDITOR, FACTORS["a"])
        assert (made.role, made.state, made.slots) == ("auditor", "active", 1)
        assert code_of(principals.add, s, "aud", Role.AUDITOR, FACTORS["a"]) == "principal_exists"
        assert principals.add(s, "rex", Role.RESEARCHER, None).slots == 0
        assert code_of(principals.add, s, "x", Role.ENGINE, None) == "factor_needed"
        assert code_of(principals.add, s, "y", Role.RESEARCHER, FACTORS["a"]) == "role_holds_no_keys"
        assert code_of(principals.add, s, "no good", Role.RESEARCHER, None) == "principal_invalid"
        assert code_of(principals.add_slot, s, "nobody", FACTORS["b"]) == "principal_unknown"
    s = open_vault(vault, factor=FACTORS["a"], principal="aud")
    assert s.role is Role.AUDITOR
    s.abandon()


def test_every_change_is_an_entry_that_carries_the_keystore_s_number(vault):
    with vaults.opened(vault) as s:
        start = s.trail.log.size()
        principals.add(s, "aud", Role.AUDITOR, FACTORS["a"])
        slot = principals.add_slot(s, "aud", FACTORS["b"])
        principals.remove_slot(s, slot.slot_id)
        principals.disable(s, "aud")
        entries = [json.loads(entry.leaf) for entry in s.trail.log.entries(start)]
        seqs = [entry["counts"]["keystore_seq"] for entry in entries if entry.get("counts", {}).get("keystore_seq")]
        acts = [entry["act"] for entry in entries if entry["outcome"] == "done"]
        assert seqs == sorted(seqs)
        assert seqs[-1] == s.public.seq
    assert acts == ["principal.add", "slot.add", "slot.remove", "principal.disable"]


def test_a_keystore_that_a_killed_process_changed_is_told_at_the_next_open(vault):
    unlocked = keystore.load(vault).unlock(vaults.FACTOR, principal="ann")
    made = {"profile": Argon2Profile.TEST_ONLY, "random": os.urandom}
    keystore.add_slot(unlocked, principal="eve", role=Role.ENGINE, factor=FACTORS["c"], **made)
    with vaults.opened(vault) as s:
        last = [json.loads(entry.leaf) for entry in s.trail.log.entries(0) if b"keystore.reconcile" in (entry.leaf or b"")]
        assert last[-1]["counts"]["keystore_seq"] == s.public.seq
        assert {p.name for p in principals.list_all(s)} == {"ann", "eve"}
        assert not {"keystore_unlogged", "slot_of_nobody"} & {finding.code for finding in doctor.examine(s).findings}


def test_a_session_that_was_open_while_another_changed_the_keystore_administers_again(vault):
    with vaults.opened(vault) as first, vaults.opened(vault) as second:
        principals.add(first, "aud", Role.AUDITOR, FACTORS["a"])
        principals.add(second, "eve", Role.ENGINE, FACTORS["b"])
        principals.disable(first, "eve")
        assert [slot.principal for slot in principals.slots(first)] == ["ann", "aud"]
    with vaults.opened(vault) as s:
        assert doctor.examine(s).ok


def test_the_books_never_go_back_to_an_older_keystore(vault):
    """Two changes at once: the entry of the earlier one may be the later one."""
    with vaults.opened(vault) as first, vaults.opened(vault) as second:
        principals.add(first, "aud", Role.AUDITOR, FACTORS["a"])
        earlier, about = first.public.seq, ObjectRef("principal", "aud")
        principals.add(second, "eve", Role.ENGINE, FACTORS["b"])
        with first.books.write() as tx:
            principals.anchor(tx, first, Action.PRINCIPAL_ADD, about=about)
            known = tx.scalars(select(VaultRow.keystore_seq)).one()
        assert known == second.public.seq > earlier


def test_failed_unlocks_are_entries_and_say_the_same_for_a_wrong_name(vault):
    before = len(failed_unlocks(vault))
    for factor, name in ((FACTORS["a"], "ann"), (vaults.FACTOR, "nobody"), (FACTORS["a"], None)):
        with pytest.raises(GenovaultError) as caught:
            open_vault(vault, factor=factor, principal=name)
        assert caught.value.code == "cannot_unlock"
        assert str(caught.value) == "this name and passphrase or key file do not open the vault"
    assert [leaf.get("obj", {}).get("ref") for leaf in failed_unlocks(vault)[before:]] == ["ann", None, "ann"]


def test_a_name_that_nobody_has_is_not_written_down(vault):
    with pytest.raises(GenovaultError):
        open_vault(vault, factor=FACTORS["a"], principal="hunter2-typed-here")
    assert b"hunter2" not in (vault / NOTES).read_bytes()


def failed_unlocks(vault):
    with vaults.opened(vault) as s:
        leaves = [decode_leaf(entry.leaf) for entry in s.trail.log.entries(0) if entry.leaf]
    return [leaf for leaf in leaves if leaf["act"] == "vault.unlock.failed"]


step = st.one_of(
    st.tuples(st.just("add"), st.sampled_from("abcd"), st.sampled_from([Role.STEWARD, Role.AUDITOR]), st.booleans()),
    st.tuples(st.just("slot"), st.sampled_from(["ann", *"abcd"]), st.sampled_from("abcd"), st.booleans()),
    st.tuples(st.just("remove"), st.integers(0, 5)),
    st.tuples(st.just("disable"), st.sampled_from(["ann", *"abcd"])),
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(step, min_size=3, max_size=8))
def test_no_sequence_of_changes_locks_everybody_out(vault, tmp_path_factory, steps):
    folder = vaults.copy(tmp_path_factory.mktemp("locks"), whole=False)
    s = open_vault(folder, factor=vaults.FACTOR, principal="ann")
    for what, *rest in steps:
        try:
            if what == "add":
                name, role, administers = rest
                principals.add(s, name, role, FACTORS[name], administers=administers)
            elif what == "slot":
                principals.add_slot(s, rest[0], FACTORS[rest[1]], administers=rest[2])
            elif what == "remove":
                slots = s.unlocked.keystore.slots
                principals.remove_slot(s, slots[rest[0] % len(slots)].slot_id.hex())
            else:
                principals.disable(s, rest[0])
        except GenovaultError:
            continue
    s.abandon()
    known = [(name, factor) for name in ["ann", *"abcd"] for factor in (vaults.FACTOR, *FACTORS.values())]
    administrators = 0
    for name, factor in known:
        try:
            administrators += keystore.load(folder).unlock(factor, principal=name).administers
        except GenovaultError:
            continue
    assert administrators
