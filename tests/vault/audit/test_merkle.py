"""Merkle tree, proofs and vectors (docs/design/audit-log.md §2)."""

from __future__ import annotations

import hashlib

import pymerkle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.audit.merkle import (
    EMPTY_ROOT,
    CompactRange,
    compact_range,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    perfect_root,
    range_root,
    verify_consistency,
    verify_inclusion,
)
from vault.errors import InputError, IntegrityError

LEAVES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
HASHES = [leaf_hash(leaf) for leaf in LEAVES]
MANY = [leaf_hash(i.to_bytes(4, "big")) for i in range(80)]


def reader(hashes):
    return lambda level, index: perfect_root(hashes[index << level : (index + 1) << level])


def mth(hashes):
    """The definition, as RFC 6962 writes it."""
    if not hashes:
        return hashlib.sha256().digest()
    if len(hashes) == 1:
        return hashes[0]
    k = 1
    while k * 2 < len(hashes):
        k *= 2
    return node_hash(mth(hashes[:k]), mth(hashes[k:]))


def test_hasher_vectors():
    assert EMPTY_ROOT.hex() == ROOTS[0]
    assert leaf_hash(b"").hex() == ROOTS[1]
    assert leaf_hash(b"L123456").hex() == "395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56"
    assert node_hash(b"N123", b"N456").hex() == "aa217fe888e47007fa15edab33c2b492a722cb106c64667fc2b044444de66bbb"


@pytest.mark.parametrize("size", range(9))
def test_roots_of_the_classic_leaves(size):
    assert CompactRange().extend(HASHES[:size]).root().hex() == ROOTS[size]
    assert range_root(0, size, reader(HASHES)).hex() == ROOTS[size]


def test_proof_vectors():
    assert [h.hex() for h in inclusion_proof(5, 8, reader(HASHES))] == [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]
    assert [h.hex() for h in consistency_proof(6, 8, reader(HASHES))] == [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]
    assert [h.hex() for h in consistency_proof(2, 5, reader(HASHES))] == [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ]


def test_roots_agree_with_pymerkle_up_to_300():
    tree, ours = pymerkle.InmemoryTree(algorithm="sha256"), CompactRange()
    for i in range(300):
        data = f"entry {i}".encode()
        tree.append_entry(data)
        ours = ours.extend([leaf_hash(data)])
        assert ours.root() == tree.get_root()


@given(st.integers(0, 80), st.data())
def test_appending_in_any_batches_gives_the_defined_root(size, data):
    cut = data.draw(st.integers(0, size))
    batched = CompactRange().extend(MANY[:cut]).extend(MANY[cut:size])
    assert batched.root() == mth(MANY[:size])
    assert batched == compact_range(size, reader(MANY))
    assert CompactRange.from_bytes(size, batched.to_bytes()) == batched


@given(st.integers(1, 80), st.data())
def test_every_inclusion_proof_verifies(size, data):
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(index, size, reader(MANY))
    verify_inclusion(MANY[index], index, size, proof, mth(MANY[:size]))


@given(st.integers(1, 80), st.data())
def test_every_consistency_proof_verifies(new, data):
    old = data.draw(st.integers(1, new))
    verify_consistency(old, new, consistency_proof(old, new, reader(MANY)), mth(MANY[:old]), mth(MANY[:new]))


def flipped(value, data):
    bit = data.draw(st.integers(0, len(value) * 8 - 1))
    return (int.from_bytes(value, "big") ^ 1 << bit).to_bytes(len(value), "big")


def mutated_proof(proof, data):
    """One change to a list of hashes: bit flip, insertion, removal, garbage at either end, wrong length."""
    proof = list(proof)
    garbage = data.draw(st.binary(min_size=32, max_size=32))
    kinds = ["insert", "before", "after"] + (["flip", "remove", "short", "swap"] if proof else [])
    at = data.draw(st.integers(0, max(len(proof) - 1, 0)))
    match data.draw(st.sampled_from(kinds)):
        case "flip":
            proof[at] = flipped(proof[at], data)
        case "remove":
            proof.pop(at)
        case "short":
            proof[at] = proof[at][:-1]
        case "swap":
            proof[at] = hashlib.sha256(proof[at]).digest()
        case "insert":
            proof.insert(at, garbage)
        case "before":
            proof.insert(0, garbage)
        case "after":
            proof.append(garbage)
    return tuple(proof)


@given(st.integers(1, 80), st.data())
def test_mutated_inclusion_is_refused(size, data):
    index = data.draw(st.integers(0, size - 1))
    proof, root, leaf = inclusion_proof(index, size, reader(MANY)), mth(MANY[:size]), MANY[index]
    match data.draw(st.sampled_from(["index", "leaf", "root", "proof", "beyond"])):
        case "index":
            wrong = data.draw(st.sampled_from([index - 1, index + 1, index ^ 2, index * 2 + 1, -1]))
            mutant = (leaf, wrong, size, proof, root)
        case "leaf":
            mutant = (flipped(leaf, data), index, size, proof, root)
        case "root":
            mutant = (leaf, index, size, proof, data.draw(st.sampled_from([flipped(root, data), EMPTY_ROOT, b"", root[:-1]])))
        case "proof":
            mutant = (leaf, index, size, mutated_proof(proof, data), root)
        case "beyond":
            mutant = (leaf, index, index, proof, root)
    with pytest.raises(IntegrityError) as caught:
        verify_inclusion(*mutant)
    assert caught.value.code == "inclusion_fails"


@given(st.integers(2, 80), st.data())
def test_mutated_consistency_is_refused(new, data):
    old = data.draw(st.integers(1, new - 1))
    proof, first, second = consistency_proof(old, new, reader(MANY)), mth(MANY[:old]), mth(MANY[:new])
    match data.draw(st.sampled_from(["zero", "swapped", "first", "second", "proof", "equal"])):
        case "zero":
            mutant = (0, new, proof, first, second)
        case "swapped":
            mutant = (old, new, proof, second, first)
        case "first":
            mutant = (old, new, proof, flipped(first, data), second)
        case "second":
            mutant = (old, new, proof, first, flipped(second, data))
        case "proof":
            mutant = (old, new, mutated_proof(proof, data), first, second)
        case "equal":
            mutant = (new, new, proof, second, second)
    with pytest.raises(IntegrityError) as caught:
        verify_consistency(*mutant)
    assert caught.value.code == "consistency_fails"


def test_consistency_with_itself_wants_an_empty_proof():
    verify_consistency(7, 7, [], mth(MANY[:7]), mth(MANY[:7]))


@pytest.mark.parametrize(("index", "size"), [(0, 0), (3, 3), (-1, 3)])
def test_no_inclusion_proof_outside_the_tree(index, size):
    with pytest.raises(InputError) as caught:
        inclusion_proof(index, size, reader(MANY))
    assert caught.value.code == "no_such_entry"


@pytest.mark.parametrize(("old", "new"), [(0, 3), (4, 3)])
def test_no_consistency_proof_outside_the_tree(old, new):
    with pytest.raises(InputError) as caught:
        consistency_proof(old, new, reader(MANY))
    assert caught.value.code == "no_such_size"


@pytest.mark.parametrize(("size", "stack"), [(1, b""), (0, bytes(32)), (3, bytes(32)), (1, bytes(31)), (-1, b"")])
def test_a_stack_that_does_not_fit_its_size_is_refused(size, stack):
    with pytest.raises(IntegrityError) as caught:
        CompactRange.from_bytes(size, stack)
    assert caught.value.code == "tree_malformed"
