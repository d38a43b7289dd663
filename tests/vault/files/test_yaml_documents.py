"""YAML at the edge is read strictly and in bounds."""

from __future__ import annotations

import pytest

from policies.errors import InputProblem, PolicyInputError
from vault.errors import InputError
from vault.files.yaml_documents import declared, parse_yaml, read_yaml
from vault.limits import MAX_YAML_BYTES

MALFORMED = {
    "an alias": b"a: &x [1]\nb: *x\n",
    "a bomb of aliases": b"a: &a [x]\nb: &b [*a,*a]\nc: &c [*b,*b]\n",
    "a key twice": b"a: 1\na: 2\n",
    "a key twice below": b"a: {b: 1, b: 2}\n",
    "a key that is no text": b"1: x\n",
    "a list": b"- a\n",
    "a word": b"a\n",
    "nothing": b"",
    "a Python object": b"a: !!python/object/apply:os.system ['true']\n",
    "a merge of an alias": b"a: &x {b: 1}\nc: {<<: *x}\n",
    "not UTF-8": b"a: \xff\n",
    "an open bracket": b"a: [1\n",
    "a tab": b"a:\n\t- b\n",
    "depth": b"a: " + b"[" * 5000 + b"]" * 5000,
    "two documents": b"a: 1\n---\nb: 2\n",
    "a day that is none": b"a: 2026-02-30\n",
    "a number of many digits": b"a: " + b"9" * 200_000,
    "a number in base 60": b"a: 1" + b":59" * 100_000,
    "a number by its word alone": b"a: !!int x\n",
    "a flag by its word alone": b"a: !!bool x\n",
    "a time by its word alone": b"a: [!!timestamp x]\n",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_not_plain_named_fields_is_refused(name):
    with pytest.raises(InputError) as caught:
        parse_yaml(MALFORMED[name], name="p.yaml")
    assert caught.value.code == "document_malformed"
    assert caught.value.message.startswith("p.yaml")


def test_the_line_is_named():
    with pytest.raises(InputError, match="line 3"):
        parse_yaml(b"a: 1\nb: 2\na: 3\n", name="p.yaml")


@pytest.mark.parametrize("size", [MAX_YAML_BYTES, MAX_YAML_BYTES + 1])
def test_size_is_bounded(size):
    raw = b"a: 1\n#".ljust(size, b"x")
    if size <= MAX_YAML_BYTES:
        assert parse_yaml(raw, name="p") == {"a": 1}
        return
    with pytest.raises(InputError) as caught:
        parse_yaml(raw, name="p")
    assert caught.value.code == "document_too_large"


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError) as caught:
        read_yaml(tmp_path / "p.yaml")
    assert caught.value.code == "file_missing"
    (tmp_path / "p.yaml").write_text("a: b\n")
    assert read_yaml(tmp_path / "p.yaml") == {"a": "b"}


def test_policy_errors_become_ours_with_their_places():
    problems = tuple(InputProblem(f"a[{n}]", "code", f"bad {n}") for n in range(13))

    def parse():
        raise PolicyInputError("x", "bad", "a", problems=problems)

    with pytest.raises(InputError) as caught:
        declared(parse, name="the form")
    assert caught.value.code == "document_rejected"
    assert "a[9]: bad 9" in caught.value.message
    assert "a[10]" not in caught.value.message
    assert "and 3 more" in caught.value.message
    assert declared(lambda: 7, name="x") == 7
