from __future__ import annotations

import os
import time

import pytest

from vault.genotypes.compute import kernel_cache
from vault.genotypes.compute.kernel_cache import cache_folder, kernel_sources


@pytest.fixture
def base(tmp_path, monkeypatch):
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def package(tmp_path):
    folder = tmp_path / "vault"
    for name in ("limits.py", "views/kernels.py"):
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_text("A = 1\n")
    return folder


def test_the_folder_is_made_for_its_owner_alone_and_found_again(base):
    folder = cache_folder("1")
    assert folder.parent == base / "genovault"
    assert [path.stat().st_mode & 0o777 for path in (folder, folder.parent)] == [0o700, 0o700]
    assert cache_folder("1") == folder


@pytest.mark.parametrize("name", ["limits.py", "views/kernels.py", "extracts/vcf_kernels.py"])
def test_a_changed_source_has_another_folder(base, package, name):
    before = cache_folder("1", package=package)
    (package / name).parent.mkdir(exist_ok=True)
    (package / name).write_text("A = 2\n")
    after = cache_folder("1", package=package)
    assert after.name != before.name


def test_another_compiler_has_another_folder(base, package):
    assert cache_folder("1", package=package) != cache_folder("2", package=package)


def test_a_source_without_kernels_changes_nothing(base, package):
    before = cache_folder("1", package=package)
    (package / "gate.py").write_text("A = 2\n")
    assert cache_folder("1", package=package) == before


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o750, 0o704, 0o701])
def test_a_folder_that_others_may_enter_is_not_used(base, mode):
    cache_folder("1").chmod(mode)
    assert cache_folder("1") is None


@pytest.mark.parametrize("mode", [0o770, 0o702])
def test_a_folder_that_others_may_replace_is_not_used(base, mode):
    cache_folder("1").parent.chmod(mode)
    assert cache_folder("1") is None
    (base / "genovault").chmod(0o755)
    assert cache_folder("1") is not None


def test_a_base_that_others_may_write_to_is_used_only_where_it_is_sticky(base):
    base.mkdir()
    base.chmod(0o777)
    assert cache_folder("1") is None
    base.chmod(0o1777)
    assert cache_folder("1") is not None


@pytest.mark.parametrize("depth", [0, 1])
def test_a_symlink_is_not_followed(base, tmp_path, depth):
    folder = cache_folder("1")
    link = [folder, folder.parent][depth]
    link.rename(tmp_path / "elsewhere")
    link.symlink_to(tmp_path / "elsewhere")
    assert cache_folder("1") is None


def test_another_users_folder_is_not_used(base, monkeypatch):
    cache_folder("1")
    monkeypatch.setattr(os, "geteuid", lambda: 4_000_000)
    assert cache_folder("1") is None


def test_without_a_place_to_write_there_is_no_folder(base, tmp_path):
    base.write_text("a file")
    assert cache_folder("1") is None


def test_a_relative_base_is_passed_over(base, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", "here")
    assert cache_folder("1").parent.parent == base


def test_the_folder_that_numba_is_told_of_comes_first(base, tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "numba"))
    assert cache_folder("1").parent == tmp_path / "numba" / "genovault"


def test_folders_of_other_versions_go_when_they_were_not_used_for_long(base):
    old, recent = cache_folder("1"), cache_folder("2")
    (old / "a.nbi").write_text("x")
    past = time.time() - kernel_cache.UNUSED_SECONDS - 60
    os.utime(old, (past, past))
    newest = cache_folder("3")
    assert set(old.parent.iterdir()) == {recent, newest}


def test_the_sources_are_there():
    names = {path.name for path in kernel_sources()}
    assert {"limits.py", "jit.py", "call_codes.py", "encode.py", "vcf_kernels.py"} <= names


def test_somebody_who_waits_is_told_why(base, monkeypatch):
    assert "into a cache" in kernel_cache.notice()
    (cache_folder(kernel_cache.versions()) / "a.nbi").write_text("x")
    assert kernel_cache.notice() == ""
    base.chmod(0o777)
    assert "no folder can be had for a cache" in kernel_cache.notice()


def test_a_user_without_a_home_has_a_folder_of_its_own_in_the_temporary_one(tmp_path, monkeypatch):
    for name in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "nonexistent"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    tmp_path.chmod(0o1777)
    own = tmp_path / f"genovault-{os.geteuid()}"
    assert cache_folder("1").parent == own / "genovault"
    assert own.stat().st_mode & 0o777 == 0o700
    own.chmod(0o777)
    assert cache_folder("1") is None


def test_what_another_user_left_in_the_folder_is_not_loaded(base):
    folder = cache_folder("1")
    (folder / "sub").mkdir()
    (folder / "sub" / "a.nbi").symlink_to("/dev/null")
    assert cache_folder("1") is None
