"""The small vault behind a server in a process of its own, one for a file; files that want another have a fixture of this name."""

from __future__ import annotations

import pytest

from tests.support import served


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    token = served.staffed(folder)
    with served.serving(folder / "v", token=token) as it:
        yield it
