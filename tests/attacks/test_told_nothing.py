"""An engine that looks for the reason of its refusal, or for who came and went, beside the door: receipts of entries and lists of datasets."""

from __future__ import annotations

import pytest

from tests.support import vaults
from vault import gate
from vault.access import dataset_description, publication
from vault.access.dataset_description import in_words, summaries
from vault.audit.entry import decode_leaf
from vault.audit.receipt import Receipt
from vault.crypto.keystore import Role
from vault.errors import RefusedError


@pytest.fixture
def folder(tmp_path):
    return vaults.copy(tmp_path, whole=False)


@pytest.fixture
def engine(folder):
    """An engine's session, after one view that it got and one that it did not."""
    factor = vaults.add_role(folder, Role.ENGINE)
    with vaults.opened(folder, factor=factor, principal="engine") as session:
        gate.view(session, project="demo", dataset="cohort", regions=["22:1-1200"])
        with pytest.raises(RefusedError):
            gate.view(session, project="nobodys", dataset="cohort")
        session.trail.checkpoint()
        yield session


def leaves(session):
    return [decode_leaf(entry.leaf) for entry in session.trail.log.entries()]


def proven(session, index):
    """The leaf that a receipt shows, or how it was refused."""
    try:
        return decode_leaf(Receipt.from_text(publication.receipt_for(session, index)).extra)
    except RefusedError as error:
        return (error.code, error.message, error.__cause__, error.__context__)


def test_receipts_of_refusals_and_of_others_are_none_to_an_engine(engine):
    every = leaves(engine)
    told = [proven(engine, at) for at in range(len(every) + 2)]
    shown = [one for one in told if isinstance(one, dict)]
    assert {(one["actor"]["id"], one["outcome"]) for one in shown} == {("engine", "done")}
    assert "view.outcome" in {one["act"] for one in shown}
    assert not any("reasons" in one for one in shown)
    assert len({one for one in told if not isinstance(one, dict)}) == 1  # another's, a refusal and no entry at all are one


def test_without_the_rule_the_reason_is_read_from_the_log(engine, monkeypatch):
    monkeypatch.setattr(publication, "UNINFORMED_ROLES", ())
    refused = next(
        at
        for at, leaf in enumerate(leaves(engine))
        if (leaf["act"], leaf.get("reasons")) == ("view.intent", {"project_unknown": 1})
    )
    assert proven(engine, refused)["reasons"] == {"project_unknown": 1}


def test_numbers_of_datasets_are_bands_to_an_engine(engine, folder, monkeypatch):
    (told,) = summaries(engine)
    assert (told.parts, told.subjects, told.sites) == (1, 1, 1)
    assert in_words(engine, told.subjects) == "20 or fewer"
    monkeypatch.setattr(dataset_description, "UNINFORMED_ROLES", ())
    (exact,) = summaries(engine)
    assert (exact.subjects, exact.sites, in_words(engine, exact.subjects)) == (12, 12, "12")
