"""A signed vault whose schema an older program made: checked as it was, migrated, signed as it then is."""

from __future__ import annotations

import pytest
from sqlalchemy import delete, inspect

from tests.support import vaults
from tests.support.vaults import opened
from vault import gate
from vault.crypto.keystore import Role
from vault.errors import GenovaultError
from vault.session import first_signing
from vault.session.collections import COLLECTIONS
from vault.session.unlocked_vault import open_books
from vault.storage import migrate
from vault.storage.book_tables import CollectionHeadRow

EARLIER = migrate.REVISIONS["books"][-2]
LATER = {"approval"}  # collections that the older program did not have


@pytest.fixture
def older(small):
    """The vault as a program left it that knew one schema less and signed what it knew."""
    with opened(small) as s:
        unlocked = s.unlocked
    database = open_books(small)
    heads = first_signing._heads(unlocked.keystore.document.vault_id, unlocked)
    with database.write() as tx:
        connection = tx.connection()
        migrate._run_in(tx, "books", "downgrade", EARLIER)
        present = inspect(connection).get_table_names()
        earlier = [
            one.with_columns({column["name"] for column in inspect(connection).get_columns(name)})
            for name, one in COLLECTIONS.items()
            if name in present
        ]
        known, _ = heads.read(connection)
        later = [name for name in known if name in COLLECTIONS and name not in present]
        tx.execute(delete(CollectionHeadRow).where(CollectionHeadRow.name.in_(later)))
        known = {name: head for name, head in known.items() if name not in later}
        heads.sign(tx, known, {one: one.rows(connection) for one in earlier})
    database.close()
    return small


@pytest.fixture
def small(tmp_path):
    """A vault to change at will."""
    return vaults.copy(tmp_path, whole=False)


def version(folder):
    return vaults.sql(folder / "books.db", "SELECT version_num FROM alembic_version")[0][0]


def test_a_steward_opens_it_and_everything_is_signed_again(older):
    assert version(older) == EARLIER
    with opened(older) as s:
        assert s.books.altered() == {}
        assert s.books.upgraded
    assert version(older) == migrate.HEADS["books"]


def test_others_are_asked_to_wait_for_a_steward(older):
    factor = vaults.PassphraseFactor.from_text("passphrase of the engine")
    unlocked = vaults.keystore.load(older).unlock(vaults.FACTOR, principal="ann")
    vaults.keystore.add_slot(
        unlocked,
        principal="engine",
        role=Role.ENGINE,
        factor=factor,
        profile=vaults.Argon2Profile.TEST_ONLY,
        random=vaults.os.urandom,
    )
    with pytest.raises(GenovaultError) as caught, opened(older, factor=factor, principal="engine"):
        pass
    assert caught.value.code == "upgrade_needed"
    assert version(older) == EARLIER


@pytest.mark.parametrize("edit", ["UPDATE dataset SET assembly = 'GRCh37'", "DELETE FROM part", "DELETE FROM collection_head"])
def test_what_was_edited_is_not_signed(older, edit):
    vaults.sql(older / "books.db", "PRAGMA foreign_keys=0", edit)
    with pytest.raises(GenovaultError) as caught, opened(older):
        pass
    assert caught.value.code == "collection_altered"
    assert version(older) == EARLIER


def test_a_collection_that_was_never_signed_is_no_tampering(small):
    """Authentic heads without one of the collections: the vault was last signed by a program that did not have it."""
    with opened(small) as s:
        unlocked = s.unlocked
    database = open_books(small)
    heads = first_signing._heads(unlocked.keystore.document.vault_id, unlocked)
    with database.write() as tx:
        connection = tx.connection()
        known, _ = heads.read(connection)
        connection.exec_driver_sql("DELETE FROM collection_head WHERE name = 'approval'")
        known.pop("approval")
        heads.sign(tx, known, {one: one.rows(connection) for name, one in COLLECTIONS.items() if name not in LATER})
    database.close()
    with opened(small) as s:
        with pytest.raises(GenovaultError) as caught:
            gate.view(s, project="demo", dataset="cohort")
        assert caught.value.code == "upgrade_needed"
