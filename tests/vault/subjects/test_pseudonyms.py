from __future__ import annotations

import os

import pytest

from vault.errors import InputError
from vault.ids import SubjectId
from vault.subjects import bech32m
from vault.subjects.pseudonyms import pseudonyms

KEY = bytes(range(32))
SUBJECT = SubjectId(bytes(range(16)))


@pytest.mark.parametrize(
    ("prefix", "expected"), [("alpha", "alpha1285dle74sjkwhgudcuuk53jvvl"), ("beta", "beta1gq8j6jph2yelc84z496dzge6cu")]
)
def test_published_vectors(prefix, expected):
    assert pseudonyms(KEY, domain=f"project:{prefix}", prefix=prefix, subjects=[SUBJECT], salts=None) == [expected]


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("A1LQFN3A", True),
        ("a1lqfn3a", True),
        ("abcdef1l7aum6echk45nj3s0wdvt2fg8x9yrzpqzd3ryx", True),
        ("?1v759aa", True),
        ("split1checkupstagehandshakeupstreamerranterredcaperredlc445v", True),
        ("M1VUXWEZ", False),
        ("qyrz8wqd2c9m", False),
        ("a1LQFN3A", False),
    ],
)
def test_checksum_follows_bip_350(text, valid):
    assert bech32m.valid(text) is valid


def test_another_projects_prefix_and_a_typing_error_are_refused_alike():
    good = pseudonyms(KEY, domain="project:alpha", prefix="alpha", subjects=[SUBJECT], salts=None)[0]
    bech32m.check("alpha", good)
    typo = good[:-1] + ("q" if good[-1] != "q" else "p")
    for prefix, text in [("beta", good), ("alpha", typo), ("alpha", good.upper()), ("alpha", ""), ("alpha", "alpha1")]:
        with pytest.raises(InputError) as caught:
            bech32m.check(prefix, text)
        assert caught.value.code == "pseudonym_malformed"


def test_projects_and_salts_separate_pseudonyms():
    subjects = [SubjectId(os.urandom(16)) for _ in range(50)]
    salts = {s: os.urandom(32) for s in subjects}
    made = {
        name: pseudonyms(key, domain=f"project:{name}", prefix=name, subjects=subjects, salts=salts)
        for name, key in {"one": KEY, "two": KEY[::-1]}.items()
    }
    assert len({p.split("1", 1)[1] for names in made.values() for p in names}) == 100
    again = pseudonyms(KEY, domain="project:one", prefix="one", subjects=subjects[::-1], salts=salts)
    assert again[::-1] == made["one"]
    forgotten = {**salts, subjects[0]: os.urandom(32)}
    assert pseudonyms(KEY, domain="project:one", prefix="one", subjects=subjects[:1], salts=forgotten) != made["one"][:1]
