"""The command that writes the page for checking receipts."""

from __future__ import annotations

import hashlib


def test_the_page_is_written_once_and_its_digest_said(shell):
    found = shell.run("audit page check.html --json").json
    page = shell.folder / "check.html"
    assert found == {"dest": "check.html", "sha256": hashlib.sha256(page.read_bytes()).hexdigest()}
    assert shell.try_("audit page check.html").code == 4
