"""What two versions of a declaration differ in, in words, and what rulings are bound to."""

from __future__ import annotations

import pytest

from policies import canonical
from policies.declaration_changes import Change, changes, purpose_digest
from policies.errors import PolicyInputError

FIRST = {
    "code": "heart",
    "title": "Hearts",
    "purpose": {"use_kinds": ["hmb"], "commercial": False},
    "organisation": {"name": "Uni"},
    "people": ["ann", "bob"],
    "datasets": ["cohort"],
}


def text(**changed):
    return canonical.dumps({key: value for key, value in {**FIRST, **changed}.items() if value is not None})


def words(**changed):
    return [one.words() for one in changes(text(), text(**changed))]


def test_what_is_the_same_changes_nothing():
    assert changes(text(), text()) == ()


def test_each_field_in_words():
    assert words(title="Lipids") == ["title: Hearts → Lipids"]
    assert words(people=["bob", "cyd"]) == ["people: adds cyd; no longer ann"]
    assert words(people=None) == ["people: no longer ann, bob"]
    assert words(people=["bob", "ann"]) == ["people: in another order"]
    assert words(expires="2027-01-01T00:00:00Z") == ["expires: not declared → 2027-01-01T00:00:00Z"]
    assert words(disclosure={"opt_outs": "leave_out"}) == ["disclosure.opt_outs: not declared → leave_out"]
    assert words(approval="each") == ["approval: standing → each"]
    assert changes(text(approval="each"), text())[0].words() == "approval: each → standing"
    assert words(delivery="plain") == ["delivery: sealed where recipients are declared → plain"]
    assert words(recipients=[{"name": "lab", "key": ""}]) == ["recipients: adds lab"]
    assert words(purpose={"use_kinds": ["hmb"], "commercial": True}) == ["purpose.commercial: no → yes"]
    assert changes(text(), text(title="x")) == (Change("title", "Hearts", "x"),)


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        ({"title": "x"}, True),
        ({"people": ["zoe"]}, True),
        ({"datasets": ["cohort", "other"]}, True),
        ({"purpose": {"use_kinds": ["hmb"]}}, False),
        ({"organisation": {"name": "Uni", "country": "DE"}}, False),
        ({"organisation": None}, False),
    ],
)
def test_a_purpose_is_what_it_is_for_and_by_whom(changed, same):
    assert (purpose_digest(text()) == purpose_digest(text(**changed))) is same


def test_what_is_no_declaration_has_no_purpose():
    with pytest.raises(PolicyInputError):
        purpose_digest("[]")
