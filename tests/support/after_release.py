"""What happens after a release, half done: a notice that is open, and two requests to be told whose a pseudonym is, one of them approved."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from tests.support.vaults import opened
from vault.access import named_people, notices, resolutions, who_holds
from vault.consent import drop_lists, recording
from vault.crypto.keystore import Factor
from vault.session.unlocked_vault import UnlockedVault


def half_resolved(s: UnlockedVault, folder: Path, *, factor: Factor, second: str) -> dict[str, str]:
    """Names of a pseudonym that left, a request about it that is open, and one that ``second`` has approved."""
    (found, *_) = named_people.names_of(s, "S03", project="demo", reason="a test")
    name = found.pseudonym or ""
    waiting, approved = (resolutions.open_request(s, name, project="demo", reason="a test").resolution_id for _ in range(2))
    with opened(folder, factor=factor, principal=second) as other:
        resolutions.approve(other, approved)
    return {"name": name, "resolution": waiting, "approved": approved}


def told(s: UnlockedVault) -> tuple[str, bytes]:
    """Id and file of the one notice that S10's withdrawal opens."""
    recording.withdraw(s, "S10")
    (notice,) = notices.list_all(s)
    return notice.notice_id, notices.issue(s, notice.notice_id)


def functions(s: UnlockedVault, names: Mapping[str, str]) -> dict[str, Callable[[], object]]:
    """What each act's own function does."""
    return {
        "release.holdings": lambda: who_holds.listed(s),
        "release.notice": lambda: drop_lists.bring_up_to_date(s),
        "release.notice.issue": lambda: notices.issue(s, names["notice"]),
        "release.notice.acknowledge": lambda: notices.acknowledge(s, names["notice"], reason="x"),
        "release.notice.reopen": lambda: notices.reopen(s, names["notice"], reason="x"),
        "pseudonym.resolve.open": lambda: resolutions.open_request(s, names["name"], project="demo", reason="x"),
        "pseudonym.resolve.approve": lambda: resolutions.approve(s, names["resolution"]),
        "pseudonym.resolve": lambda: resolutions.execute(s, names["approved"]),
        "pseudonym.resolve.close": lambda: resolutions.close(s, names["resolution"], reason="x"),
        "pseudonym.resolve.list": lambda: resolutions.listed(s),
        "pseudonym.name": lambda: named_people.names_of(s, "S03", project="demo", reason="x"),
    }


COMMANDS: dict[str, tuple[str, str | None]] = {
    "release holdings": ("release holdings", "release.holdings"),
    "release notices": ("release notices", "release.show"),
    "release notice": ("release notice {notice} --output told.json", "release.notice.issue"),
    "release ack": ("release ack {notice} --reason x", "release.notice.acknowledge"),
    "release check-notice": ("release check-notice sent.json", "release.verify"),
    "pseudonym resolve open": ("pseudonym resolve open {name} --project demo --reason x", "pseudonym.resolve.open"),
    "pseudonym resolve approve": ("pseudonym resolve approve {resolution}", "pseudonym.resolve.approve"),
    "pseudonym resolve execute": ("pseudonym resolve execute {approved}", "pseudonym.resolve"),
    "pseudonym resolve close": ("pseudonym resolve close {resolution} --reason x", "pseudonym.resolve.close"),
    "pseudonym resolve list": ("pseudonym resolve list", "pseudonym.resolve.list"),
    "pseudonym of": ("pseudonym of S03 --project demo --reason x", "pseudonym.name"),
}
"""Commands and their acts."""
