"""Form of an entry: the pattern and the exact parser agree."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.audit_log import SIGNER, event, make_books, token
from tests.support.log_verification import KEY, codes
from vault.audit.actions import Action, ActorKind, Outcome
from vault.audit.entry import Actor, ConsentHead, Event, ObjectRef
from vault.audit.live_source import LogSource
from vault.audit.verify import verify
from vault.audit.verify.leaves import _QUICK, _exact_fields, _fields_of


class TestQuickForm:
    """The pattern accepts no leaf that the exact parser refuses, and gives the same facts."""

    EVENTS = (
        event(),
        event(Action.VIEW_INTENT, Outcome.INTENT, project="demo", purpose="HMB", counts={"asked": 3, "permitted": 2}),
        event(subjects=[token(1)], detail={"a": 1}, request="r-1", obj=ObjectRef("release", "rel-1"), flags=["a", "b"]),
        event(reasons={"a": 1, "b": 0, "c": 7}, consent=ConsentHead(3, bytes(32), 2), blobs=[bytes(32)]),
        event(refers="019b7ca9-8c88-739e-9e46-3feb14a152cd", consent=ConsentHead(0, bytes(32))),
        Event(act=Action.SUBJECT_LIST, actor=Actor(ActorKind.STEWARD, "ann", asserted_for="bob"), outcome=Outcome.DONE),
    )

    @pytest.fixture(scope="class")
    @classmethod
    def leaves(cls, tmp_path_factory):
        books = make_books(tmp_path_factory.mktemp("quick"))
        books.database.close()
        return [books.log.prepare(made).leaf for made in cls.EVENTS]

    def test_what_the_writer_writes_takes_the_quick_way(self, leaves):
        for leaf in leaves:
            assert _QUICK.fullmatch(leaf)
            assert _fields_of(leaf) == _exact_fields(leaf) is not None

    @settings(deadline=None, max_examples=400)
    @given(data=st.data())
    def test_whatever_was_done_to_a_leaf_both_ways_agree(self, leaves, data):
        leaf = bytearray(data.draw(st.sampled_from(leaves)))
        for _ in range(data.draw(st.integers(1, 3))):
            at = data.draw(st.integers(0, len(leaf) - 1))
            width = data.draw(st.integers(0, 12))
            piece = data.draw(
                st.one_of(
                    st.binary(max_size=3),
                    st.sampled_from(
                        [b'"', b'","', b"0", b"00", b"-1", b"9" * 17, b",", b'"z":1,', b'"a":1', b"\\", b"\x7f", b" "]
                    ),
                    st.just(bytes(leaf[at : at + width]) * 2),
                )
            )
            leaf[at : at + width] = piece
        assert _fields_of(bytes(leaf)) == _exact_fields(bytes(leaf))

    def test_tallies_out_of_order_are_refused(self, leaves):
        swapped = leaves[1].replace(b'{"asked":3,"permitted":2}', b'{"permitted":2,"asked":3}')
        doubled = leaves[1].replace(b'{"asked":3,"permitted":2}', b'{"asked":3,"asked":2}')
        assert swapped != leaves[1] != doubled
        assert _fields_of(swapped) is None
        assert _fields_of(doubled) is None


@pytest.mark.parametrize("leaf", [b"{}", b"[]", b"x", b'{"v":1}', b"null", b"\xff"])
def test_a_leaf_out_of_form_is_named(books, leaf):
    books.log.record(books.log.prepare(event())._replace(leaf=leaf))
    books.log.checkpoint(SIGNER)
    report = verify(LogSource(books.log, KEY), KEY)
    assert (report.first_bad, codes(report)) == (0, {"entry_malformed"})
