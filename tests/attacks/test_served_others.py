"""Functions that a service may run for somebody are held to what is that person's, whichever page or route calls them."""

from __future__ import annotations

import pytest

from tests.support import delivered, vaults
from tests.support.vaults import opened
from vault import gate
from vault.access import notices, requests
from vault.access.disclosure import budget_book
from vault.consent import recording
from vault.crypto.keystore import Role
from vault.errors import InputError, RefusedError
from vault.session import principals
from vault.session.on_behalf import OnBehalf


def test_another_person_s_request_notice_and_budgets_stay_theirs(tmp_path):
    folder = vaults.copy(tmp_path, whole=False)
    factor = vaults.add_role(folder, Role.SERVICE)
    with opened(folder) as s:
        for who in ("rita", "rob"):
            principals.add(s, who, Role.RESEARCHER, None)
        delivered.known(s, "lab", 1)
        vaults.approve(s, "parcels", "cohort", people=["rita", "rob"], recipients=[{"name": "lab"}])
        vaults.approve(s, "private", "cohort", people=["rob"])
        spec = requests.Spec(submitted_for="rob")
        his = requests.submit(s, "parcels", "cohort", kind=requests.RequestKind.RECORDS, spec=spec).request_id
        gate.extract(s, his, tmp_path / "his")
        recording.withdraw(s, "S02")
        (notice,) = notices.list_all(s)
    with opened(folder, factor=factor, principal="service") as s:
        rita = s.acting(OnBehalf("rita", Role.RESEARCHER, "oidc"))
        for act in (
            lambda: gate.extract(rita, his, tmp_path / "hers"),
            lambda: notices.acknowledge(rita, notice.notice_id, reason="x"),
            lambda: notices.issue(rita, notice.notice_id),
            lambda: budget_book.show(rita, "private"),
            lambda: requests.withdraw(rita, his, "x"),
        ):
            with pytest.raises((RefusedError, InputError)):
                act()
        assert not (tmp_path / "hers").exists()
        assert notices.load(s, notice.notice_id).state == "open"
