"""A kill at any instant of a stream: whatever its reader got has its release, and the log says that it left."""

from __future__ import annotations

from pathlib import Path

import pytest

from policies.token_scopes import TokenScope
from tests.faults.test_kill import EVERY, each_kill, found
from tests.support import served
from tests.support.vaults import opened
from vault import gate
from vault.access import access_tokens, releases
from vault.access.stream_tickets import StreamAsked
from vault.crypto.keystore import PassphraseFactor
from vault.extracts import bgzf, render_pipeline
from vault.operations import release_checks
from vault.views import deidentify

SERVICE = PassphraseFactor.from_text(served.PASSPHRASE)


def ticket(folder):
    """A ticket for the whole dataset, and where its reader puts what comes."""
    served.staff(folder)
    with opened(folder) as s:
        token = served.issue(s, "rita", TokenScope.STREAM)
    with opened(folder, factor=SERVICE, principal="service") as service:
        who = access_tokens.authenticate(service, token)
        text, _ = gate.stream_ticket(service.acting(who.person), StreamAsked("served", "cohort"), accessor=who.accessor)
        return text.reveal().decode(), str(folder.parent / "got")


def fetch(folder, text, output, *, windows):
    """Read a stream, keeping each run as it comes."""
    if windows:
        deidentify.WINDOW_CALLS, deidentify.FEWEST_SITES, render_pipeline.BATCH_BYTES = 1, 2, 200
    with opened(folder, factor=SERVICE, principal="service") as service, Path(output).open("wb", buffering=0) as file:
        file.writelines(gate.stream_body(service, text))


def in_windows(folder, text, output):
    fetch(folder, text, output, windows=True)


def at_once(folder, text, output):
    fetch(folder, text, output, windows=False)


@pytest.mark.long
@pytest.mark.parametrize("work", [in_windows, at_once])
@pytest.mark.parametrize("offset", range(2, EVERY, 6))
def test_streaming(tmp_path, offset, work):
    ends = set()
    for folder, (_, output) in each_kill(tmp_path, offset, work, ticket):
        got = Path(output).read_bytes() if Path(output).exists() else b""
        found(folder)  # whatever must hold of every vault
        with opened(folder) as s:
            states = tuple(one.state for one in releases.list_all(s) if one.project == "served")
            assert not list(release_checks.findings(s))
        ends.add((states, bool(got)))
        assert states in {(), ("aborted",), ("released",)}
        assert states == ("released",) or not got
        assert not got.endswith(bgzf.EOF_BLOCK) or states == ("released",)
        Path(output).unlink(missing_ok=True)
    assert (("released",), True) in ends
