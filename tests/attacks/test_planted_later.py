"""What is planted in a database while a session is open stops that session before it runs, as it stops the next opening."""

from __future__ import annotations

import pytest
from pysqlite3 import dbapi2

from tests.support import vaults
from tests.support.vaults import opened
from vault import gate
from vault.access import projects
from vault.consent import recording
from vault.crypto.key_wrapping import KeyPurpose
from vault.errors import IntegrityError
from vault.operations.recovery import open_recovered
from vault.subjects.references import resolve

UNDONE = "UPDATE project SET state = OLD.state, sealed = OLD.sealed, version = OLD.version WHERE project_id = OLD.project_id"
PLANTED = {
    "a closing is undone": (
        "books.db",
        f"CREATE TRIGGER t AFTER UPDATE ON project WHEN NEW.state <> 'approved' BEGIN {UNDONE}; END",
        lambda s, _: projects.change(s, "demo", "close"),
    ),
    "a withdrawal is dropped": (
        "books.db",
        "CREATE TRIGGER t BEFORE INSERT ON consent_batch BEGIN SELECT RAISE(IGNORE); END",
        lambda s, _: recording.withdraw(s, "S03"),
    ),
    "an entry is dropped": (
        "books.db",
        "CREATE TRIGGER t BEFORE INSERT ON audit_leaf BEGIN SELECT RAISE(IGNORE); END",
        lambda s, _: gate.check(s, "demo"),
    ),
    "a key is kept": (
        "keys.db",
        "CREATE TRIGGER t BEFORE DELETE ON wrapped_key BEGIN SELECT RAISE(IGNORE); END",
        lambda s, person: s.keys.destroy([KeyPurpose.GENOTYPE], [person]),
    ),
    "a name leads elsewhere": (
        "books.db",
        "CREATE VIEW t AS SELECT * FROM project",
        lambda s, _: gate.view(s, project="demo", dataset="cohort"),
    ),
}


def plant(path, statement):
    connection = dbapi2.connect(str(path))
    connection.execute(statement)
    connection.close()


@pytest.mark.parametrize("what", PLANTED)
def test_what_is_planted_in_an_open_vault_does_not_run(small, what):
    database, statement, act = PLANTED[what]
    s = open_recovered(small, factor=vaults.FACTOR, principal="ann")
    person = resolve(s, "S03")
    plant(small / database, statement)
    with pytest.raises(IntegrityError) as caught:
        act(s, person)
    assert caught.value.code == "schema_planted"
    s.abandon()
    plant(small / database, f"DROP {statement.split()[1]} t")
    with opened(small) as s:
        assert len(gate.view(s, project="demo", dataset="cohort").pseudonyms) == len(vaults.PERMITTED)
        assert vaults.verified(s).ok
