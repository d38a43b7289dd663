"""Extracts that were stopped between contigs and go on: the same release with the same columns, or from the beginning."""

from __future__ import annotations

import errno
import gzip
import json
import os
import shutil
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from policies.declarations import project_template
from tests.support.held import FACTOR, Held
from tests.support.parcels import pair, second_reading, secret_of
from tests.support.releases import pinned
from tests.support.vcf_text import vcf
from vault import gate
from vault.access import leftovers, project_versions, projects, recipients, releases
from vault.consent import recording
from vault.crypto.crypt4gh_keys import fingerprint, public_key_armour
from vault.crypto.key_wrapping import KeyPurpose
from vault.crypto.keystore import PassphraseFactor, Role
from vault.crypto.primitives import Argon2Profile
from vault.errors import InputError, RefusedError, UnavailableError
from vault.extracts.genotype_files import FileChoice
from vault.extracts.verification import verify_release
from vault.files import durable
from vault.operations import doctor, resuming
from vault.operations.erasure import process
from vault.operations.recovery import open_recovered
from vault.session import principals
from vault.session.process_lock import process_lock
from vault.storage.book_tables import ReleaseRow

PEOPLE = [f"S{n:02}" for n in range(14)]
CONTIGS = ("20", "21", "22")
SPLIT = FileChoice(by_contig=True)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory) -> Path:
    """A vault with people on three contigs; projects ``open`` in the clear, ``sealed`` to a recipient, ``fresh`` with names for each release."""
    held = Held.make(tmp_path_factory.mktemp("cohort"))
    calls = (" ".join("0|1" if (n * 7 + site) % 5 < 2 else "0|0" for n in range(len(PEOPLE))) for site in range(30))
    held.load(
        held.write(
            "c.vcf", vcf(" ".join(PEOPLE), *(f"{CONTIGS[at // 10]} {100 + at} A G {gt}" for at, gt in enumerate(calls))).data
        )
    )
    held.everyone_consents()
    recipients.add(held.vault, "lab", public_key_armour(pair(1).public).encode())
    recipients.confirm(held.vault, "lab", fingerprint(pair(1).public))
    sealed = {"recipients": [{"name": "lab"}], "disclosure": {"keep_phase": True, "min_carriers": 6}}  # some sites have five
    for code, fields in (("open", {}), ("sealed", sealed), ("fresh", {"pseudonyms": "release"})):
        projects.create(held.vault, yaml.safe_load(project_template(code, "cohort")) | fields)
        projects.change(held.vault, code, "approve")
    held.vault.close()
    return held.folder


@pytest.fixture
def held(cohort, tmp_path):
    shutil.copytree(cohort / "v", tmp_path / "v")
    made = Held.of(tmp_path)
    yield made
    made.vault.close()


def stopped(held, code="open", *, contigs=1, by=KeyboardInterrupt, choice=SPLIT, out="out"):
    """Request and id of an extract that is stopped in its contig number ``contigs``, from 0."""
    request = held.request(code)
    names = [f".{CONTIGS[contigs]}." if contigs < 3 else "README"]
    create = durable.creating

    @contextmanager
    def creating(path, **options):
        if any(name in path.name for name in names):
            path.write_bytes(b"cut sho")
            raise by
        with create(path, **options) as file:
            yield file

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(durable, "creating", creating)
        with pytest.raises((KeyboardInterrupt, UnavailableError)) as caught:
            gate.extract(held.vault, request, held.folder / out, choice)
    release = releases.list_all(held.vault)[0].release_id
    assert caught.type is KeyboardInterrupt or caught.value.hint.endswith(f"--resume {release}")
    return request, release


def state(held, release):
    return releases.load(held.vault, release).state


def hidden(held):
    return [path for path in held.folder.iterdir() if path.name.startswith(".genovault-")]


def go_on(held, request, release, *, choice=SPLIT, out="out"):
    """The release that is made, and why from the beginning, if so."""
    told = []
    made = resuming.resume(held.vault, release, request, held.folder / out, choice, begins_anew=told.append)
    return made, told


def text_of(data):
    return gzip.decompress(data)


def tables(folder, suffix=""):
    """Columns and sorted lines of each contig's VCF."""
    found = {}
    for contig in CONTIGS:
        data = (folder / f"genotypes.{contig}.vcf.gz{suffix}").read_bytes()
        data = second_reading(data, secret_of(1)) if suffix else data
        found[contig] = [line.split(b"\t") for line in text_of(data).splitlines() if not line.startswith(b"##")]
    return found


def ends(held, release):
    return [(e["act"], e["outcome"], e.get("reasons")) for e in held.entries() if e.get("obj", {}).get("ref") == release]


def order_keys(held, release):
    return held.vault.keys.ids_of(KeyPurpose.RELEASE, leftovers._owner(release))


LONG = pytest.mark.long


@pytest.mark.parametrize(
    ("code", "contigs"),
    [
        ("sealed", 1),
        ("fresh", 3),
        *(pytest.param(code, n, marks=LONG) for code in ("open", "sealed", "fresh") for n in (1, 2, 3)),
    ],
)
def test_a_stopped_extract_goes_on_with_the_same_columns(held, code, contigs):
    suffix = ".c4gh" if code == "sealed" else ""
    request, release = stopped(held, code, contigs=contigs)
    held.reopen()
    assert state(held, release) == releases.STAGING
    assert order_keys(held, release)
    (left,) = hidden(held)
    before = {path.name: path.read_bytes() for path in left.iterdir() if any(f".{c}." in path.name for c in CONTIGS[:contigs])}
    assert len(before) == 3 * contigs
    made, told = go_on(held, request, release)
    assert (made.release_id, made.state, told) == (release, releases.RELEASED, [])
    assert hidden(held) == []
    assert order_keys(held, release) == []
    assert made.content.leftover == {}
    out = held.folder / "out"
    assert {name: (out / name).read_bytes() for name in before} == before
    verify_release(out, **pinned(held.vault), reader=pair(1) if suffix else None)
    got = tables(out, suffix)
    columns = {tuple(lines[0]) for lines in got.values()}
    assert len(columns) == 1
    whole = held.folder / "whole"
    gate.extract(held.vault, held.request(code), whole, SPLIT)
    manifests = [json.loads((folder / "manifest.json").read_text())["manifest"] for folder in (out, whole)]
    names = [[file["name"] for file in one["files"]] for one in manifests]
    assert names[0] == names[1]
    assert manifests[0]["counts"] == manifests[1]["counts"]
    assert (manifests[0]["counts"]["sites"] < 30) == (code == "sealed")
    if code != "fresh":
        assert by_name(got) == by_name(tables(whole, suffix))
    assert doctor.examine(held.vault).ok
    assert held.verified().ok


def by_name(found):
    """Contig -> pseudonym -> calls, whatever the order of columns."""
    return {
        contig: {name: [line[at] for line in lines[1:]] for at, name in enumerate(lines[0]) if at > 8}
        | {b"": [line[:9] for line in lines]}
        for contig, lines in found.items()
    }


@LONG
def test_the_log_tells_of_each_beginning_and_of_one_end(held):
    request, release = stopped(held)
    go_on(held, request, release)
    assert ends(held, release) == [
        ("extract.intent", "intent", None),
        ("extract.outcome", "aborted", {"resumed": 1}),
        ("extract.intent", "intent", None),
        ("extract.outcome", "done", None),
    ]
    with pytest.raises(InputError) as caught:
        go_on(held, request, release)
    assert caught.value.code == "release_finished"


def test_a_full_disk_has_an_outcome_and_the_extract_goes_on_twice(held):
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    request, release = stopped(held, by=full)
    assert ends(held, release)[-1] == ("extract.outcome", "failed", {"output_unwritable": 1})
    held.reopen()
    assert [one.code for one in doctor.examine(held.vault).findings if one.severity == "error"] == []
    (note,) = [one for one in doctor.examine(held.vault).findings if one.code == "extract_kept"]
    assert release in note.remedy
    made, _ = go_on(held, request, release)
    assert [one[1] for one in ends(held, release)] == ["intent", "failed", "intent", "done"]
    assert made.release_id == release


def end_of(held, request, release, code, *, logged="aborted", **options):
    """That the extract starts from the beginning, and nothing of the old one is left but its entries."""
    made, told = go_on(held, request, release, **options)
    assert made.release_id != release
    assert len(told) == 1
    assert state(held, release) == releases.ABORTED
    assert ends(held, release)[-1][1:] == (logged, {code: 1})
    assert order_keys(held, release) == []
    assert hidden(held) == []
    assert held.verified().ok
    return made


def test_somebody_who_left_meanwhile_is_in_nothing(held):
    """In the process that goes on, before any recovery; the next opening looks too."""
    request, release = stopped(held)
    recording.withdraw(held.vault, "sample:S03")
    made = end_of(held, request, release, "extract_changed")
    assert made.n_subjects == len(PEOPLE) - 1


@LONG
def test_the_next_opening_discards_what_holds_somebody_who_left(held):
    request, release = stopped(held)
    recording.withdraw(held.vault, "sample:S03")
    held.reopen()
    assert hidden(held) == []
    assert end_of(held, request, release, "interrupted").n_subjects == len(PEOPLE) - 1


@LONG
def test_an_erasure_discards_what_holds_the_person(held):
    request, release = stopped(held)
    process.erase(held.vault, "sample:S03")
    assert hidden(held) == []
    end_of(held, request, release, "interrupted")


@LONG
def test_a_withdrawal_while_it_goes_on_stops_it(held, monkeypatch):
    request, release = stopped(held)
    write = gate.extracts.write_folder

    def withdrawn(*arguments, **options):
        made = write(*arguments, **options)
        recording.withdraw(held.vault, "sample:S03")
        return made

    with monkeypatch.context() as patch:
        patch.setattr(gate.extracts, "write_folder", withdrawn)
        with pytest.raises(RefusedError) as caught:
            gate.extract(held.vault, request, held.folder / "out", SPLIT, resume=release)
    assert caught.value.code == "consent_changed"
    assert (state(held, release), hidden(held), order_keys(held, release)) == (releases.ABORTED, [], [])


def amended(held):
    document = yaml.safe_load(project_template("sealed", "cohort")) | {"recipients": [{"name": "lab"}], "title": "Another title"}
    _, made = project_versions.amend(held.vault, document, reason="a test")
    projects.change(held.vault, "sealed", "approve", version=made.version)


def suspended(held):
    """And approved again, as it was."""
    projects.change(held.vault, "sealed", "suspend")
    projects.change(held.vault, "sealed", "approve")


def replaced(held):
    """Another key of the recipient's."""
    recipients.retire(held.vault, "lab", reason="a test")
    recipients.add(held.vault, "lab", public_key_armour(pair(2).public).encode())
    recipients.confirm(held.vault, "lab", fingerprint(pair(2).public))


def more_data(held):
    calls = " ".join("0|1" for _ in PEOPLE)
    held.load(held.write("d.vcf", vcf(" ".join(PEOPLE), f"X 5 A G {calls}").data), append=True)


def renewed(held):
    """New names from now on."""
    project = projects.load(held.vault, "sealed")
    held.vault.keys.create(KeyPurpose.PROJECT, [project.project_id], version=2)


@pytest.mark.parametrize(
    "change", [amended, *(pytest.param(one, marks=LONG) for one in (suspended, replaced, more_data, renewed))]
)
@pytest.mark.parametrize("reopen", [False, pytest.param(True, marks=LONG)])
def test_what_the_bytes_rest_on_has_changed(held, change, reopen):
    request, release = stopped(held, "sealed")
    change(held)
    if reopen:
        held.reopen()
    with held.vault.books.read() as tx:
        code = "extract_changed" if tx.get_one(ReleaseRow, release).state == releases.STAGING else "interrupted"
    end_of(held, request, release, code)


@LONG
def test_an_order_that_is_lost_is_not_made_up(held):
    request, release = stopped(held)
    held.vault.keys.destroy([KeyPurpose.RELEASE], [leftovers._owner(release)])
    end_of(held, request, release, "extract_changed", logged="refused")


def altered(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def linked(path):
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def hard_linked(path):
    os.link(path, path.parent.parent / "second")


@pytest.mark.parametrize(
    "change",
    [
        altered,
        *(pytest.param(one, marks=LONG) for one in (Path.unlink, linked, hard_linked)),
        pytest.param(lambda path: path.chmod(0o644), marks=LONG),
        pytest.param(lambda path: (path.parent / "folder").mkdir(), marks=LONG),
    ],
)
@pytest.mark.parametrize("code", ["open", pytest.param("sealed", marks=LONG)])
def test_a_file_that_was_altered_is_not_used(held, code, change):
    request, release = stopped(held, code, contigs=2)
    (left,) = hidden(held)
    change(next(path for path in left.iterdir() if path.name.startswith("genotypes.20.vcf.gz")))
    end_of(held, request, release, "leftover_altered")


@LONG
def test_a_file_that_is_truncated_during_a_kill_is_written_again(held):
    """Whatever is not recorded as finished goes: the manifest of a kill before its commit too."""
    request, release = stopped(held, contigs=1)
    (left,) = hidden(held)
    for name in ("manifest.json", "README.txt", "genotypes.22.vcf.gz"):
        (left / name).write_bytes(b"not of this release")
    go_on(held, request, release)
    verify_release(held.folder / "out", **pinned(held.vault))


def test_two_cannot_go_on_at_once(held):
    request, release = stopped(held)
    with process_lock(held.vault.folder, release) as mine:
        assert mine
        with pytest.raises(RefusedError) as caught:
            go_on(held, request, release)
    assert caught.value.code == "extract_running"
    assert go_on(held, request, release)[0].release_id == release


@LONG
def test_only_the_same_extract_goes_on(held):
    request, release = stopped(held)
    other = held.request("open")
    for code, arguments in {
        "resume_differs": (request, FileChoice("bcf", by_contig=True), "out"),
        "resume_differs ": (request, SPLIT, "elsewhere"),
        " resume_differs": (other, SPLIT, "out"),
    }.items():
        with pytest.raises(InputError) as caught:
            go_on(held, arguments[0], release, choice=arguments[1], out=arguments[2])
        assert caught.value.code == code.strip()
    for wrong in ("rel-0", "../keys.db", "rel-0123456789abcdef"):
        with pytest.raises(InputError) as caught:
            go_on(held, request, wrong)
        assert caught.value.code == "release_unknown"
    (held.folder / "out").mkdir()
    (held.folder / "out" / "theirs").write_bytes(b"")
    with pytest.raises(InputError) as caught:
        go_on(held, request, release)
    assert caught.value.code == "output_not_empty"
    shutil.rmtree(held.folder / "out")
    assert go_on(held, request, release)[0].release_id == release


@LONG
def test_another_steward_does_not_go_on_with_it(held):
    request, release = stopped(held)
    factor = PassphraseFactor.from_text("another passphrase of theirs")
    principals.add(held.vault, "bob", Role.STEWARD, factor, profile=Argon2Profile.TEST_ONLY)
    held.vault.close()
    held.vault = open_recovered(held.folder / "v", factor=factor, principal="bob")
    with pytest.raises(RefusedError) as caught:
        go_on(held, request, release)
    assert caught.value.code == "not_yours"
    held.vault.close()
    held.vault = open_recovered(held.folder / "v", factor=FACTOR, principal="ann")
    assert go_on(held, request, release)[0].release_id == release


@LONG
def test_an_extract_in_one_file_starts_from_the_beginning(held):
    request = held.request("open")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gate.extracts, "write_folder", interrupted)
        with pytest.raises(KeyboardInterrupt):
            gate.extract(held.vault, request, held.folder / "out")
    release = releases.list_all(held.vault)[0].release_id
    held.reopen()
    assert hidden(held) == []
    end_of(held, request, release, "interrupted", choice=FileChoice())


def interrupted(*_arguments, **_options):
    raise KeyboardInterrupt


@LONG
def test_it_is_kept_for_a_week(held):
    _, release = stopped(held)
    now = held.vault.clock()
    held.clock = lambda: now + leftovers.KEPT - timedelta(minutes=1)
    held.reopen()
    assert state(held, release) == releases.STAGING
    held.clock = lambda: now + leftovers.KEPT + timedelta(minutes=1)
    held.reopen()
    assert (state(held, release), hidden(held), order_keys(held, release)) == (releases.ABORTED, [], [])
    assert ends(held, release)[-1] == ("extract.outcome", "aborted", {"interrupted": 1})
    assert [one for one in doctor.examine(held.vault).findings if one.code.startswith(("extract", "release"))] == []


@LONG
def test_a_row_that_is_put_back_revives_nothing(held):
    """An edit of the books: an ended release called staging again, its folder and its row those of before."""
    request, release = stopped(held)
    (left,) = hidden(held)
    shutil.copytree(left, held.folder / "kept")
    recording.withdraw(held.vault, "sample:S03")
    held.reopen()
    shutil.move(held.folder / "kept", left)
    left.chmod(0o700)
    with held.vault.books.write() as tx:
        tx.get_one(ReleaseRow, release).state = releases.STAGING
    made, told = go_on(held, request, release)
    assert (made.release_id != release, len(told)) == (True, True)
    assert made.n_subjects == len(PEOPLE) - 1


@pytest.mark.parametrize(
    "chosen", [FileChoice("bcf", by_contig=True), FileChoice("pgen", by_contig=True), FileChoice("parquet", by_contig=True)]
)
@LONG
def test_the_other_formats_go_on_too(held, chosen):
    """Files of the contigs behind the stop are those of an extract with the same columns that nothing stopped."""
    shutil.copytree(held.folder / "v", held.folder / "before")
    request, release = stopped(held, contigs=2, choice=chosen)
    held.reopen()
    made, told = go_on(held, request, release, choice=chosen)
    assert (made.release_id, told) == (release, [])
    out, whole = held.folder / "out", held.folder / "whole"
    verify_release(out, **pinned(held.vault))
    with pytest.MonkeyPatch.context() as patch:  # the order is settled by names, so that the same key gives the same
        patch.setattr(leftovers, "column_order", lambda *_, **__: bytes(32))
        patch.setattr(releases, "new_id", lambda _: f"rel-{0:016x}")
        gate.extract(held.vault, held.request("open"), whole, chosen)
        one = stopped_again(held, chosen)
    assert one == {
        path.name: path.read_bytes()
        for path in whole.iterdir()
        if path.name.startswith(("genotypes", "calls", "sites", "samples"))
    }


def stopped_again(held, chosen):
    """Genotype files of an extract that was stopped and went on, by name. Both have one id: the vault is another."""
    held.vault.close()
    shutil.rmtree(held.folder / "v")
    shutil.copytree(held.folder / "before", held.folder / "v")
    held.vault = Held.of(held.folder).vault
    request, release = stopped(held, contigs=1, choice=chosen, out="again")
    go_on(held, request, release, choice=chosen, out="again")
    return {
        path.name: path.read_bytes()
        for path in (held.folder / "again").iterdir()
        if path.name.startswith(("genotypes", "calls", "sites", "samples"))
    }
