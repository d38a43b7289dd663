"""Manifest of a release before its files are written: project, loci, counts, obligations."""

from __future__ import annotations

from datetime import datetime

from policies import canonical, times
from policies.disclosure.view_rules import ViewRules
from policies.obligations import Obligations
from policies.rules import RULE_SET
from vault.access import release_limits
from vault.access.scope import AccessScope
from vault.extracts.manifest import Counts, Loci, Manifest, Sealing, StatedRules, make_manifest

WHOLE_DATASET = "all"  # stands in the manifest for a request without regions


def manifest_without_files(
    asked: AccessScope,
    obligations: Obligations,
    counts: Counts,
    rules: ViewRules,
    *,
    release_id: str,
    log: str,
    created: datetime,
    sealing: Sealing | None = None,
) -> Manifest:
    """Make the manifest that the writer of the folder completes with its files. The first end of a consent is told coarsely.

    Args:
        log: origin of the audit log that holds the release's entries.

    Raises:
        UsageError: ``manifest_fields``.
    """
    declaration, panel = asked.project.declaration, asked.panel
    regions = asked.regions or (() if panel else (WHOLE_DATASET,))
    return make_manifest(
        release=release_id,
        log=log,
        project=asked.project.code,
        request=asked.request_id or "",
        purpose=",".join(declaration.purpose.use_kinds),
        recipients=tuple(one.name for one in asked.readers or declaration.recipients),
        dataset=asked.dataset.name,
        assembly=asked.dataset.assembly,
        kind="panel" if panel else "region",
        loci=Loci(
            regions=regions,
            genes=asked.genes,
            panel=panel.name if panel else None,
            panel_version=str(panel.version) if panel else None,
        ),
        counts=counts,
        obligations=release_limits.stated(obligations),
        policies=(RULE_SET,),
        created=created,
        expires=min((end for end in (_shared_end(obligations, created), declaration.expires) if end), default=None),
        profile=canonical.sha256(canonical.plain(declaration.disclosure)),
        crypt4gh=sealing,
        replaces=asked.reissue.replaces if asked.reissue else None,
        view=StatedRules(profile=rules.profile, sha256=rules.sha256, min_carriers=rules.min_carriers),
        files=(),
    )


def _shared_end(obligations: Obligations, created: datetime) -> datetime | None:
    return None if obligations.expires is None else times.coarse_end(obligations.expires, now=created)
