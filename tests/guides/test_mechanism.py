"""How guides are run (tests/support/guides.py), and that no page of docs/ shows a session which no test runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.guides import blocks, fits, pages_with_sessions, run_guide
from tests.support.shell import Shell
from tests.support.sources import ROOT

PAGE = """# A guide

```console
$ export GENOVAULT_HOME=w
$ genovault init w --steward bea --argon2-profile test-only
made vault w
id       00000000000000000000000000000000
steward  bea
days     of UTC
genovault: test-only: this vault's passphrase is not protected against guessing
$ genovault status --json | grep -c 00000000000000000000000000000000
1
```

```yaml demo.yaml
code: demo
```

```console
$ genovault project lint demo.yaml
…
$ echo $?
4
$ cat demo.yaml
code: demo
```

```python
from pathlib import Path
text = Path("demo.yaml").read_text()
```

```pycon
>>> text
'code: demo\\n'
```
"""


def guide(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str, *, apart: bool = False) -> str:
    """The page as it stands after its run in a folder of its own."""
    page = folder / "guide.md"
    page.write_text(text)
    (folder / "at").mkdir()
    run_guide(str(page), Shell(folder / "at", monkeypatch), apart=apart)
    return page.read_text()


@pytest.mark.parametrize("apart", [False, pytest.param(True, marks=pytest.mark.long)])
def test_a_page_runs_with_its_files_sessions_and_ids(tmp_path, monkeypatch, apart):
    assert guide(tmp_path, monkeypatch, PAGE, apart=apart) == PAGE


@pytest.mark.parametrize(
    ("told", "untold"),
    [("steward  bea", "steward  ann"), ("code: demo\n```\n\n```python", "```\n\n```python"), ("$ echo $?\n4\n", "")],
)
def test_what_the_page_says_otherwise_fails(tmp_path, monkeypatch, told, untold):
    assert PAGE.count(told) == 1
    with pytest.raises(AssertionError):
        guide(tmp_path, monkeypatch, PAGE.replace(told, untold))


def test_a_page_is_written_anew_where_asked(tmp_path, monkeypatch):
    monkeypatch.setenv("GENOVAULT_GUIDES", "write")
    assert guide(tmp_path, monkeypatch, PAGE.replace("code: demo\n```\n\n```python", "something else\n```\n\n```python")) == PAGE


@pytest.mark.parametrize("block", ["```\n$ true\n```\n", "```console\nno command\n```\n", "```yaml\na: 1\n```\n"])
def test_a_block_that_nothing_runs_is_refused(block):
    with pytest.raises(AssertionError):
        blocks(block)


@pytest.mark.parametrize(
    ("expected", "printed", "same"),
    [
        ("made  2026-01-02 03:04:05", "made 2027-11-12 13:14:15", True),
        ("r-0123456789ab of 3", "r-ba9876543210 of 3", True),
        ("3 people", "4 people", False),
        ("first\n…\nlast", "first\na\nb\nlast", True),
        ("first\n…\nlast", "first\nlast", True),
        ("first\n…", "other\nfirst", False),
        ("root …", "root abc", True),
        ("1,234 bytes", "99 bytes", True),
    ],
)
def test_what_counts_as_the_same(expected, printed, same):
    assert fits(expected, printed) is same


def test_every_page_that_shows_somebody_at_work_is_run():
    rooms = (ROOT / "tests" / "guides", ROOT / "tests" / "conformance")  # the latter: pages that other people's clients run
    tests = "".join(path.read_text() for room in rooms for path in room.glob("test_*.py"))
    made = "".join(path.read_text() for path in (ROOT / "examples").glob("*.py"))  # prints its page on public data of 40 MB
    untried = [page.name for page in pages_with_sessions() if f'"{page.name}"' not in tests and f"docs/{page.name}" not in made]
    assert untried == []
