"""Making, changing and unlocking keystores as their principals do."""

import json
import os
import stat

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.vault.crypto.conftest import ANN, CHEAP
from tests.vault.crypto.vectors import generate
from vault.crypto import key_wrapping, keystore, keystore_files, unlocking
from vault.crypto.envelope import open_chunks
from vault.crypto.keyring import branches_of
from vault.crypto.keystore import Branch, KeyFileFactor, PassphraseFactor, Role
from vault.crypto.primitives import SigningKey, hpke_open, hpke_seal
from vault.crypto.secret import Secret
from vault.crypto.slots import LABEL, open_payload
from vault.errors import InputError, IntegrityError, UnavailableError, UsageError

AUD = PassphraseFactor.from_text("the auditor's")
ENGINE = KeyFileFactor(Secret(b"e" * 32))


def raises(code, error):
    return pytest.raises(error, check=lambda caught: caught.code == code)


def add(unlocked, principal, role, factor, **more):
    return keystore.add_slot(
        unlocked, principal=principal, role=role, factor=factor, **{"profile": CHEAP, "random": os.urandom, **more}
    )


def test_the_founder_holds_every_branch_and_administers(founded):
    opened = keystore.load(founded.keystore.folder).unlock(ANN)
    assert (opened.principal, opened.role, opened.administers) == ("ann", Role.STEWARD, True)
    for branch in Branch:
        assert opened.keyring.has(branch)
        number, key = opened.keyring.current(branch)
        assert number == 1
        assert key.reveal() == founded.keyring.epoch(branch, 1).reveal()
    assert len({opened.keyring.current(branch)[1].reveal() for branch in Branch}) == len(Branch)


def test_the_public_section_is_the_other_half_of_the_keyrings(founded):
    public = keystore.load(founded.keystore.folder).public
    ring = founded.keyring
    assert public.vault_id == founded.vault_id == b"v" * 16
    assert public.log_sign == SigningKey(ring.current(Branch.LOG_SIGN)[1]).public
    assert public.release_sign == SigningKey(ring.current(Branch.RELEASE_SIGN)[1]).public
    sealed = hpke_seal(public.audit_read[1], b"detail", b"who saw whom")
    assert hpke_open(ring.epoch(Branch.AUDIT_READ, 1), b"detail", sealed) == b"who saw whom"


def test_files_are_private_and_hold_no_key_in_clear(founded):
    for name in keystore_files.COPIES:
        path = founded.keystore.folder / name
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        content = path.read_bytes()
        for branch in Branch:
            assert founded.keyring.current(branch)[1].reveal() not in content
            assert founded.keyring.current(branch)[1].reveal().hex().encode() not in content
    assert sorted(path.name for path in founded.keystore.folder.iterdir()) == ["keystore.a", "keystore.b"]


def test_nothing_secret_is_printed(founded):
    shown = repr(founded) + repr(founded.keyring) + repr(ANN) + repr(open_payload(founded.slot, ANN, vault_id=b"v" * 16))
    secrets = [founded.root.reveal()] + [founded.keyring.current(branch)[1].reveal() for branch in Branch]
    for secret in secrets:
        assert repr(secret)[2:-1] not in shown
        assert secret.hex() not in shown
    assert "passphrase" not in shown.replace("passphrase=Secret(…)", "")


def test_create_never_overwrites(founded, random):
    folder = founded.keystore.folder
    before = (folder / "keystore.a").read_bytes()
    for missing in ("keystore.b", None):
        with raises("keystore_exists", InputError):
            keystore.create(folder, vault_id=b"w" * 16, principal="eve", factor=ANN, profile=CHEAP, random=random)
        if missing:
            (folder / missing).unlink()
    assert (folder / "keystore.a").read_bytes() == before


def test_a_folder_without_keystore_is_no_vault(tmp_path, random):
    with raises("no_vault", UnavailableError):
        keystore.load(tmp_path)
    with raises("no_vault", UnavailableError):
        keystore.load(tmp_path / "absent")
    with raises("no_vault", UnavailableError):
        keystore.create(tmp_path / "absent", vault_id=b"v" * 16, principal="ann", factor=ANN, profile=CHEAP, random=random)


@pytest.mark.parametrize("principal", ["", "a b", "ann\n", "-x", "x" * 65, "ä", "a/b"])
def test_principals_have_plain_names(tmp_path, random, principal):
    with raises("principal_invalid", InputError):
        keystore.create(tmp_path, vault_id=b"v" * 16, principal=principal, factor=ANN, profile=CHEAP, random=random)
    assert not list(tmp_path.iterdir())


def test_a_vault_id_has_16_bytes(tmp_path, random):
    with raises("vault_id_invalid", InputError):
        keystore.create(tmp_path, vault_id=b"v", principal="ann", factor=ANN, profile=CHEAP, random=random)


def test_a_passphrase_is_the_same_composed_and_decomposed(tmp_path, random):
    one, other = PassphraseFactor.from_text("pe\u0300re"), PassphraseFactor.from_text("p\u00e8re")
    keystore.create(tmp_path, vault_id=b"v" * 16, principal="ann", factor=one, profile=CHEAP, random=random)
    assert keystore.load(tmp_path).unlock(other).principal == "ann"


def test_factors_are_checked(tmp_path):
    with raises("passphrase_empty", InputError):
        PassphraseFactor.from_text("")
    for content in (b"", bytes(31), bytes(33)):
        (tmp_path / "key").write_bytes(content)
        (tmp_path / "key").chmod(0o600)
        with raises("key_file_invalid", InputError):
            KeyFileFactor.from_file(tmp_path / "key")
    with raises("key_file_invalid", InputError):
        KeyFileFactor.from_file(tmp_path / "absent")
    (tmp_path / "key").write_bytes(bytes(32))
    assert KeyFileFactor.from_file(tmp_path / "key").key.reveal() == bytes(32)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o602, 0o620, 0o666, 0o610])
def test_a_key_file_that_is_not_its_users_alone_is_refused(tmp_path, mode):
    path = tmp_path / "key"
    path.write_bytes(bytes(32))
    path.chmod(mode)
    with raises("key_file_exposed", InputError):
        KeyFileFactor.from_file(path)


def test_a_key_file_of_another_user_is_refused_but_not_roots(tmp_path, monkeypatch):
    path = tmp_path / "key"
    path.write_bytes(bytes(32))
    path.chmod(0o600)
    monkeypatch.setattr("os.geteuid", lambda: path.stat().st_uid + 1)
    if path.stat().st_uid == 0:
        KeyFileFactor.from_file(path)
        os.chown(path, 4_000, -1)
    with raises("key_file_exposed", InputError):
        KeyFileFactor.from_file(path)


def test_wrong_passphrase_unknown_name_and_wrong_kind_look_alike(founded):
    store = keystore.load(founded.keystore.folder)
    messages = set()
    for factor, principal in (
        (AUD, None),
        (AUD, "ann"),
        (ANN, "eve"),
        (AUD, "eve"),
        (ENGINE, "ann"),
        (ENGINE, "eve"),
    ):
        with raises("cannot_unlock", UnavailableError) as caught:
            store.unlock(factor, principal=principal)
        messages.add(str(caught.value))
    assert len(messages) == 1


def test_an_unknown_name_costs_one_argon2_run_with_the_slots_parameters(founded, monkeypatch):
    runs = []
    store = keystore.load(founded.keystore.folder)
    monkeypatch.setattr(unlocking, "argon2id", lambda _, salt, profile: runs.append((len(salt), profile)))
    with raises("cannot_unlock", UnavailableError):
        store.unlock(AUD, principal="eve")
    assert runs == [(16, CHEAP)]


def test_with_several_principals_the_name_is_needed(founded):
    store = add(founded, "aud", Role.AUDITOR, AUD).keystore
    with raises("principal_needed", UsageError):
        store.unlock(AUD)
    assert store.unlock(AUD, principal="aud").role is Role.AUDITOR


def test_one_person_may_have_two_passphrases_and_a_key_file(founded):
    more = add(founded, "ann", Role.STEWARD, AUD)
    more = add(more, "ann", Role.STEWARD, ENGINE)
    store = keystore.load(founded.keystore.folder)
    assert [store.unlock(factor).administers for factor in (ANN, AUD, ENGINE)] == [True, False, False]
    with raises("cannot_unlock", UnavailableError):
        store.unlock(PassphraseFactor.from_text("neither"))


@pytest.mark.parametrize("role", [role for role in Role if keystore.ROLE_BRANCHES[role]])
def test_a_slot_wraps_exactly_the_branches_of_its_role(founded, role):
    changed = add(founded, "other", role, AUD)
    opened = keystore.load(founded.keystore.folder).unlock(AUD, principal="other")
    assert {branch for branch in Branch if opened.keyring.has(branch)} == keystore.ROLE_BRANCHES[role]
    assert opened.root is None
    payload = open_payload(opened.slot, AUD, vault_id=founded.vault_id)
    assert set(payload.branch_keys) == keystore.ROLE_BRANCHES[role]
    for branch in set(Branch) - keystore.ROLE_BRANCHES[role]:
        for read in (opened.keyring.current, opened.keyring.epochs, lambda b: opened.keyring.epoch(b, 1)):
            with raises("branch_closed", UnavailableError):
                read(branch)
    assert changed.keystore.document == opened.keystore.document


def test_no_key_of_an_auditor_opens_another_branch_or_the_root_wraps(founded):
    """With the raw keys of the slot in hand, past every check of ours: each against every sealed thing in the file."""
    add(founded, "aud", Role.AUDITOR, AUD)
    opened = keystore.load(founded.keystore.folder).unlock(AUD, principal="aud")
    document = opened.keystore.document
    payload = open_payload(opened.slot, AUD, vault_id=document.vault_id)
    held = [key.reveal() for key in payload.branch_keys.values()]
    held += [opened.keyring.current(Branch.AUDIT_READ)[1].reveal(), payload.verify_key]
    contexts = [
        context(document.vault_id, branch)
        for branch in Branch
        for context in (unlocking.keyring_context, unlocking.branch_key_context)
    ]
    reached = set()
    for key in held:
        for branch, record in document.branches.items():
            for sealed in (record.keyring, record.wrapped):
                for context in contexts:
                    try:
                        open_chunks(key, context, sealed, label=LABEL)
                        reached.add((branch, sealed == record.keyring))
                    except IntegrityError as error:
                        assert error.code == "commitment_mismatch"
    assert reached == {(Branch.AUDIT_READ, True), (Branch.LOG_APPEND, True)}


def test_each_slot_signs_with_a_key_of_its_own(founded):
    add(founded, "aud", Role.AUDITOR, AUD)
    store = keystore.load(founded.keystore.folder)
    keys = {factor: store.unlock(factor, principal=name).signer.public for name, factor in (("ann", ANN), ("aud", AUD))}
    assert len(set(keys.values())) == 2
    assert set(keys.values()) == {slot.key for slot in store.slots}


def test_the_key_of_a_removed_slot_stays_known(founded):
    changed = add(founded, "aud", Role.AUDITOR, AUD)
    (slot,) = [slot for slot in changed.keystore.slots if slot.principal == "aud"]
    left = keystore.remove_slot(changed, slot.slot_id)
    (former,) = left.keystore.document.former
    assert (former.principal, former.role, former.key, former.seq) == ("aud", Role.AUDITOR, slot.key, left.public.seq)
    renewed = keystore.renew(left, {left.slot.slot_id: ANN}, random=os.urandom)
    assert renewed.keystore.document.former == (former,)
    assert renewed.slot.key == founded.slot.key


def published_first_format(folder):
    vector = json.loads((generate.HERE / "keystore-1.json").read_text())
    for copy in ("keystore.a", "keystore.b"):
        (folder / copy).write_text(vector["file"])
    ann = PassphraseFactor.from_text(vector["passphrases"]["ann"])
    return keystore.load(folder).unlock(ann, principal="ann"), ann, vector


def test_a_keystore_of_the_first_format_goes_on_as_it_is(tmp_path):
    ann, factor, _ = published_first_format(tmp_path)
    changed = add(ann, "cus", Role.CUSTODIAN, AUD)
    assert changed.keystore.document.version == 1
    assert keystore.load(tmp_path).unlock(AUD, principal="cus").signer is None
    assert keystore.load(tmp_path).unlock(factor, principal="ann").administers


def test_upgrading_gives_keys_to_the_slots_whose_factors_are_given(tmp_path):
    ann, factor, vector = published_first_format(tmp_path)
    ids = {slot.principal: slot.slot_id for slot in ann.keystore.slots}
    engine = KeyFileFactor(Secret(bytes.fromhex(vector["key_files"]["eng"])))
    upgraded = keystore.upgrade(ann, {ids["ann"]: factor, ids["eng"]: engine}, random=os.urandom)
    assert (upgraded.keystore.document.version, upgraded.public.seq) == (2, ann.public.seq + 1)
    store = keystore.load(tmp_path)
    for name, own, signs in (("ann", factor, True), ("eng", engine, True)):
        opened = store.unlock(own, principal=name)
        assert (opened.signer is not None) == signs == opened.keyring.has(Branch.LOG_APPEND)
        for branch in branches_of(opened.role, keystore_format=1):
            assert opened.keyring.current(branch)[1].reveal() == ann.keyring.current(branch)[1].reveal()
    auditor = store.unlock(PassphraseFactor.from_text(vector["passphrases"]["aud"]), principal="aud")
    assert auditor.signer is None
    assert not auditor.keyring.has(Branch.LOG_APPEND)
    with raises("keystore_current", InputError):
        keystore.upgrade(upgraded, {ids["ann"]: factor}, random=os.urandom)


def test_upgrading_with_a_wrong_factor_or_without_one_s_own_changes_nothing(tmp_path):
    ann, factor, _ = published_first_format(tmp_path)
    ids = {slot.principal: slot.slot_id for slot in ann.keystore.slots}
    with raises("cannot_unlock", UnavailableError):
        keystore.upgrade(ann, {ids["ann"]: factor, ids["aud"]: AUD}, random=os.urandom)
    with raises("own_slot_needed", UsageError):
        keystore.upgrade(ann, {}, random=os.urandom)
    with raises("slot_unknown", InputError):
        keystore.upgrade(ann, {bytes(16): factor}, random=os.urandom)
    assert keystore.load(tmp_path).document == ann.keystore.document


def test_keys_wrapped_for_one_branch_do_not_open_with_another(founded):
    shelf = key_wrapping.WrapContext(founded.vault_id, 1, key_wrapping.KeyPurpose.GENOTYPE)
    genotype = key_wrapping.wrapping_key(founded.keyring.current(Branch.GENOTYPE)[1], Branch.GENOTYPE)
    wrapped = key_wrapping.wrap(genotype, shelf, key_id=b"k" * 16, key=bytes(32), random=os.urandom)
    for branch in set(Branch) - {Branch.GENOTYPE}:
        for claimed in (branch, Branch.GENOTYPE):
            kek = key_wrapping.wrapping_key(founded.keyring.current(branch)[1], claimed)
            with raises("seal_broken", IntegrityError):
                key_wrapping.unwrap(kek, shelf, key_id=b"k" * 16, wrapped=wrapped)


def test_roles_without_keys_and_powers_beyond_a_role_are_refused(founded):
    with raises("role_holds_no_keys", InputError):
        add(founded, "res", Role.RESEARCHER, AUD)
    with raises("role_cannot_administer", InputError):
        add(founded, "aud", Role.AUDITOR, AUD, administers=True)
    with raises("principal_has_other_role", InputError):
        add(founded, "ann", Role.ENGINE, AUD)
    assert keystore.load(founded.keystore.folder).document == founded.keystore.document


def test_only_who_administers_changes_anything(founded, random):
    add(founded, "bob", Role.STEWARD, AUD)
    bob = keystore.load(founded.keystore.folder).unlock(AUD, principal="bob")
    for change in (
        lambda: add(bob, "eve", Role.ENGINE, ENGINE),
        lambda: keystore.remove_slot(bob, founded.slot.slot_id),
        lambda: keystore.add_epoch(bob, Branch.BOOKS, random=random),
        lambda: keystore.drop_epoch(bob, Branch.BOOKS, 1, random=random),
    ):
        with raises("not_administrator", UnavailableError):
            change()


def test_a_removed_slot_opens_nothing(founded):
    changed = add(founded, "eng", Role.ENGINE, ENGINE)
    slot = next(slot for slot in changed.keystore.slots if slot.principal == "eng")
    keystore.remove_slot(changed, slot.slot_id)
    store = keystore.load(founded.keystore.folder)
    assert [slot.principal for slot in store.slots] == ["ann"]
    with raises("cannot_unlock", UnavailableError):
        store.unlock(ENGINE, principal="eng")
    with raises("slot_unknown", InputError):
        keystore.remove_slot(store.unlock(ANN), slot.slot_id)


def test_the_last_administrator_stays(founded):
    changed = add(founded, "bob", Role.STEWARD, AUD)
    with raises("last_administrator", UsageError):
        keystore.remove_slot(changed, founded.slot.slot_id)


def test_there_is_an_end_to_slots(founded, monkeypatch):
    monkeypatch.setattr(keystore, "MAX_SLOTS", 2)
    changed = add(founded, "aud", Role.AUDITOR, AUD)
    with raises("slots_full", InputError):
        add(changed, "eng", Role.ENGINE, ENGINE)


def test_a_change_on_a_stale_keystore_is_refused(founded):
    add(founded, "aud", Role.AUDITOR, AUD)
    with raises("keystore_changed", UnavailableError):
        add(founded, "eng", Role.ENGINE, ENGINE)
    assert {slot.principal for slot in keystore.load(founded.keystore.folder).slots} == {"ann", "aud"}


def test_a_slot_that_does_not_open_is_never_written(founded, monkeypatch):
    monkeypatch.setattr(keystore, "seal_payload", lambda *_, **__: bytes(200))
    with raises("cannot_unlock", UnavailableError):
        add(founded, "aud", Role.AUDITOR, AUD)
    assert keystore.load(founded.keystore.folder).document == founded.keystore.document


@pytest.mark.parametrize("branch", Branch)
def test_a_new_epoch_is_current_and_the_old_one_still_reads(founded, random, branch):
    add(founded, "bob", Role.STEWARD, AUD)
    ann = keystore.load(founded.keystore.folder).unlock(ANN, principal="ann")
    changed = keystore.add_epoch(ann, branch, random=random)
    bob = keystore.load(founded.keystore.folder).unlock(AUD, principal="bob")
    for opened in (changed, bob):
        assert opened.keyring.epochs(branch) == (1, 2) == opened.keystore.epochs(branch)
        assert opened.keyring.current(branch)[0] == 2
        assert opened.keyring.epoch(branch, 1).reveal() == founded.keyring.epoch(branch, 1).reveal()
        assert opened.keyring.epoch(branch, 2).reveal() != opened.keyring.epoch(branch, 1).reveal()
    assert founded.keyring.epochs(branch) == (1,)
    for other in set(Branch) - {branch}:
        assert changed.keyring.epochs(other) == (1,)


def test_a_dropped_epoch_is_gone_from_both_copies_and_its_number_never_returns(founded, random):
    old = keystore.load(founded.keystore.folder).document.branches[Branch.LOG_SIGN]
    changed = keystore.add_epoch(founded, Branch.LOG_SIGN, random=random)
    changed = keystore.drop_epoch(changed, Branch.LOG_SIGN, 1, random=random)
    with raises("epoch_gone", UnavailableError):
        changed.keyring.epoch(Branch.LOG_SIGN, 1)
    opened = keystore.load(founded.keystore.folder).unlock(ANN)
    assert opened.keyring.epochs(Branch.LOG_SIGN) == (2,)
    assert opened.public.by_epoch[Branch.LOG_SIGN][1] == old.public[1]  # old signatures stay checkable
    assert opened.public.current(Branch.LOG_SIGN)[0] == 2
    for name in keystore_files.COPIES:
        assert json.loads((opened.keystore.folder / name).read_text())["branches"]["log-sign"]["epochs"] == [2]
    assert keystore.add_epoch(opened, Branch.LOG_SIGN, random=random).keyring.epochs(Branch.LOG_SIGN) == (2, 3)


def test_the_current_epoch_and_unknown_ones_cannot_be_dropped(founded, random):
    with raises("epoch_current", UsageError):
        keystore.drop_epoch(founded, Branch.BOOKS, 1, random=random)
    with raises("epoch_unknown", InputError):
        keystore.drop_epoch(founded, Branch.BOOKS, 2, random=random)


@pytest.mark.parametrize(("published", "version"), [("keystore-1.json", 1), ("keystore.json", 2)])
def test_the_published_keystore_opens(tmp_path, published, version):
    vector = json.loads((generate.HERE / published).read_text())
    (tmp_path / "keystore.b").write_text(vector["file"])
    store = keystore.load(tmp_path)
    factors = {name: PassphraseFactor.from_text(text) for name, text in vector["passphrases"].items()}
    factors |= {name: KeyFileFactor(Secret(bytes.fromhex(key))) for name, key in vector["key_files"].items()}
    for name, factor in factors.items():
        opened = store.unlock(factor, principal=name)
        assert (opened.signer is None) == (version == 1)
        assert opened.keyring.has(Branch.LOG_APPEND) == (version == 2)
        for branch in branches_of(opened.role, keystore_format=version):
            epochs = {str(n): opened.keyring.epoch(branch, n).reveal().hex() for n in opened.keyring.epochs(branch)}
            assert epochs == vector["epochs"][branch]


class SlotChanges(RuleBasedStateMachine):
    """Whatever is added and removed in whatever order, somebody we know can still open and administer the vault."""

    @initialize()
    def found(self):
        import tempfile  # noqa: PLC0415 - a machine has no fixtures
        from pathlib import Path  # noqa: PLC0415

        self.temporary = tempfile.TemporaryDirectory()
        self.unlocked = keystore.create(
            Path(self.temporary.name), vault_id=b"v" * 16, principal="p0", factor=ENGINE, profile=CHEAP, random=os.urandom
        )
        self.factors = {self.unlocked.slot.slot_id: ("p0", ENGINE)}
        self.count = 0

    def teardown(self):
        self.temporary.cleanup()

    @precondition(lambda self: len(self.factors) < 6)
    @rule(role=st.sampled_from([Role.STEWARD, Role.AUDITOR, Role.ENGINE]), administers=st.booleans(), by_key=st.booleans())
    def add(self, role, administers, by_key):
        self.count += 1
        name, secret = f"p{self.count}", b"%032d" % self.count
        factor = KeyFileFactor(Secret(secret)) if by_key else PassphraseFactor(Secret(secret))
        administers = administers and role is Role.STEWARD
        self.unlocked = add(self.unlocked, name, role, factor, administers=administers)
        self.factors[self.unlocked.keystore.slots[-1].slot_id] = (name, factor)

    @rule(data=st.data())
    def remove(self, data):
        slot = data.draw(st.sampled_from(self.unlocked.keystore.slots))
        try:
            self.unlocked = keystore.remove_slot(self.unlocked, slot.slot_id)
        except UsageError as error:
            assert error.code == "last_administrator"
            assert sum(one.administers for one in self.unlocked.keystore.slots) == 1
        else:
            del self.factors[slot.slot_id]

    @rule(branch=st.sampled_from(Branch))
    def rotate(self, branch):
        self.unlocked = keystore.add_epoch(self.unlocked, branch, random=os.urandom)

    @invariant()
    def everybody_left_can_unlock_and_one_can_administer(self):
        store = keystore.load(self.unlocked.keystore.folder)
        opened = [store.unlock(factor, principal=name) for name, factor in self.factors.values()]
        assert len(opened) == len(store.slots)
        assert any(one.administers and all(one.keyring.has(branch) for branch in Branch) for one in opened)


SlotChanges.TestCase.settings = settings(max_examples=15, stateful_step_count=12, deadline=None)
test_no_sequence_of_changes_locks_everybody_out = SlotChanges.TestCase
