"""Signed notes, checkpoints, cosignatures (docs/design/audit-log.md §3, §4, §6)."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.audit.merkle import CompactRange, leaf_hash
from vault.audit.note import (
    COSIGNATURE,
    ED25519,
    Checkpoint,
    Note,
    NoteSignature,
    VerifierKey,
    cosign,
    open_checkpoint,
    sign_note,
    verify_note,
)
from vault.crypto.primitives import SigningKey
from vault.crypto.secret import Secret
from vault.errors import IntegrityError

FOO_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
FOO_NOTE = (
    "This is an example message.\n\n"
    "— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
TESSERA_ORIGIN = "example.com/log/testdata"
TESSERA_KEY = "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"
TESSERA_SEED = "example.com/log/testdata+33d7b496+AeymY/SZAX0jZcJ8enZ5FY1Dz+wTML2yWSkK+9DSF3eg"
TESSERA_WORDS = (
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eit",
    "nain",
    "ten",
    "ileven",
    "twelf",
    "threeten",
    "fourten",
    "fivten",
)
TESSERA_15 = (
    "example.com/log/testdata\n15\nrKbDipCvhuX1GZ7g5BBe8sA6BbJ7ja/1nk427v383cs=\n\n"
    "— example.com/log/testdata M9e0luh4jTG+UMBqOUo9/q+yAEvx1ilBEniMvjf1zfcBOhg+CKubMt53MvIt/uEWP6zdkdIQzd/fmwlM/dlPWF74ewI=\n"
)
SUM_KEY = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
SUM_NOTE = (
    "go.sum database tree\n35225469\nvt5T6GaLCXvyHFl9VUvvItR43XZxfLgftEcTyO3eJCQ=\n\n"
    "— sum.golang.org Az3grpukl5AXaVfYkLiDGORx/DN2nlcS5kZHR5uYOBV2KA2HgXpD+gu9HHONebHLAyaKbbTM75QTtPydhKCExixSfwQ=\n"
)
WITNESS_SEED = "f780a745c88f4f423e70882240aaf033bf9807ae9f5b2dfee90c7978bae121ad"
WITNESS_KEY = "witness.example.org/w1+ab33da5d+BL6QnwYNUFgbzPEc4npUX2n46QQcSJIjde3GlJjN3Sru"
WITNESS_LINE = (
    "— witness.example.org/w1 "
    "qzPaXQAAAABlU/EAHV42qxEdcQgylAsQQZ+BH/S3aStmvrOhVego3KA6kYeDTn95GNKCxby14TAvjMvdw/RGPIYRJ2eAikTLbIAoBg==\n"
)


def code_of(call, *arguments):
    with pytest.raises(IntegrityError) as caught:
        call(*arguments)
    return caught.value.code


def test_the_specification_example_verifies_and_round_trips():
    key, note = VerifierKey.from_text(FOO_KEY), Note.from_text(FOO_NOTE)
    assert key.to_text() == FOO_KEY
    assert note.to_text() == FOO_NOTE
    assert verify_note(note, [key])[0].key == key


def test_the_tessera_log_is_reproduced_byte_for_byte():
    root = CompactRange().extend(leaf_hash(word.encode()) for word in TESSERA_WORDS).root()
    checkpoint = open_checkpoint(TESSERA_15, TESSERA_ORIGIN, [VerifierKey.from_text(TESSERA_KEY)])
    assert checkpoint == Checkpoint(TESSERA_ORIGIN, 15, root)
    signer = SigningKey(Secret(base64.b64decode(TESSERA_SEED.split("+", 2)[2])[1:]))
    assert sign_note(checkpoint.to_text(), TESSERA_ORIGIN, signer) == TESSERA_15


def test_a_key_name_may_differ_from_the_origin():
    checkpoint = open_checkpoint(SUM_NOTE, "go.sum database tree", [VerifierKey.from_text(SUM_KEY)])
    assert checkpoint.size == 35_225_469


def test_the_cosignature_vector():
    signer = SigningKey(Secret(bytes.fromhex(WITNESS_SEED)))
    witness = VerifierKey("witness.example.org/w1", COSIGNATURE, signer.public)
    assert witness.to_text() == WITNESS_KEY
    assert cosign(TESSERA_15, witness.name, signer, time=1_700_000_000) == WITNESS_LINE
    both = verify_note(Note.from_text(TESSERA_15 + WITNESS_LINE), [VerifierKey.from_text(TESSERA_KEY), witness])
    assert [v.time for v in both] == [None, 1_700_000_000]


def test_a_witness_alone_does_not_make_a_checkpoint():
    note = TESSERA_15 + WITNESS_LINE
    assert code_of(open_checkpoint, note, TESSERA_ORIGIN, [VerifierKey.from_text(WITNESS_KEY)]) == "note_signature_missing"


def test_a_cosigner_key_does_not_verify_a_plain_signature():
    signer = SigningKey(Secret(bytes(32)))
    key = VerifierKey("w", COSIGNATURE, signer.public)
    plain = Note("text\n", (NoteSignature("w", key.key_id, signer.sign(b"text\n")),))
    assert code_of(verify_note, plain, [key]) == "note_signature_bad"


def test_unknown_signatures_are_ignored_and_known_bad_ones_condemn():
    stranger = SigningKey(Secret(b"\x01" * 32))
    tessera = VerifierKey.from_text(TESSERA_KEY)
    extra = sign_note(Note.from_text(TESSERA_15).text, "stranger", stranger).rpartition("\n\n")[2]
    verify_note(Note.from_text(TESSERA_15 + extra), [tessera])
    other = sign_note("other\n", "stranger", stranger).rpartition("\n\n")[2]
    keys = [tessera, VerifierKey("stranger", ED25519, stranger.public)]
    assert code_of(verify_note, Note.from_text(TESSERA_15 + other), keys) == "note_signature_bad"
    assert code_of(verify_note, Note.from_text(TESSERA_15), []) == "note_signature_missing"


def test_the_text_may_hold_blank_lines_and_the_last_one_separates():
    signer = SigningKey(Secret(bytes(32)))
    note = sign_note("a\n\nb\n", "n", signer)
    assert Note.from_text(note).text == "a\n\nb\n"
    verify_note(Note.from_text(note), [VerifierKey("n", ED25519, signer.public)])


@pytest.mark.parametrize("size", ["+15", " 15", "1_5", "015", "0xf", "", "-1", "15 ", "9223372036854775808", "\uff11\uff15"])
def test_sizes_have_one_spelling(size):
    text = f"origin\n{size}\nrKbDipCvhuX1GZ7g5BBe8sA6BbJ7ja/1nk427v383cs=\n"
    assert code_of(Checkpoint.from_text, text) == "checkpoint_malformed"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "origin\n15\n",
        "\n15\nrKbDipCvhuX1GZ7g5BBe8sA6BbJ7ja/1nk427v383cs=\n",
        "origin\n15\nrKbDipCvhuX1GZ7g5BBe8sA6BbJ7ja/1nk427v383cs\n",
        "origin\n15\nrKbDipCvhuX1GZ7g5BBe8sA6BbJ7ja/1nk427v383ct=\n",
        "origin\n15\nrKbDipCvhuX1GZ7g5BBe8sA6BbJ7ja/1nk427v38\n",
        "origin\n15\nrKbDipCvhuX1GZ7g5BBe8sA6BbJ7ja/1nk427v383cs=\nextension\n",
        "origin\n15\nrKbDipCvhuX1GZ7g5BBe8sA6BbJ7ja/1nk427v383cs=",
    ],
)
def test_malformed_checkpoints(text):
    assert code_of(Checkpoint.from_text, text) == "checkpoint_malformed"


@pytest.mark.parametrize(
    "note",
    [
        "",
        "text\n",
        "text\n\n",
        "text\n— foo Uw2QOkn8srU=\n",
        "text\n\n— foo Uw2QOkn8srU=",
        "text\n\n- foo Uw2QOkn8srU=\n",
        "text\n\n—  foo Uw2QOkn8srU=\n",
        "text\n\n— foo  Uw2QOkn8srU=\n",
        "text\n\n— foo Uw2QOkn8srU\n",
        "text\n\n— foo Uw2QOkn8srV=\n",
        "text\n\n— f+o Uw2QOkn8srU=\n",
        "text\n\n— f\u00a0o Uw2QOkn8srU=\n",
        "text\n\n— foo AAAAAA==\n",
        "te\txt\n\n— foo Uw2QOkn8srU=\n",
        "te\rxt\n\n— foo Uw2QOkn8srU=\n",
        "te\ud800xt\n\n— foo Uw2QOkn8srU=\n",
        "text\n\n" + "— foo Uw2QOkn8srU=\n" * 65,
        "x" * (1 << 20) + "\n\n— foo Uw2QOkn8srU=\n",
    ],
)
def test_malformed_notes(note):
    assert code_of(Note.from_text, note) == "note_malformed"


def test_sixteen_signatures_are_accepted():
    assert len(Note.from_text("text\n\n" + "— foo Uw2QOkn8srU=\n" * 16).signatures) == 16


@pytest.mark.parametrize(
    "text",
    [
        "",
        "foo",
        "foo+530d903a",
        FOO_KEY.replace("530d903a", "530d903b"),
        FOO_KEY.replace("530d903a", "530D903A"),
        FOO_KEY[:-4],
        "+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "foo+530d903a+",
        "foo+530d903a+AukyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
    ],
)
def test_malformed_keys(text):
    assert code_of(VerifierKey.from_text, text) == "vkey_malformed"


def test_another_origin_is_refused():
    assert code_of(open_checkpoint, TESSERA_15, "example.com/other", [VerifierKey.from_text(TESSERA_KEY)]) == "checkpoint_origin"


@given(st.text(max_size=60))
def test_parsing_a_note_raises_only_ours_and_is_a_fixed_point(text):
    try:
        note = Note.from_text(text + "\n\n— foo Uw2QOkn8srU=\n")
    except IntegrityError:
        return
    assert Note.from_text(note.to_text()) == note
    assert note.to_text() == text + "\n\n— foo Uw2QOkn8srU=\n"


@given(st.integers(0, 400), st.integers(0, 7))
def test_every_flipped_bit_of_a_signed_checkpoint_is_refused(position, bit):
    raw = bytearray(TESSERA_15.encode())
    raw[position % len(raw)] ^= 1 << bit
    try:
        open_checkpoint(bytes(raw).decode(), TESSERA_ORIGIN, [VerifierKey.from_text(TESSERA_KEY)])
    except (IntegrityError, UnicodeDecodeError):
        return
    pytest.fail("a changed checkpoint was accepted")
