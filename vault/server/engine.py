"""Routes for engines: projects, panels, genotypes of a panel, counts, and matching in place."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request

from policies.purposes import RequestKind
from policies.token_scopes import TokenScope
from vault import gate
from vault.access import askable
from vault.gate import PanelRead
from vault.server.bearers import acting, token_of
from vault.server.bodies import (
    CountsAsked,
    CountsBody,
    Genotypes,
    GenotypesAsked,
    MatchAsked,
    MatchBody,
    PanelBody,
    Panels,
    ProjectBody,
    Projects,
    Site,
)
from vault.server.problems import HttpProblem
from vault.server.seal import Seal
from vault.session.unlocked_vault import UnlockedVault

routes = APIRouter(prefix="/v1/projects")

MOST_PEOPLE = 1_000  # of one answer

Code = Annotated[str, Path(min_length=1, max_length=64)]


@routes.get("")
async def projects(request: Request) -> Projects:
    """List the token's project. Scope ``read``."""
    token = token_of(request)

    def work(vault: UnlockedVault) -> Projects:
        own, who = acting(vault, token, TokenScope.READ)
        found = [one for one in askable.list_projects(own) if one.code == who.project]
        return Projects(projects=[ProjectBody(code=one.code, title=one.title, datasets=list(one.datasets)) for one in found])

    return await _seal(request).run(work)


@routes.get("/{project}/panels")
async def panels(request: Request, project: Code) -> Panels:
    """List the panels of the project's datasets. Scope ``read``."""
    token = token_of(request)

    def work(vault: UnlockedVault) -> Panels:
        own, who = acting(vault, token, TokenScope.READ, project)
        datasets = {name for one in askable.list_projects(own) if one.code == who.project for name in one.datasets}
        found = [one for one in askable.list_panels(own) if one.dataset in datasets]
        return Panels(panels=[PanelBody(name=one.name, version=one.version, dataset=one.dataset, loci=one.loci) for one in found])

    return await _seal(request).run(work)


@routes.post("/{project}/panels/{panel}/genotypes")
async def genotypes(request: Request, project: Code, panel: Code, asked: GenotypesAsked) -> Genotypes:
    """Give the genotypes of a panel, of everybody whose consent permits it at this moment, or of some of them. Scope ``engine``."""
    token = token_of(request)

    def work(vault: UnlockedVault) -> Genotypes:
        own, _ = acting(vault, token, TokenScope.ENGINE, project)
        found = gate.read_panel(own, project=project, dataset=asked.dataset, panel=panel, pseudonyms=asked.pseudonyms)
        return _genotypes(found)

    return await _seal(request).run(work)


@routes.post("/{project}/counts")
async def counts(request: Request, project: Code, asked: CountsAsked) -> CountsBody:
    """Answer a question for counts or presence, which is charged. Scope ``engine``."""
    token = token_of(request)

    def work(vault: UnlockedVault) -> CountsBody:
        own, _ = acting(vault, token, TokenScope.ENGINE, project)
        found = gate.counts(
            own,
            project=project,
            dataset=asked.dataset,
            kind=RequestKind(asked.kind),
            alleles=asked.alleles,
            panel=asked.panel,
            epsilon=asked.epsilon,
            accuracy=asked.accuracy,
        )
        return CountsBody.model_validate(found.as_dict())

    return await _seal(request).run(work)


@routes.post("/{project}/match")
async def match(request: Request, project: Code, asked: MatchAsked) -> MatchBody:
    """Tell for whom the criteria of an approved pack hold, in place of genotypes. Scope ``engine``."""
    token = token_of(request)

    def work(vault: UnlockedVault) -> MatchBody:
        own, _ = acting(vault, token, TokenScope.ENGINE, project)
        found = gate.match(own, project=project, dataset=asked.dataset, panel=asked.panel, criteria=asked.criteria)
        return MatchBody.model_validate(found.as_dict())

    return await _seal(request).run(work)


def _seal(request: Request) -> Seal:
    seal: Seal = request.app.state.seal
    return seal


def _genotypes(read: PanelRead) -> Genotypes:
    view = read.view
    if len(view.pseudonyms) > MOST_PEOPLE:
        raise HttpProblem(413, "too_many_people", f"one answer is of at most {MOST_PEOPLE:,} people: name some")
    return Genotypes(
        sites_id=read.sites_id,
        sites=[Site(contig=one.contig, pos=one.pos, ref=one.ref, alts=list(one.alts)) for one in view.variants()],
        not_assayed=list(view.not_assayed),
        calls={name: view.calls_of(name) for name in view.pseudonyms},
        entry=read.entry,
        receipt=view.receipt,
    )
