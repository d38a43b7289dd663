"""Extracts as jobs: of a person and a request, whichever of their tokens began it."""

from __future__ import annotations

import threading

import pytest

from tests.support import delivered, projects_amended, served
from tests.support.vaults import opened
from vault.access import access_tokens, releases, requests, spool
from vault.crypto.keystore import PassphraseFactor
from vault.errors import InputError
from vault.extracts.genotype_files import FileChoice
from vault.server.researchers.extract_jobs import ExtractJobs
from vault.server.seal import Seal
from vault.session import principals


def revoke(*which):
    return lambda s, tokens: [access_tokens.revoke(s, tokens[at].split("_")[1]) for at in which]


TAKEN = {
    "nothing": (lambda *_: None, releases.RELEASED),
    "the first token": (revoke(0), releases.RELEASED),
    "the second token": (revoke(1), releases.RELEASED),
    "both tokens": (revoke(0, 1), spool.REFUSED),
    "the person": (lambda s, _: principals.disable(s, "rita"), spool.REFUSED),
    "the project's word": (lambda s, _: projects_amended.name(s, "parcels", "rob"), spool.REFUSED),
}


@pytest.mark.parametrize("what", TAKEN)
def test_a_job_goes_on_while_one_token_of_its_person_stands(tmp_path, what):
    delivered.staffed(tmp_path)
    take, state = TAKEN[what]
    with opened(tmp_path / "v") as s:
        tokens = [served.issue(s, "rita", *delivered.FETCH, project="parcels") for _ in range(2)]
        spec = requests.Spec(submitted_for="rita", regions=("22:1000-3000",))
        request = requests.submit(s, "parcels", "cohort", kind=requests.RequestKind.RECORDS, spec=spec).request_id
    seal = Seal(tmp_path / "v", "service")
    seal.unseal(PassphraseFactor.from_text(served.PASSPHRASE))
    jobs, turn = ExtractJobs(seal, spool.prepare(tmp_path / "spool")), threading.Event()
    try:
        jobs._pool.submit(turn.wait)
        vault = seal.standing()
        made = {
            jobs.start(vault, access_tokens.authenticate(vault, token), request, FileChoice("vcf"), []).release_id
            for token in tokens
        }
        (release,) = made
        with opened(tmp_path / "v") as s:
            take(s, tokens)
        turn.set()
        jobs._pool.shutdown(wait=True)
        assert not jobs.live
        with opened(tmp_path / "v") as s:
            assert state_of(s, jobs, release) == state
    finally:
        turn.set()
        jobs.close()
        seal.close()


def state_of(s, jobs, release):
    note = spool.noted(jobs.folder, release)
    try:
        return releases.load(s, release).state
    except InputError:
        return None if note is None else note.state
