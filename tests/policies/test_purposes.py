import pytest

from policies.errors import PolicyInputError
from policies.purposes import Purpose


def test_a_purpose_cannot_be_built_empty():
    with pytest.raises(PolicyInputError):
        Purpose(())
