"""Every page and section that a comment, docstring or page cites can be opened by a reader of the repository."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.support.sources import ROOT, found_in, parsed, python_files

CODE = python_files("vault", "policies", "cli", "tests", "examples", "benchmarks")
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("*/**/README.md"))]
PAGES = [path for path in PAGES if not {".venv", "node_modules"} & set(path.parts)]
PAGE = r"[A-Za-z][\w/.-]*\.md\b"
SECTIONS = r"§ ?\d+(?:\.\d+)*(?:(?:-|, ?§? ?| and §? ?)\d+(?:\.\d+)*)*"
CITED = re.compile(rf"(?P<page>{PAGE})[`)\]]*(?:,? (?P<sections>{SECTIONS}))?")
UNSEEN = re.compile(r"\bDESIGN\b|\breferences? §|\(reference:|\b(?:[Kk]eys|[Cc]onsent) reference\b|^Reference |shared/")


@cache
def prose(path: Path) -> str:
    """Comments and docstrings of a module, or a whole page, with line breaks and comment marks as spaces."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        text = "\n".join(pieces(text, path))
    return re.sub(r"\s*\n\s*#?\s*", " ", text)


def pieces(text: str, path: Path) -> Iterator[str]:
    """Docstrings, those of constants too, and comments."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.string.removeprefix("#").strip()


@cache
def sections(page: Path) -> frozenset[str]:
    return frozenset(re.findall(r"^(?:#+ )?(\d+(?:\.\d+)*)\.? \S", page.read_text(encoding="utf-8"), re.MULTILINE))


def opened(name: str, cited_in: Path) -> Path | None:
    """The file that a name leads to: from the root; and in pages also from the page's own folder or from docs/."""
    places = [ROOT] if cited_in.suffix == ".py" else [cited_in.parent, ROOT, ROOT / "docs", ROOT / "docs" / "formats"]
    return next((place / name for place in places if (place / name).is_file()), None)


def broken(path: Path) -> list[str]:
    found = []
    for match in CITED.finditer(prose(path)):
        name = match["page"].removeprefix("./")
        page = opened(name, path)
        if page is None:
            found.append(name)
            continue
        wanted = re.findall(r"\d+(?:\.\d+)*", match["sections"] or "")
        found += [f"{name} §{number}" for number in wanted if number not in sections(page)]
    return found


def test_every_page_and_section_that_is_cited_exists():
    assert found_in([*CODE, *PAGES], broken) == {}


def test_code_cites_nothing_that_is_not_in_the_repository():
    assert found_in(CODE, lambda path: UNSEEN.findall(prose(path))) == {}


def test_the_test_would_notice():
    page = ROOT / "docs" / "design" / "keys.md"
    assert {"1", "12.3"} <= sections(page)
    assert "99" not in sections(page)
    found = CITED.search("as docs/design/keys.md §9.1, §99 say")
    assert found is not None
    assert (found["page"], found["sections"]) == ("docs/design/keys.md", "§9.1, §99")
