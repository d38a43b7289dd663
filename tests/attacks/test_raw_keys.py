"""What a role's own slot can sign: heads of collections that it may not change are refused by readers, whatever program made them.

The attacker holds a slot, and with it a signing key and the key of the log's head, and writes the books directly.
"""

from __future__ import annotations

import shutil

import pytest

from policies import authority
from tests.support import vaults
from tests.support.vaults import opened
from vault import gate
from vault.access import projects
from vault.consent import recording
from vault.crypto.keystore import Role
from vault.errors import GenovaultError, IntegrityError, RefusedError
from vault.session import collection_heads
from vault.session.collection_heads import TOGETHER, CollectionHead
from vault.session.collections import COLLECTIONS
from vault.session.unlocked_vault import open_vault
from vault.storage.audit_tables import AuditHeadRow

ROLES = (Role.AUDITOR, Role.ENGINE, Role.CUSTODIAN, Role.SERVICE)


@pytest.fixture(scope="module")
def staffed(tmp_path_factory):
    """A vault with a request, and a slot of every role."""
    folder = vaults.copy(tmp_path_factory.mktemp("staffed"), whole=False)
    factors = {role: vaults.add_role(folder, role) for role in ROLES}
    return folder, factors


@pytest.fixture
def ground(staffed, tmp_path):
    """A copy of it, and the factors."""
    folder, factors = staffed
    shutil.copytree(folder, tmp_path / "v")
    return tmp_path / "v", factors


def raw(folder, factor, role):
    return open_vault(folder, factor=factor, principal=role.value)


def forge(s, *names, together=True):
    """Sign collections as they stand with the session's own key, and make the log's MAC: the program's own code, asked nothing."""
    heads = s.books._signed_heads
    with pytest.MonkeyPatch.context() as patch, s.books.unwatched.write() as tx:
        patch.setattr(collection_heads, "_may_change", lambda _role, _name: True)
        connection = tx.connection()
        found, _ = heads.read(connection)
        kept = stored_heads(tx)
        heads.sign(tx, found, {COLLECTIONS[name]: COLLECTIONS[name].rows(connection) for name in names})
        if not together:
            put_head(tx, TOGETHER, kept[TOGETHER])
            bind(s, tx)


HEAD = ("counter", "digest", "listing", "listing_sha256", "signer", "signature")


def stored_heads(tx):
    """The stored heads by name: the values of ``HEAD``."""
    rows = tx.connection().exec_driver_sql(f"SELECT name, {', '.join(HEAD)} FROM collection_head").all()
    return {row[0]: tuple(row[1:]) for row in rows}


def put_head(tx, name, head):
    changed = ", ".join(f"{column} = ?" for column in HEAD)
    tx.connection().exec_driver_sql(f"UPDATE collection_head SET {changed} WHERE name = ?", (*head, name))


def bind(s, tx):
    """Make the MAC of the log's head over the heads as they are stored."""
    row = tx.query(AuditHeadRow).one()
    heads = {name: CollectionHead(head[0], head[1], *head[3:]) for name, head in stored_heads(tx).items()}
    state = collection_heads._state(heads)
    sealed = s.books._signed_heads._seal.sealed(row.base, row.size, row.stack, state)
    row.state, row.epoch, row.mac = sealed.state, sealed.epoch, sealed.mac


def refusal(folder, name):
    """The code with which a steward's statement over a collection is refused; empty where it is not."""
    try:
        s = open_vault(folder, factor=vaults.FACTOR, principal="ann")
    except GenovaultError as error:
        return error.code
    try:
        with s.books.read() as tx:
            tx.connection().exec_driver_sql(f"SELECT count(*) FROM {name}")
    except IntegrityError as error:
        return error.code
    finally:
        s.abandon()
    return ""


@pytest.mark.parametrize("role", ROLES)
def test_a_head_counts_for_the_roles_that_may_change_its_collection_alone(ground, tmp_path, role):
    folder, factors = ground
    for name in sorted(COLLECTIONS):
        for together in (True, False):
            copy = tmp_path / f"{name}-{together}"
            shutil.copytree(folder, copy)
            s = raw(copy, factors[role], role)
            forge(s, name, together=together)
            s.abandon()
            expected = "" if authority.may_change(role.value, name) else "collection_altered"
            assert refusal(copy, name) == expected, (name, together)
            shutil.rmtree(copy)


def take_out_last(s, table):
    with s.books.write() as tx:
        tx.connection().exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        tx.connection().exec_driver_sql(f"DELETE FROM {table} WHERE rowid = (SELECT max(rowid) FROM {table})")


@pytest.mark.parametrize("role", ROLES)
def test_a_watched_transaction_signs_nothing_for_a_role_that_may_not(ground, role):
    """The same through our own books: refused before the commit, and nothing is changed."""
    folder, factors = ground
    with opened(folder, factor=factors[role], principal=role.value) as s:
        for name in sorted(COLLECTIONS):
            if authority.may_change(role.value, name):
                continue
            with s.books.read() as tx:
                rows = COLLECTIONS[name].rows(tx.connection())
            if not rows:
                continue
            with pytest.raises(RefusedError) as caught:
                take_out_last(s, name)
            assert caught.value.code == "not_authorised", name
            with s.books.read() as tx:
                assert COLLECTIONS[name].rows(tx.connection()) == rows


def columns_of(tx, table):
    return [row[1] for row in tx.connection().exec_driver_sql(f"PRAGMA table_info({table})").all()]


def rows_of(tx, table):
    return [tuple(row) for row in tx.connection().exec_driver_sql(f"SELECT * FROM {table}").all()]


def put_rows(tx, table, rows):
    connection = tx.connection()
    for row in rows:
        names = columns_of(tx, table)
        changed = ", ".join(f"{name} = ?" for name in names)
        connection.exec_driver_sql(f"UPDATE {table} SET {changed} WHERE {names[0]} = ?", (*row, row[0]))


@pytest.mark.parametrize("change", ["close", "suspend"])
@pytest.mark.parametrize("role", ROLES)
def test_one_collection_is_not_put_back_by_who_can_make_the_logs_mac(ground, role, change):
    """A project that was ended, with its head as a steward signed it: the head ``stewards`` tells."""
    folder, factors = ground
    s = raw(folder, factors[role], role)
    with s.books.unwatched.read() as tx:
        rows, head = rows_of(tx, "project"), stored_heads(tx)["project"]
    s.abandon()
    with opened(folder) as s:
        projects.change(s, "demo", change)
    s = raw(folder, factors[role], role)
    with s.books.unwatched.write() as tx:
        put_rows(tx, "project", rows)
        put_head(tx, "project", head)
        bind(s, tx)
    s.abandon()
    assert refusal(folder, "project") == "collection_altered"


@pytest.mark.parametrize("role", ROLES)
def test_the_heads_of_stewards_are_not_put_back_beside_a_later_log(ground, role):
    """All that stewards alone change, with the head ``stewards``, as one signed them before the project was closed: the marks tell."""
    folder, factors = ground
    s = raw(folder, factors[role], role)
    tables = sorted(authority.STEWARDS_OWN)
    with s.books.unwatched.read() as tx:
        rows, before = {table: rows_of(tx, table) for table in tables}, stored_heads(tx)
    s.abandon()
    with opened(folder) as s:
        projects.change(s, "demo", "close")
    s = raw(folder, factors[role], role)
    with s.books.unwatched.write() as tx:
        for table in tables:
            put_rows(tx, table, rows[table])
            put_head(tx, table, before[table])
        put_head(tx, TOGETHER, before[TOGETHER])
        bind(s, tx)
    s.abandon()
    with pytest.raises(IntegrityError) as caught, opened(folder):
        pass
    assert caught.value.code == "books_behind"


def test_a_withdrawal_is_not_taken_out_by_a_custodian(ground):
    """Custodians may record one; an older head of the ledger, signed by themselves, is refused by the log's own consent head."""
    folder, factors = ground
    s = raw(folder, factors[Role.CUSTODIAN], Role.CUSTODIAN)
    with s.books.unwatched.read() as tx:
        batches = tx.connection().exec_driver_sql("SELECT max(last_seq) FROM consent_batch").scalar()
    s.abandon()
    with opened(folder) as s:
        recording.withdraw(s, "S03")
    s = raw(folder, factors[Role.CUSTODIAN], Role.CUSTODIAN)
    with s.books.unwatched.write() as tx:
        for (trigger,) in tx.connection().exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'").all():
            tx.connection().exec_driver_sql(f"DROP TRIGGER {trigger}")
        tx.connection().exec_driver_sql(f"DELETE FROM consent_batch WHERE last_seq > {batches}")
    forge(s, "consent_batch")
    s.abandon()
    s = open_vault(folder, factor=vaults.FACTOR, principal="ann")
    try:
        with pytest.raises(GenovaultError) as caught:
            gate.view(s, project="demo", dataset="cohort")
    finally:
        s.abandon()
    assert caught.value.code == "consent_ledger_behind"
