"""What leaves a vault or is kept beside it is its owner's alone, whatever the umask."""

from __future__ import annotations

import os

import pytest

from vault.errors import InputError, UnavailableError
from vault.files.private_files import make_folder, new_text_file, write_new


@pytest.fixture
def nobody_minds():
    before = os.umask(0)
    yield
    os.umask(before)


def test_every_output_is_for_its_owner_alone(consented, nobody_minds):
    request = consented.run("request submit --project demo --dataset cohort --json").json["request"]
    kept = set(consented.folder.rglob("*"))
    consented.run(f"extract {request} --output out")
    consented.run("audit export --format tiles deep/er/tiles")
    for name in ("csv", "jsonl", "fhir"):
        consented.run(f"audit export --format {name} log.{name}")
    consented.run("audit report report.html")
    consented.run("consent export SAMPLE_1 dossier")
    consented.run("consent import answers.csv --form broad-research --report done.csv")
    consented.run("backup deep/backup")
    consented.run("backup deep/keys --keys --days 3")
    consented.run("subject erase SAMPLE_2 --certificate certificate.txt --yes")
    consented.run("principal add engine1 --role engine --new-key-file engine.key")
    made = set(consented.folder.rglob("*")) - kept
    loose = {
        str(path.relative_to(consented.folder)): oct(path.stat().st_mode & 0o777) for path in made if path.stat().st_mode & 0o077
    }
    assert loose == {}
    assert {"out", "deep", "dossier", "certificate.txt", "report.html", "log.csv", "done.csv"} <= {path.name for path in made}


def test_a_file_that_is_there_or_a_link_is_never_written_over(tmp_path):
    (tmp_path / "kept").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    for name in ("kept", "link"):
        with pytest.raises(InputError, match="already there"):
            write_new(tmp_path / name, "x")
    assert (tmp_path / "kept").read_text() == "mine"


def test_what_failed_leaves_nothing(tmp_path):
    def half():
        with new_text_file(tmp_path / "a") as file:
            file.write("half")
            raise OSError(28, "No space left on device")

    with pytest.raises(UnavailableError):
        half()
    with pytest.raises(UnavailableError):
        write_new(tmp_path / "nowhere" / "a", "x")
    assert list(tmp_path.iterdir()) == []


def test_folders_above_are_made_as_narrow(tmp_path, nobody_minds):
    make_folder(tmp_path / "a" / "b" / "c")
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in ("a", "a/b", "a/b/c")} == {0o700}
    with pytest.raises(FileExistsError):
        make_folder(tmp_path / "a")
    make_folder(tmp_path / "a", may_exist=True)
