"""The published page says what the code does."""

import json
from pathlib import Path

from tests.vault.crypto.vectors import generate
from vault.crypto.envelope import LABEL
from vault.crypto.key_wrapping import PURPOSE_BRANCH
from vault.crypto.keyring import ROLE_BRANCHES, Branch
from vault.crypto.slots import LABEL as WRAP_LABEL

PAGE = (Path(__file__).parents[3] / "docs" / "formats" / "keys.md").read_text(encoding="utf-8")


def test_the_page_gives_the_first_vectors():
    for item in json.loads((generate.HERE / "blob_make.json").read_text()):
        for name in ("message_key", "base_nonce", "commitment"):
            assert item[name] in PAGE
        if item["plaintext_bytes"] in (0, 5):
            assert item["blob"] in PAGE
        elif item["plaintext_bytes"] > 100:
            assert item["blob_sha256"] in PAGE


def test_the_page_names_every_label_branch_role_and_purpose():
    for label in (LABEL, WRAP_LABEL):
        assert f"`{label[:-1].decode()}`" in PAGE or f'"{label[:-1].decode()}"' in PAGE
    for purpose, branch in PURPOSE_BRANCH.items():
        assert f"| `{purpose}` | `{branch}` |" in PAGE
    for role, branches in ROLE_BRANCHES.items():
        listed = "all" if branches == set(Branch) else ", ".join(f"`{branch}`" for branch in Branch if branch in branches)
        assert f"| {role} | {listed or 'none: no slot'} |" in PAGE
