from __future__ import annotations

import pytest

from tests.support import consoles


@pytest.fixture(scope="module")
def chromium():
    with consoles.browser() as it:
        yield it


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    folder = tmp_path_factory.mktemp("console")
    vault, token = consoles.staffed(folder)
    names = consoles.worked(vault, folder)
    with pytest.MonkeyPatch.context() as patch:
        consoles.impatient(patch)
        with consoles.running(vault) as it:
            it.tokens["rita"] = token
            it.tokens["rita who asks"] = names["asks"]
            it.tokens["rita's engine"] = names["engine"]
            it.names.update(names)
            yield it
