from __future__ import annotations

import contextlib
import errno
import os
import signal
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from vault.errors import InputError, UnavailableError, UsageError
from vault.extracts import staging as module
from vault.extracts.staging import Staging, discard_staged, publish_staged


def opened(output):
    return Staging(output, random=os.urandom)


def fill(staging):
    for name in ("genotypes.vcf.gz", "manifest.json"):
        with staging.create(name) as file:
            file.write(b"data")


def names(folder):
    return sorted(p.name for p in folder.iterdir())


@pytest.mark.parametrize("exists", [False, True])
def test_the_folder_appears_whole_and_private(tmp_path, exists):
    output = tmp_path / "out"
    if exists:
        output.mkdir()
    with opened(output) as staging:
        fill(staging)
        assert not output.exists() or names(output) == []
        staging.publish()
    assert names(tmp_path) == ["out"]
    assert names(output) == ["genotypes.vcf.gz", "manifest.json"]
    assert stat.S_IMODE(output.stat().st_mode) == 0o700
    assert stat.S_IMODE((output / "manifest.json").stat().st_mode) == 0o600


def test_a_failure_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), opened(tmp_path / "out") as staging:  # noqa: PT012  # the failure comes half-way
        fill(staging)
        raise RuntimeError
    assert names(tmp_path) == []


def test_leaving_without_publishing_leaves_nothing(tmp_path):
    with opened(tmp_path / "out") as staging:
        fill(staging)
    assert names(tmp_path) == []


def test_after_the_commit_a_failure_keeps_the_folder_for_recovery(tmp_path):
    with pytest.raises(RuntimeError), opened(tmp_path / "out") as staging:  # noqa: PT012  # the failure comes after the commit
        fill(staging)
        staging.retain()
        raise RuntimeError
    assert not (tmp_path / "out").exists()
    publish_staged(staging.path, tmp_path / "out")
    publish_staged(staging.path, tmp_path / "out")  # recovery may itself be killed and repeated
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("what", ["full", "file", "dangling"])
def test_an_output_that_is_not_free_is_refused(tmp_path, what):
    output = tmp_path / "out"
    if what == "full":
        output.mkdir()
        (output / "x").touch()
    elif what == "file":
        output.touch()
    else:
        output.symlink_to(tmp_path / "absent" / "deeper")
    with pytest.raises(InputError) as caught:
        opened(output)
    assert caught.value.code == ("output_parent_missing" if what == "dangling" else "output_not_empty")


@pytest.mark.parametrize("what", ["full", "file"])
def test_an_output_that_fills_up_meanwhile_is_not_overwritten(tmp_path, what):
    output = tmp_path / "out"
    with pytest.raises(InputError) as caught, opened(output) as staging:  # noqa: PT012  # the rival comes half-way
        fill(staging)
        output.mkdir() if what == "full" else output.touch()
        if what == "full":
            (output / "theirs").touch()
        staging.publish()
    assert caught.value.code == "output_not_empty"
    assert names(tmp_path) == ["out"]
    assert what == "file" or names(output) == ["theirs"]


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "x\n", "n" * 101])
def test_names_are_plain(tmp_path, name):
    with opened(tmp_path / "out") as staging, pytest.raises(UsageError), staging.create(name):
        pass


def test_a_name_is_used_once(tmp_path):
    with opened(tmp_path / "out") as staging:
        fill(staging)
        with pytest.raises(UsageError) as caught, staging.create("manifest.json"):
            pass
    assert caught.value.code == "staging_name"


def test_the_staged_name_tells_nothing(tmp_path):
    with Staging(tmp_path / "secret-project", random=lambda n: b"\7" * n) as staging:
        assert staging.path.name == ".genovault-0707070707070707"


def test_discarding_what_is_gone_is_fine(tmp_path):
    discard_staged(tmp_path / ".genovault-never")
    with pytest.raises(UsageError) as refused:
        discard_staged(tmp_path)
    assert refused.value.code == "staging_name"
    with pytest.raises(UnavailableError) as caught:
        publish_staged(tmp_path / "never", tmp_path / "out")
    assert caught.value.code == "staged_missing"


@pytest.mark.parametrize("call", ["fsync", "open", "mkdir", "rename"])
@pytest.mark.parametrize("turn", range(4))
def test_a_failing_disk_leaves_nothing_or_all(tmp_path, monkeypatch, call, turn):
    """Each system call fails once, in turn: the output is absent or whole, and nothing else lies about."""
    output, count = tmp_path / "out", iter(range(100))
    target = Path if call in ("mkdir", "rename") else module.os
    real = getattr(target, call)

    def failing(*arguments, **keywords):
        if next(count) == turn:
            raise OSError(errno.ENOSPC, "full")
        return real(*arguments, **keywords)

    monkeypatch.setattr(target, call, failing)
    with contextlib.suppress(UnavailableError), opened(output) as staging:
        fill(staging)
        staging.publish()
    assert names(tmp_path) in ([], ["out"])
    assert not output.exists() or names(output) == ["genotypes.vcf.gz", "manifest.json"]


@pytest.mark.parametrize("step", range(6))
def test_a_kill_leaves_the_output_absent_or_whole(tmp_path, step):
    program = f"""
        import os, signal
        from pathlib import Path
        from vault.extracts.staging import Staging
        def at(n):
            if n == {step}: os.kill(os.getpid(), signal.SIGKILL)
        with Staging(Path({str(tmp_path / "out")!r}), random=os.urandom) as staging:
            at(0)
            with staging.create("genotypes.vcf.gz") as file:
                file.write(b"data"); at(1)
            at(2)
            with staging.create("manifest.json") as file:
                file.write(b"data")
            at(3); staging.retain(); at(4); staging.publish(); at(5)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=False)
    assert done.returncode == -signal.SIGKILL
    visible = [name for name in names(tmp_path) if not name.startswith(".genovault-")]
    assert visible == (["out"] if step == 5 else [])
    if step == 5:
        assert names(tmp_path / "out") == ["genotypes.vcf.gz", "manifest.json"]
    elif step == 4:
        publish_staged(next(tmp_path.iterdir()), tmp_path / "out")
        assert names(tmp_path / "out") == ["genotypes.vcf.gz", "manifest.json"]
