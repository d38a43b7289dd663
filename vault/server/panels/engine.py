"""Routes for engines: projects, panels, genotypes of a panel, counts, and matching in place."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request

from policies.purposes import RequestKind
from policies.token_scopes import TokenScope
from vault import gate
from vault.access import askable
from vault.audit.actions import Action
from vault.server.bearers import admitted, token_of
from vault.server.bodies import (
    PLAIN,
    CountsAsked,
    CountsBody,
    MatchAsked,
    MatchBody,
    MatchCountsBody,
    PanelBody,
    Panels,
    ProjectBody,
    Projects,
)
from vault.server.problems import HttpProblem
from vault.server.seal import seal_of
from vault.session.unlocked_vault import UnlockedVault

routes = APIRouter(prefix="/v1/projects")

Code = Annotated[str, Path(min_length=1, max_length=64, pattern=PLAIN)]


@routes.get("")
async def projects(request: Request) -> Projects:
    """List the token's project. Scope ``read``."""
    token = token_of(request)

    def work(vault: UnlockedVault) -> Projects:
        own, who = admitted(vault, token, Action.PROJECT_SHOW, TokenScope.READ)
        found = [one for one in askable.list_projects(own) if one.code == who.project]
        return Projects(projects=[ProjectBody(code=one.code, title=one.title, datasets=list(one.datasets)) for one in found])

    return await seal_of(request).run(work)


@routes.get("/{project}/panels")
async def panels(request: Request, project: Code) -> Panels:
    """List the panels of the project's datasets. Scope ``read``."""
    token = token_of(request)

    def work(vault: UnlockedVault) -> Panels:
        own, who = admitted(vault, token, Action.PANEL_SHOW, TokenScope.READ, project=project)
        datasets = {name for one in askable.list_projects(own) if one.code == who.project for name in one.datasets}
        found = [one for one in askable.list_panels(own) if one.dataset in datasets]
        return Panels(panels=[PanelBody(name=one.name, version=one.version, dataset=one.dataset, loci=one.loci) for one in found])

    return await seal_of(request).run(work)


@routes.post("/{project}/counts")
async def counts(request: Request, project: Code, asked: CountsAsked) -> CountsBody:
    """Answer a question for counts or presence, which is charged. Scope ``engine``."""
    token = token_of(request)

    def work(vault: UnlockedVault) -> CountsBody:
        own, _ = admitted(vault, token, Action.COUNTS_ANSWER, TokenScope.ENGINE, project=project)
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

    return await seal_of(request).run(work)


@routes.post("/{project}/match")
async def match(request: Request, project: Code, asked: MatchAsked) -> MatchBody | MatchCountsBody:
    """Tell for whom the criteria of an approved pack hold, or noisy numbers of them, in place of genotypes. Scope ``engine``."""
    token = token_of(request)

    def work(vault: UnlockedVault) -> MatchBody | MatchCountsBody:
        act = Action.COUNTS_ANSWER if asked.count else Action.MATCH_INTENT
        own, _ = admitted(vault, token, act, TokenScope.ENGINE, project=project)
        place = {"project": project, "dataset": asked.dataset, "panel": asked.panel, "criteria": asked.criteria}
        if not asked.count:
            if asked.epsilon is not None or asked.accuracy is not None:
                raise HttpProblem(400, "count_missing", "epsilon and accuracy belong to count")
            return MatchBody.model_validate(gate.match(own, **place).as_dict())
        counted = gate.match_counts(own, **place, epsilon=asked.epsilon, accuracy=asked.accuracy)
        return MatchCountsBody.model_validate(counted.as_dict())

    return await seal_of(request).run(work)
