"""The proof corpus of transparency-dev/merkle: what must verify verifies, what must not does not."""

from __future__ import annotations

import base64
import json

import pytest

from tests.support.outside import shared
from vault.audit.merkle import verify_consistency, verify_inclusion
from vault.errors import IntegrityError

CORPUS = "data/5-conformance/merkle_transparency_dev/testdata"


def cases(kind):
    found = [json.loads(path.read_text()) for path in sorted(shared(f"{CORPUS}/{kind}").rglob("*.json"))]
    assert len(found) >= 60
    return found


def raw(value):
    return base64.b64decode(value or "")


def verdict(call, case):
    proof = [raw(item) for item in case["proof"] or []]
    try:
        call(case, proof)
    except IntegrityError:
        return False
    return True


@pytest.mark.parametrize(
    ("kind", "call"),
    [
        (
            "inclusion",
            lambda c, proof: verify_inclusion(raw(c["leafHash"]), c["leafIdx"], c["treeSize"], proof, raw(c["root"])),
        ),
        (
            "consistency",
            lambda c, proof: verify_consistency(c["size1"], c["size2"], proof, raw(c["root1"]), raw(c["root2"])),
        ),
    ],
)
def test_corpus(kind, call):
    wrong = [case["desc"] for case in cases(kind) if verdict(call, case) == case["wantErr"]]
    assert wrong == []
