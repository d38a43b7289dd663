from __future__ import annotations

import base64
import hashlib
import json
import subprocess
from datetime import UTC, datetime, timedelta, timezone

import pytest

from tests.support.outside import tool
from tests.support.releases import file_entry
from vault.audit import canonical
from vault.crypto.primitives import SigningKey
from vault.crypto.secret import Secret
from vault.errors import IntegrityError, UsageError
from vault.extracts.manifest import (
    CONTEXT,
    FORMER,
    NO_REIDENTIFICATION,
    NO_RELINKING,
    Content,
    FileEntry,
    Obligation,
    SealedFor,
    Sealing,
    make_manifest,
    sign_manifest,
    signer_of,
    verify_files,
    verify_manifest,
)
from vault.extracts.readme import readme_text

SEALING = Sealing(writer="ab" * 32, recipients=(SealedFor(name="lab", fingerprint="cd" * 32),))
SEALED = FileEntry(
    name="genotypes.vcf.gz.c4gh",
    format="vcf/4.3+bgzf+crypt4gh/1",
    bytes=157,
    sha256="1" * 64,
    plain=Content(bytes=5, sha256="0" * 64),
)
KEY = SigningKey(Secret(bytes(range(32))))
OTHER = SigningKey(Secret(bytes(32)))
FIELDS = {
    "release": "rel-7",
    "log": "vault.example/log",
    "project": "demo",
    "request": "req-3",
    "purpose": "Heart study, Zürich",
    "recipients": ("ann",),
    "dataset": "cohort",
    "assembly": "GRCh38",
    "kind": "region",
    "loci": {"regions": ("22:1-500",)},
    "counts": {"subjects": 12, "sites": 300},
    "obligations": (NO_REIDENTIFICATION, NO_RELINKING),
    "policies": ("rules/1",),
    "created": datetime(2026, 11, 22, 12, 0, tzinfo=UTC),
    "expires": datetime(2027, 11, 22, tzinfo=UTC),
    "files": (FileEntry(name="genotypes.vcf.gz", format="vcf/4.3+bgzf", bytes=5, sha256="0" * 64),),
}


def manifest(**changes):
    return make_manifest(**{**FIELDS, **changes})


def code(action):
    with pytest.raises((IntegrityError, UsageError)) as caught:
        action()
    return caught.value.code


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"expires": None},
        {
            "kind": "panel",
            "loci": {"panel": "pgx", "panel_version": "1"},
            "counts": {"subjects": 1, "sites": 0, "not_assayed": 4},
        },
        {"created": datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)},
        {"format": FORMER},
        {"loci": {"regions": ("22:1-500",), "genes": ("TP53",)}, "losses": {"half_calls": 3, "phase": 0}, "profile": "7" * 64},
        {"files": (SEALED,), "crypt4gh": SEALING},
        {"view": {"profile": "standard@1", "sha256": "7" * 64, "min_carriers": 5}, "replaces": "rel-6"},
    ],
)
def test_what_is_signed_is_read_back(changes):
    made = manifest(**changes)
    data = sign_manifest(made, KEY)
    assert verify_manifest(data, KEY.public) == made
    assert signer_of(data).public == KEY.public
    assert signer_of(data).name == "vault.example/log/release"
    assert data == canonical.encode(json.loads(data)) + b"\n"


@pytest.mark.parametrize(
    ("changes", "signature", "digest"),
    [
        (
            {"format": FORMER},
            "MPzKQfh0t/tZg9RE5lE4Sil77gr4dxQ0/lwB5ngurLGA4G8iF8CeSaqMP7IXcNT3t2NMDWIgInPcuidmkZx9BA==",
            "b57cd45be7b16b5de8b0e033b655be42729b2b4c2cb13d3e2ca013ffcfc24044",
        ),
        (
            {"files": (SEALED,), "crypt4gh": SEALING, "losses": {"half_calls": 3}, "profile": "7" * 64},
            "owNxWGhx2NSw/4ARpNFM2dcdBcVCJI81DKtwBHa5O1i4t3uX54pzFa5/pMgM6uwAAllkwXyOfIMqdyTucdbGAA==",
            "eab7d0be12aa2db6e83db749be9dfb04fb996d822c3a7f172241fc96ba9025fd",
        ),
    ],
)
def test_vectors(changes, signature, digest):
    """Frozen, and in docs/formats/extract.md: a change here is a new format version."""
    data = sign_manifest(manifest(**changes), KEY)
    envelope = json.loads(data)
    assert envelope["signature"] == {
        "ed25519": signature,
        "key": "vault.example/log/release+f07c77ed+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4",
    }
    assert hashlib.sha256(data).hexdigest() == digest


def test_another_key_is_named_as_such():
    data = sign_manifest(manifest(), OTHER)
    assert code(lambda: verify_manifest(data, KEY.public)) == "manifest_key"


def test_every_changed_byte_is_noticed():
    data = sign_manifest(manifest(), KEY)
    for at in range(len(data)):
        broken = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        assert code(lambda broken=broken: verify_manifest(broken, KEY.public)) in {
            "manifest_malformed",
            "manifest_key",
            "manifest_signature",
        }


def test_cut_short_or_spelled_otherwise_is_malformed():
    data = sign_manifest(manifest(), KEY)
    for broken in (
        b"",
        data[:-1],
        data[:100],
        data + b"\n",
        b" " + data,
        json.dumps(json.loads(data), indent=1).encode() + b"\n",
    ):
        assert code(lambda broken=broken: verify_manifest(broken, KEY.public)) == "manifest_malformed"


@pytest.mark.parametrize("field", ["ed25519", "key"])
@pytest.mark.parametrize("value", ["\u00e9", "====", 1, None, [], {}])
def test_a_signature_of_another_form_is_malformed(field, value):
    envelope = json.loads(sign_manifest(manifest(), KEY))
    envelope["signature"][field] = value
    broken = json.dumps(envelope, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
    assert code(lambda: signer_of(broken)) == "manifest_malformed"


def resigned(change):
    inner = json.loads(sign_manifest(manifest(), KEY))["manifest"]
    change(inner)
    signature = base64.b64encode(KEY.sign(CONTEXT + canonical.encode(inner))).decode()
    key = signer_of(sign_manifest(manifest(), KEY)).to_text()
    return canonical.encode({"manifest": inner, "signature": {"ed25519": signature, "key": key}}) + b"\n"


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.update(extra=1),
        lambda m: m.pop("obligations"),
        lambda m: m.update(obligations=[]),
        lambda m: m.update(created="2026-11-22T12:00:00+00:00"),
        lambda m: m.update(created="2026-11-22"),
        lambda m: m.update(format="genovault/manifest/3"),
        lambda m: m.update(format="genovault/manifest/1"),
        lambda m: m.pop("losses"),
        lambda m: m["loci"].pop("genes"),
        lambda m: m["files"][0].pop("plain"),
        lambda m: m["files"][0].update(plain={"bytes": 1, "sha256": "0" * 64}),
        lambda m: m.update(crypt4gh={"writer": "ab" * 32, "recipients": []}),
        lambda m: m.update(kind="panel"),
        lambda m: m.update(log="other.example/log"),
        lambda m: m["counts"].update(subjects="12"),
        lambda m: m["counts"].update(subjects=0),
        lambda m: m["files"][0].update(name="../x"),
        lambda m: m["files"][0].update(name="manifest.json"),
        lambda m: m["files"].append(m["files"][0]),
    ],
)
def test_a_signature_does_not_excuse_a_document_of_another_shape(change):
    assert code(lambda: verify_manifest(resigned(change), KEY.public)) == "manifest_malformed"


@pytest.mark.parametrize(
    "changes",
    [
        {"obligations": (NO_RELINKING,)},
        {"obligations": (NO_REIDENTIFICATION, Obligation(code="NRX", text="x"))},
        {"purpose": "two\nlines"},
        {"created": datetime(2026, 1, 1)},  # noqa: DTZ001  # a time without a zone is the point
        {"counts": {"subjects": 0, "sites": 1}},
        {"loci": {}},
        {"files": (SEALED,)},
        {"losses": {"half_calls": -1}},
        {"loci": {"regions": ("22",), "panel": "pgx", "panel_version": "1"}},
        {"unknown": 1},
    ],
)
def test_fields_that_make_no_manifest_are_refused(changes):
    assert code(lambda: manifest(**changes)) == "manifest_fields"


def test_refusal_names_fields_and_not_values():
    with pytest.raises(UsageError) as caught:
        manifest(purpose="canary\x07")
    assert "purpose" in str(caught.value)
    assert "canary" not in str(caught.value)


def test_times_of_other_zones_are_written_in_utc():
    moved = manifest(created=datetime(2026, 11, 22, 13, 0, tzinfo=timezone(timedelta(hours=1))))
    assert sign_manifest(moved, KEY) == sign_manifest(manifest(), KEY)


def test_files_are_checked_by_size_and_digest(tmp_path):
    path = tmp_path / "genotypes.vcf.gz"
    path.write_bytes(b"abcde")
    made = manifest(files=(file_entry(path, file_format="vcf/4.3+bgzf"),))
    verify_files(made, tmp_path)
    (tmp_path / "notes.txt").write_text("the reader's own")
    verify_files(made, tmp_path)
    path.write_bytes(b"abcdX")
    assert code(lambda: verify_files(made, tmp_path)) == "file_digest"
    path.write_bytes(b"abcd")
    assert code(lambda: verify_files(made, tmp_path)) == "file_size"
    path.rename(tmp_path / "elsewhere")
    assert code(lambda: verify_files(made, tmp_path)) == "file_missing"
    path.symlink_to(tmp_path / "elsewhere")
    assert code(lambda: verify_files(made, tmp_path)) == "file_missing"


def test_readme_says_what_is_owed_and_does_not_depend_on_the_files():
    text = readme_text(manifest())
    assert NO_REIDENTIFICATION.text in text
    assert "pseudonymised personal data" in text
    assert "12 people, 300 sites" in text
    assert readme_text(manifest(files=())) == text


def test_the_outside_check_of_the_readme_works(tmp_path):
    """The commands of README.txt as they stand, with jq, sha256sum and openssl."""
    for program in ("jq", "openssl", "sha256sum", "xxd"):
        tool(program)
    (tmp_path / "README.txt").write_text(readme_text(manifest(files=())))
    data = sign_manifest(manifest(files=(file_entry(tmp_path / "README.txt", file_format="text"),)), KEY)
    (tmp_path / "manifest.json").write_bytes(data)
    lines = [line.strip() for line in (tmp_path / "README.txt").read_text().splitlines() if line.startswith("    ")]
    script = "set -e\n" + "\n".join(lines[1:]).replace("KEY='...'", f"KEY='{signer_of(data).to_text()}'")
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "README.txt: OK" in done.stdout
    assert "Verified Successfully" in done.stdout + done.stderr
