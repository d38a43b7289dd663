"""Projects whose people change."""

from __future__ import annotations

from policies import canonical
from vault.access import project_versions, projects
from vault.session.unlocked_vault import UnlockedVault


def name(s: UnlockedVault, code: str, *people: str) -> None:
    """Have a project name these people, and nobody else, from its next version on, which comes into force."""
    project = projects.load(s, code)
    document = canonical.loads(project.declaration_text)
    project_versions.amend(s, {**document, "people": list(people)}, reason="people changed")
    projects.change(s, code, "approve", version=project.version + 1)
