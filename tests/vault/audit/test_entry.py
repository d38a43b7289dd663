"""Leaves: form, limits, commitments, refused values."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.audit_log import ANN, SET_SALT, event, token
from vault.audit.actions import Action, ActorKind, Outcome
from vault.audit.entry import (
    Actor,
    ConsentHead,
    Event,
    ObjectRef,
    Stamp,
    blob_list_digest,
    commitment,
    decode_leaf,
    prepare,
    subject_set,
)
from vault.errors import InputError, IntegrityError

STAMP = Stamp(
    event_id="019b7ca9-8c88-739e-9e46-3feb14a152cd",
    time=datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
    session=bytes(16),
    seq=3,
    nonce=bytes(range(16)),
    detail_salt=bytes(range(16, 32)),
)


def leaf_of(**fields):
    return prepare(event(**fields), STAMP, set_salt=SET_SALT)


def test_a_whole_leaf_byte_for_byte():
    """Frozen: changing these bytes is a new leaf version."""
    prepared = leaf_of(
        act=Action.EXTRACT_OUTCOME,
        obj=ObjectRef("manifest", "ab" * 32),
        project="demo",
        request="req-1",
        purpose="DUO:0000006",
        reasons={"no_consent": 3},
        counts={"subjects": 2, "sites": 10},
        flags=["self_approved"],
        subjects=[token(2), token(1)],
        consent=ConsentHead(5, b"\x01" * 32, added=2),
        blobs=[b"\x02" * 32],
        refers="019b7ca9-8c88-739e-9e46-3feb14a152cc",
        detail={"region": "22:16000000-16100000"},
    )
    assert prepared.leaf.decode() == (
        '{"act":"extract.outcome","actor":{"id":"ann","kind":"steward"},'
        '"blobs":{"list":"' + blob_list_digest([b"\x02" * 32]).hex() + '","n":1},'
        '"boot":{"id":"00000000000000000000000000000000","seq":3},'
        '"consent":{"added":2,"head":"' + "01" * 32 + '","seq":5},"counts":{"sites":10,"subjects":2},'
        '"detail":"' + commitment(bytes(range(16, 32)) + b'{"region":"22:16000000-16100000"}').hex() + '",'
        '"flags":["self_approved"],"id":"019b7ca9-8c88-739e-9e46-3feb14a152cd","n":"AAECAwQFBgcICQoLDA0ODw==",'
        '"obj":{"kind":"manifest","ref":"' + "ab" * 32 + '"},"outcome":"done","project":"demo","purpose":"DUO:0000006",'
        '"reasons":{"no_consent":3},"refers":"019b7ca9-8c88-739e-9e46-3feb14a152cc","req":"req-1",'
        '"subj":{"n":2,"set":"' + subject_set([token(1), token(2)], SET_SALT).digest.hex() + '"},'
        '"t":"2026-01-02T03:04:05.000006Z","v":1}'
    )
    assert decode_leaf(prepared.leaf)["act"] == "extract.outcome"


def test_set_digest_vector():
    """Worked by hand from docs/formats/audit.md."""
    one = "hmac-sha256:1:" + "a" * 64
    two = "hmac-sha256:1:" + "b" * 64
    digest = hashlib.sha256(b"genovault/subject-set/v1\0" + SET_SALT + bytes(7) + b"\x02" + f"{one}\n{two}\n".encode()).digest()
    assert subject_set([two, one, two], SET_SALT).digest == digest
    assert digest.hex() == "343464cbc706267a15e96885d22bb718f7b4e91909a741e44453e233da4d3fa4"


def test_commitment_is_salted_and_prefixed():
    assert leaf_of(detail={"a": 1}).detail == STAMP.detail_salt + b'{"a":1}'
    assert commitment(b"x") == hashlib.sha256(b"\x02x").digest()


def test_subject_tokens_never_reach_the_leaf():
    leaf = leaf_of(subjects=[token(i) for i in range(5000)]).leaf
    assert b"hmac" not in leaf
    assert len(leaf) < 1000


@given(st.permutations([token(i) for i in range(6)]), st.integers(0, 3))
def test_order_and_repetition_of_subjects_do_not_matter(tokens, repeated):
    assert subject_set(tokens + tokens[:repeated], SET_SALT) == subject_set([token(i) for i in range(6)], SET_SALT)


@pytest.mark.parametrize(
    "fields",
    [
        {"obj": ObjectRef("data set", "x")},
        {"obj": ObjectRef("dataset", "with space")},
        {"obj": ObjectRef("dataset", "x\n")},
        {"project": "démo"},
        {"project": ""},
        {"request": "x" * 129},
        {"purpose": "cure\x00"},
        {"reasons": {"no consent": 1}},
        {"reasons": {"code": -1}},
        {"reasons": {"code": True}},
        {"reasons": {f"c{i}": 1 for i in range(257)}},
        {"counts": {"subjects": 1.5}},
        {"flags": ["a b"]},
        {"subjects": ["MRN-12345"]},
        {"subjects": ["hmac-sha256:1:" + "A" * 64]},
        {"consent": ConsentHead(1, b"short")},
        {"consent": ConsentHead(1, bytes(32), added=2)},
        {"blobs": [b"short"]},
        {"refers": "not-an-id"},
    ],
)
def test_fields_out_of_form_are_refused_without_quoting_them(fields):
    with pytest.raises(InputError) as caught:
        leaf_of(**fields)
    assert caught.value.code == "audit_event_invalid"
    assert "MRN" not in str(caught.value)


@pytest.mark.parametrize("handle", ["", "ann smith", "-ann", "a" * 65, "ann\n"])
def test_bad_handles(handle):
    with pytest.raises(InputError):
        prepare(
            Event(act=Action.VAULT_OPEN, actor=Actor(ActorKind.STEWARD, handle), outcome=Outcome.DONE), STAMP, set_salt=SET_SALT
        )


def test_floats_do_not_enter_details():
    with pytest.raises(InputError) as caught:
        leaf_of(detail={"bits": 1.5})
    assert caught.value.code == "not_canonical_json"


def test_the_widest_tallies_still_fit():
    big = {f"{'c' * 60}{i:03}": 2**53 - 1 for i in range(256)}
    assert len(leaf_of(reasons=big, counts=big).leaf) <= 65_535


def test_an_oversized_leaf_is_refused():
    with pytest.raises(InputError) as caught:
        leaf_of(flags=[f"{'f' * 60}{i:04}" for i in range(1000)])
    assert caught.value.code == "audit_event_too_large"


@pytest.mark.parametrize("change", [{"v": 2}, {"v": None}])
def test_unknown_versions_are_refused(change):
    leaf = json.dumps(change | {"a": 1}, separators=(",", ":"), sort_keys=True).encode()
    with pytest.raises(IntegrityError) as caught:
        decode_leaf(leaf)
    assert caught.value.code == "leaf_version_unknown"


def test_asserted_actor_is_shown():
    actor = Actor(ActorKind.STEWARD, ANN.handle, asserted_for="rita")
    leaf = prepare(Event(act=Action.REQUEST_SUBMIT, actor=actor, outcome=Outcome.DONE), STAMP, set_salt=SET_SALT).leaf
    assert decode_leaf(leaf)["actor"] == {"kind": "steward", "id": "ann", "for": "rita"}
