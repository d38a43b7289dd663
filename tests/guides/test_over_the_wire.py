"""docs/over-the-wire.md: its lines, run by a shell against a server."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from tests.support import delivered, parcels, served
from tests.support.outside import tool
from tests.support.vaults import opened
from vault.extracts.verification import key_fingerprint, private_key, verify_release
from vault.server.oidc.settings import read

PAGE = (Path(__file__).parents[2] / "docs" / "over-the-wire.md").read_text()


def test_the_lines_of_the_page_bring_a_parcel(tmp_path):
    tool("curl")
    token = delivered.staffed(tmp_path)
    blocks = re.findall(r"```sh \w+\n(.*?)```", PAGE, flags=re.DOTALL)
    here = tmp_path / "researcher"
    here.mkdir()
    with served.serving(tmp_path / "v", token=token) as it:
        ran = subprocess.run(
            ["bash", "-eu", "-c", "\n".join(blocks)],
            cwd=here,
            env={"PATH": os.environ["PATH"], "TOKEN": token, "SERVER": it.url},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == ["approved", "ready", "[]"]
    assert token not in ran.stderr
    _, secret = parcels.key_files(tmp_path, 1)
    with opened(tmp_path / "v") as s:
        log_keys, keys = s.trail.log_keys(), [key_fingerprint(public) for public in s.release_keys().values()]
    found = verify_release(
        here / "parcel", log_keys=log_keys, release_keys=keys, reader=private_key(secret, passphrase=lambda: "")
    )
    assert len(found.opened) == 3
    assert (here / "receipt.tlog-proof").read_text().startswith("c2sp.org/tlog-proof")


def test_the_settings_of_a_provider_are_read(tmp_path):
    (tmp_path / "oidc.secret").write_text("hush")
    (tmp_path / "oidc.yaml").write_text(re.search(r"```yaml oidc.yaml\n(.*?)```", PAGE, flags=re.DOTALL)[1])
    assert read(tmp_path / "oidc.yaml").redirect_uri == "https://vault.example.org/oidc/callback"
