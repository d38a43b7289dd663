"""Extracts to declared recipients: sealed for them and nobody else, checked offline, and stopped where a key is not theirs any more."""

from __future__ import annotations

import errno
import gzip
import json
import os
import shutil
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from policies import canonical, declarations
from policies.declarations import project_template
from tests.support.held import Held
from tests.support.parcels import key_files, pair, second_reading, secret_of
from tests.support.releases import pinned
from tests.support.vcf_text import vcf
from vault import gate
from vault.access import projects, recipients, releases
from vault.access.release_holders import releases_with
from vault.crypto.crypt4gh_keys import fingerprint, public_key_armour
from vault.errors import InputError, IntegrityError, RefusedError, UnavailableError
from vault.extracts import release_folder
from vault.extracts.genotype_files import FileChoice
from vault.extracts.verification import private_key, verify_release
from vault.files import durable
from vault.subjects.references import resolve

CALLS = " ".join("0|1" if n % 3 else "1|1" for n in range(40))
PEOPLE = " ".join(f"S{n:02}" for n in range(40))


@pytest.fixture(scope="module")
def cohort(tmp_path_factory) -> Path:
    """A vault with a cohort, confirmed recipients ``lab`` and ``clinic``, and approved projects: ``sealed`` to both, ``plain`` to both, ``open``."""
    held = Held.make(tmp_path_factory.mktemp("cohort"))
    held.load(held.write("c.vcf", vcf(PEOPLE, *(f"22 {100 + n} A G {CALLS}" for n in range(60))).data))
    held.everyone_consents()
    for number, name in ((1, "lab"), (2, "clinic")):
        recipients.add(held.vault, name, public_key_armour(pair(number).public).encode())
        recipients.confirm(held.vault, name, fingerprint(pair(number).public))
    both = [{"name": "lab"}, {"name": "clinic"}]
    declare(held, "sealed", recipients=both)
    declare(held, "plain", recipients=both, delivery="plain")
    declare(held, "open")
    held.vault.close()
    return held.folder


@pytest.fixture
def held(cohort, tmp_path):
    shutil.copytree(cohort / "v", tmp_path / "v")
    made = Held.of(tmp_path)
    yield made
    made.vault.close()


def declare(held, code, **fields):
    projects.create(held.vault, yaml.safe_load(project_template(code, "cohort")) | fields)
    projects.change(held.vault, code, "approve")


def extract(held, code="sealed", out="out", **options):
    return gate.extract(held.vault, held.request(code), held.folder / out, **options)


def refused(held, code="sealed", **options):
    with pytest.raises(RefusedError) as caught:
        extract(held, code, **options)
    assert not (held.folder / "out").exists()
    assert [path for path in held.folder.iterdir() if path.name.startswith(".genovault-")] == []
    return caught.value.code


def records(data):
    """Sites and sorted calls of a packed VCF: columns are in another order in each project."""
    lines = [line.split(b"\t") for line in gzip.decompress(data).splitlines() if not line.startswith(b"#")]
    return [(line[:9], sorted(line[9:])) for line in lines]


def manifest_of(folder):
    return json.loads((folder / "manifest.json").read_text())["manifest"]


def test_an_extract_is_sealed_for_all_declared_recipients(held):
    release = extract(held)
    plain = held.folder / "plain"
    extract(held, "open", out="plain")
    out = held.folder / "out"
    marks = {name: fingerprint(pair(number).public) for number, name in ((1, "lab"), (2, "clinic"))}
    assert release.sealed_for == marks
    told = manifest_of(out)
    assert told["recipients"] == ["lab", "clinic"]
    assert {one["name"]: one["fingerprint"] for one in told["crypt4gh"]["recipients"]} == marks
    for number in (1, 2):
        opened = second_reading((out / "genotypes.vcf.gz.c4gh").read_bytes(), secret_of(number))
        assert records(opened) == records((plain / "genotypes.vcf.gz").read_bytes())
    found = verify_release(out, **pinned(held.vault), reader=pair(2))
    assert set(found.opened) == {f"genotypes.vcf.gz{end}.c4gh" for end in ("", ".csi", ".tbi")}
    assert verify_release(out, **pinned(held.vault)).opened == ()
    intent = next(entry for entry in held.entries() if entry["act"] == "extract.intent")
    assert intent["outcome"] == "intent"


def test_two_extracts_have_keys_of_their_own_and_one_writer(held):
    first, second = (manifest_of(held.folder / extract(held, out=name).content.output) for name in ("one", "two"))
    assert first["crypt4gh"]["writer"] == second["crypt4gh"]["writer"] == held.vault.sealing_key().public.hex()
    one, two = ((held.folder / name / "genotypes.vcf.gz.c4gh").read_bytes() for name in ("one", "two"))
    assert one[124:200] != two[124:200]


def test_one_recipient_is_chosen_and_nobody_else_reads_it(held):
    release = extract(held, recipients=["clinic"])
    assert list(release.sealed_for) == ["clinic"]
    assert manifest_of(held.folder / "out")["recipients"] == ["clinic"]
    with pytest.raises(InputError) as caught:
        verify_release(held.folder / "out", **pinned(held.vault), reader=pair(1))
    assert caught.value.code == "not_a_recipient"
    assert fingerprint(pair(1).public)[:16] in caught.value.message
    assert fingerprint(pair(2).public)[:16] in caught.value.message


def test_who_holds_a_release_are_those_who_can_open_it(held):
    release = extract(held, recipients=["clinic"])
    extract(held, out="all")
    subject = resolve(held.vault, "sample:S01")
    told = {one["release"]: one["recipients"] for one in releases_with(held.vault, subject)}
    assert told.pop(release.release_id) == ["clinic"]
    assert list(told.values()) == [["lab", "clinic"]]


def test_a_project_that_declares_plain_delivery_is_sealed_where_somebody_is_chosen(held):
    assert extract(held, "plain", out="clear").sealed_for == {}
    assert (held.folder / "clear" / "genotypes.vcf.gz").is_file()
    assert list(extract(held, "plain", out="chosen", recipients=["lab"]).sealed_for) == ["lab"]
    with pytest.raises(InputError) as caught:
        verify_release(held.folder / "clear", **pinned(held.vault), reader=pair(1))
    assert caught.value.code == "nothing_sealed"


def test_nobody_gets_an_extract_whom_the_project_does_not_declare(held):
    assert refused(held, recipients=["somebody"]) == "recipient_not_declared"
    assert refused(held, "open", recipients=["lab"]) == "recipient_not_declared"


def test_a_recipient_without_a_confirmed_key_stops_the_extract_and_the_check_says_so(held):
    declare(held, "other", recipients=[{"name": "lab"}, {"name": "registry"}])
    assert refused(held, "other") == "recipient_unknown"
    assert gate.check(held.vault, "other").undelivered.code == "recipient_unknown"
    assert gate.check(held.vault, "other").permit == 40
    recipients.add(held.vault, "registry", public_key_armour(pair(3).public).encode())
    assert refused(held, "other") == "recipient_unconfirmed"
    recipients.confirm(held.vault, "registry", fingerprint(pair(3).public))
    assert gate.check(held.vault, "other").undelivered is None
    assert len(extract(held, "other", out="two").sealed_for) == 2
    recipients.retire(held.vault, "registry", reason="a test")
    assert refused(held, "other") == "recipient_retired"
    assert list(extract(held, "other", out="one", recipients=["lab"]).sealed_for) == ["lab"]


def test_a_view_for_a_program_needs_no_key(held):
    recipients.retire(held.vault, "lab", reason="a test")
    assert len(gate.view(held.vault, project="sealed", dataset="cohort").pseudonyms) == 40


@pytest.mark.parametrize("again", [False, True])
def test_a_key_that_is_retired_in_mid_extract_stops_it(held, monkeypatch, again):
    """Or replaced: what was sealed to the old key is not handed over."""

    def write_folder(*arguments, **options):
        recipients.retire(held.vault, "lab", reason="stolen")
        if again:
            recipients.add(held.vault, "lab", public_key_armour(pair(4).public).encode())
            recipients.confirm(held.vault, "lab", fingerprint(pair(4).public))
        return release_folder.write_folder(*arguments, **options)

    monkeypatch.setattr(gate.extracts, "write_folder", write_folder)
    assert refused(held) == "recipient_changed"
    assert [(entry["outcome"], entry["reasons"]) for entry in held.entries() if entry["act"] == "extract.outcome"] == [
        ("refused", {"recipient_changed": 1})
    ]
    assert [release.state for release in releases.list_all(held.vault)] == [releases.ABORTED]


def test_no_plaintext_reaches_the_disk(held, monkeypatch):
    """What is handed to files while a sealed extract is made: no header, no pseudonym, no BGZF and no index."""
    written = defaultdict(bytes)
    create = durable.creating

    @contextmanager
    def creating(path, **options):
        with create(path, **options) as file:
            yield Copied(file, written, path.name)

    monkeypatch.setattr(durable, "creating", creating)
    extract(held)
    out = held.folder / "out"
    sealed = {name for name in written if name.endswith(".c4gh")}
    assert sealed == {f"genotypes.vcf.gz{end}.c4gh" for end in ("", ".csi", ".tbi")}
    assert {path.name for path in out.iterdir()} == written.keys()
    opened = second_reading(written["genotypes.vcf.gz.c4gh"], secret_of(1))
    assert gzip.decompress(opened).startswith(b"##fileformat")
    traces = (opened[:40], opened[-40:], b"\x1f\x8b\x08\x04", b"##fileformat", b"sealed1", b"CSI\1", b"TBI\1")
    assert not any(trace in written[name] for name in sealed for trace in traces)
    pseudonym = gzip.decompress(opened).split(b"#CHROM")[1].split()[8]
    assert pseudonym.startswith(b"sealed1")
    assert not any(pseudonym in data for data in written.values())


class Copied:
    """A file that notes what is written."""

    def __init__(self, file, written, name):
        self._file, self._written, self._name = file, written, name

    def write(self, data):
        self._written[self._name] += bytes(data)
        return self._file.write(data)

    def __getattr__(self, name):
        return getattr(self._file, name)


def tampered(held, change):
    """The sealed genotypes of an extract, changed; the code of the check."""
    if not (held.folder / "out").exists():
        extract(held)
    path = held.folder / "out" / "genotypes.vcf.gz.c4gh"
    data = path.read_bytes()
    path.write_bytes(change(data))
    codes = []
    for reader in (None, pair(1)):
        with pytest.raises(IntegrityError) as caught:
            verify_release(held.folder / "out", **pinned(held.vault), reader=reader)
        codes.append(caught.value.code)
    path.write_bytes(data)
    assert codes[0] == codes[1]
    return codes[0]


def test_a_changed_file_is_noticed_without_any_private_key(held):
    extract(held, out="second")
    assert tampered(held, lambda data: data[:-1]) == "file_size"
    assert tampered(held, lambda data: data + data[-100:]) == "file_size"
    assert tampered(held, lambda data: data[:200] + bytes([data[200] ^ 1]) + data[201:]) == "file_digest"
    other = (held.folder / "second" / "genotypes.vcf.gz.c4gh").read_bytes()
    assert tampered(held, lambda data: other) in {"file_size", "file_digest"}  # noqa: ARG005 - another release's file in its place
    swapped = (held.folder / "out" / "genotypes.vcf.gz.csi.c4gh").read_bytes()
    assert tampered(held, lambda data: swapped) in {"file_size", "file_digest"}  # noqa: ARG005


def test_a_private_key_that_others_may_read_is_refused(held):
    _, private = key_files(held.folder, 1)
    assert private_key(private, passphrase=str).public == pair(1).public
    private.chmod(0o644)
    with pytest.raises(InputError) as caught:
        private_key(private, passphrase=str)
    assert caught.value.code == "key_exposed"
    with pytest.raises(InputError) as caught:
        private_key(held.folder / "none", passphrase=str)
    assert caught.value.code == "key_unreadable"


class Filling(Copied):
    """A file of a disk that is full after so many writes into sealed files."""

    def write(self, data):
        self._written["writes"] += b"x" * self._name.endswith(".c4gh")
        if len(self._written["writes"]) > self._written["room"]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self._file.write(data)


@pytest.mark.parametrize(
    ("file_format", "room"),
    [
        *(("vcf", n) for n in range(6)),
        *(pytest.param(one, n, marks=pytest.mark.long) for one in ("pgen", "parquet") for n in range(6)),
    ],
)
def test_a_disk_that_fills_leaves_no_parcel_and_an_outcome(held, monkeypatch, file_format, room):
    """At every write of the three sealed files: of their headers, and of what follows."""
    create, written = durable.creating, {"writes": b"", "room": room}

    @contextmanager
    def creating(path, **options):
        with create(path, **options) as file:
            yield Filling(file, written, path.name)

    monkeypatch.setattr(durable, "creating", creating)
    with pytest.raises(UnavailableError) as caught:
        extract(held, chosen=FileChoice(file_format))
    assert caught.value.code == "output_unwritable"
    assert not (held.folder / "out").exists()
    assert [path for path in held.folder.iterdir() if path.name.startswith(".genovault-")] == []
    ends = [(entry["outcome"], entry["reasons"]) for entry in held.entries() if entry["act"] == "extract.outcome"]
    assert ends == [("failed", {"output_unwritable": 1})]


def test_a_release_that_was_committed_is_not_shown_once_its_recipient_is_retired(held, monkeypatch):
    """Killed between the commit and the rename: recovery looks again."""

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(gate.extracts.publication, "finish", killed)
        with pytest.raises(KeyboardInterrupt):
            extract(held)
    assert [release.state for release in releases.list_all(held.vault)] == [releases.COMMITTED]
    recipients.retire(held.vault, "lab", reason="stolen")
    held.reopen()
    assert [release.state for release in releases.list_all(held.vault)] == [releases.ABORTED]
    assert not (held.folder / "out").exists()
    assert [path for path in held.folder.iterdir() if path.name.startswith(".genovault-")] == []


def test_a_declaration_of_before_that_states_a_key_is_read_and_its_extracts_are_refused(held, monkeypatch):
    with monkeypatch.context() as patch:
        document = yaml.safe_load(project_template("old", "cohort")) | {"recipients": [{"name": "lab", "key": "nonsense"}]}
        declared = declarations.parse_stored(canonical.dumps(document))
        patch.setattr(projects.declarations, "parse_project", lambda _: declared)
        projects.create(held.vault, document)
    projects.change(held.vault, "old", "approve")
    assert refused(held, "old") == "recipient_key_inline"
    assert gate.check(held.vault, "old").undelivered.code == "recipient_key_inline"
