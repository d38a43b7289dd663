from __future__ import annotations

import pytest

from tests.support import consoles


@pytest.fixture(scope="session")
def chromium():
    with consoles.browser() as it:
        yield it


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    vault, token = consoles.staffed(tmp_path_factory.mktemp("console"))
    with pytest.MonkeyPatch.context() as patch:
        consoles.impatient(patch)
        with consoles.running(vault) as it:
            it.tokens["rita"] = token
            yield it
