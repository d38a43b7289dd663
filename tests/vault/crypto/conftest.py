import pytest

from tests.vault.crypto.vectors.generate import counted
from vault.crypto import keystore
from vault.crypto.primitives import Argon2Profile

ANN = keystore.PassphraseFactor.from_text("ann's passphrase")
CHEAP = Argon2Profile.TEST_ONLY


@pytest.fixture
def random(request):
    return counted(request.node.nodeid)


@pytest.fixture
def founded(tmp_path, random):
    """A vault's folder with a keystore whose only slot is ann's."""
    return keystore.create(tmp_path, vault_id=b"v" * 16, principal="ann", factor=ANN, profile=CHEAP, random=random)
