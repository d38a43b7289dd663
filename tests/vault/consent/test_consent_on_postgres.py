"""Consent in books that lie in PostgreSQL: the same columns, the same decisions."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.support.held import FACTOR, Held
from tests.support.postgres import postgres_url
from tests.support.shell import cohort
from vault import gate
from vault.access import reference_data, rulings
from vault.consent import coverage, recording, work_queue
from vault.crypto.primitives import Argon2Profile
from vault.ids import utc_now
from vault.operations.create import init
from vault.session.settings import Places
from vault.session.unlocked_vault import open_vault


@pytest.mark.long
def test_a_stewards_work_on_postgresql(tmp_path):
    with postgres_url(tmp_path) as url:
        places = Places(books=url)
        init(tmp_path / "v", steward="ann", factor=FACTOR, profile=Argon2Profile.TEST_ONLY, places=places)
        session = open_vault(tmp_path / "v", factor=FACTOR)
        held = Held(tmp_path, session, utc_now, session.random)
        held.load(held.write("c.vcf", cohort().data))
        held.everyone_consents()
        held.project("demo")
        recording.withdraw(session, "SAMPLE_3")
        reference_data.load(session, reference_data.ONTOLOGY, "MONDO:0000002\tMONDO:0000001\n", version="tiny")
        rulings.rule(session, "demo", "controls", reason="x")
        assert gate.check(session, "demo").permit == 11
        assert coverage.coverage(session, "demo")[0].usable == 11
        assert work_queue.expiring(session, within=timedelta(days=90)) == []
        assert work_queue.queue(session).waiting == ()
        assert len(recording.history(session, "SAMPLE_3").events) == 2
        session.caches.clear()
        assert gate.check(session, "demo").permit == 11
        session.close()
