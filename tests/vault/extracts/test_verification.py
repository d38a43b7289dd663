"""A recipient's check of a release's folder: which manifests it refuses although the log holds their digest."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.support import vaults
from tests.support.releases import pinned
from vault import gate
from vault.audit import canonical
from vault.audit.actions import Action, ActorKind, Outcome
from vault.audit.entry import Actor, Event, ObjectRef
from vault.crypto.keystore import Branch
from vault.crypto.primitives import SigningKey, sha256
from vault.crypto.secret import Secret
from vault.errors import IntegrityError
from vault.extracts.manifest import MANIFEST_NAME, Manifest, sign_manifest
from vault.extracts.release_folder import RECEIPT_NAME
from vault.extracts.verification import key_fingerprint, verify_release

FOREIGN = SigningKey(Secret(bytes(range(32))))


@pytest.fixture
def released(folder, tmp_path):
    """An unlocked vault, a release's folder, and its manifest."""
    with vaults.opened(folder) as s:
        gate.extract(s, vaults.ask(s), tmp_path / "out")
        document = json.loads((tmp_path / "out" / MANIFEST_NAME).read_text())["manifest"]
        yield s, tmp_path / "out", Manifest.model_validate_json(canonical.encode(document))


def forged(released, folder, *, signer=None, **changes):
    """A folder whose manifest has another count, with a receipt for an entry of the log that names its digest."""
    s, out, manifest = released
    shutil.copytree(out, folder)
    counts = manifest.counts.model_copy(update={"subjects": 1})
    data = sign_manifest(manifest.model_copy(update={"counts": counts}), signer or s.release_signer())
    (folder / MANIFEST_NAME).write_bytes(data)
    fields = {
        "act": Action.EXTRACT_OUTCOME,
        "outcome": Outcome.DONE,
        "actor": Actor(ActorKind("steward"), "ann"),
        "obj": ObjectRef("release", manifest.release),
        "project": manifest.project,
        "request": manifest.request,
        "blobs": [sha256(data)],
    }
    entry = s.trail.log.record(Event(**fields | changes))
    s.trail.checkpoint()
    (folder / RECEIPT_NAME).write_text(s.trail.log.receipt(entry.index))
    return folder


def refusal(folder, keys):
    with pytest.raises(IntegrityError) as caught:
        verify_release(folder, **keys)
    return caught.value.code


def test_a_release_is_what_the_vault_made(released):
    s, out, manifest = released
    found = verify_release(out, **pinned(s))
    assert found.manifest == manifest
    assert key_fingerprint(s.public.release_sign) in pinned(s)["release_keys"]


def test_the_forger_s_own_tools_work_where_every_field_is_right(released, tmp_path):
    assert verify_release(forged(released, tmp_path / "f"), **pinned(released[0])).manifest.counts.subjects == 1


def test_a_manifest_of_another_key_is_refused_whatever_the_log_says(released, tmp_path):
    folder = forged(released, tmp_path / "f", signer=FOREIGN)
    assert refusal(folder, pinned(released[0])) == "manifest_key"
    assert refusal(released[1], pinned(released[0]) | {"release_keys": []}) == "manifest_key"
    assert refusal(released[1], pinned(released[0]) | {"release_keys": [key_fingerprint(FOREIGN.public)]}) == "manifest_key"


def test_the_log_s_own_key_signs_no_release(released, tmp_path):
    s = released[0]
    folder = forged(released, tmp_path / "f", signer=SigningKey(s.keyring.current(Branch.LOG_SIGN)[1]))
    assert refusal(folder, pinned(s)) == "manifest_key"


@pytest.mark.parametrize(
    "changes",
    [
        {"act": Action.SUBJECT_LIST, "outcome": Outcome.FAILED},
        {"act": Action.EXTRACT_INTENT},
        {"act": Action.VIEW_OUTCOME},
        {"act": Action.SUBJECT_LIST},
        *({"outcome": outcome} for outcome in (Outcome.FAILED, Outcome.REFUSED, Outcome.ABORTED)),
        {"obj": ObjectRef("release", "another")},
        {"obj": ObjectRef("dataset", "x")},
        {"obj": None},
        {"project": "other"},
        {"project": None},
        {"request": "other"},
        {"blobs": [bytes(32)]},
    ],
    ids=str,
)
def test_an_entry_about_something_else_vouches_for_nothing(released, tmp_path, changes):
    assert refusal(forged(released, tmp_path / "f", **changes), pinned(released[0])) == "manifest_not_logged"


def test_a_digest_among_others_vouches_for_nothing(released, tmp_path):
    digests = [sha256(b"x"), sha256(b"y")]
    assert refusal(forged(released, tmp_path / "f", blobs=digests), pinned(released[0])) == "manifest_not_logged"
