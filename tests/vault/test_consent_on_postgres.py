"""Consent in books that lie in PostgreSQL: the same columns, the same decisions."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.support.held import FACTOR, Held
from tests.support.postgres import postgres_url
from tests.support.shell import cohort
from vault import agenda, consents, coverage, gate, packs, rulings
from vault.crypto.primitives import Argon2Profile
from vault.founding import init
from vault.ids import utc_now
from vault.session import open_session
from vault.settings import Places


@pytest.mark.long
def test_a_stewards_work_on_postgresql(tmp_path):
    with postgres_url(tmp_path) as url:
        places = Places(books=url)
        init(tmp_path / "v", steward="ann", factor=FACTOR, profile=Argon2Profile.TEST_ONLY, places=places)
        session = open_session(tmp_path / "v", factor=FACTOR)
        held = Held(tmp_path, session, utc_now, session.random)
        held.load(held.write("c.vcf", cohort().data))
        held.everyone_consents()
        held.project("demo")
        consents.withdraw(session, "SAMPLE_3")
        packs.load(session, packs.ONTOLOGY, "MONDO:0000002\tMONDO:0000001\n", version="tiny")
        rulings.rule(session, "demo", "controls", reason="x")
        assert gate.check(session, "demo").permit == 11
        assert coverage.coverage(session, "demo")[0].usable == 11
        assert agenda.expiring(session, within=timedelta(days=90)) == []
        assert agenda.queue(session).waiting == ()
        assert len(consents.history(session, "SAMPLE_3").events) == 2
        session.remembered.clear()
        assert gate.check(session, "demo").permit == 11
        session.close()
