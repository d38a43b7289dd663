"""A merge of two registrations in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vault.operations.corrections.merging import MergeReport


def merge_lines(report: MergeReport) -> list[str]:
    """Lines on what was done, or would be. Handles, counts and names of policies; nothing of the person."""
    done = report.state == "merged"
    lines = {
        "merged": [f"{report.goes} is one with {report.stays} now, and every reference to either leads there"],
        "proposed": [
            f"proposed: {report.goes} becomes part of {report.stays}; nothing has changed",
            "another steward gives the same command within 30 days",
        ],
        "would_merge": [
            f"{report.goes} would become part of {report.stays}" + (", when two stewards say so" if report.takes_two else "")
        ],
    }[report.state]
    if report.differing:
        lines.append(f"the registrations differ in {_listed(report.differing)}; what {report.stays} says stands")
    for met in report.calls:
        kinship = "too little in common to compare" if met.kinship is None else f"kinship {met.kinship}"
        lines.append(
            f"{met.dataset}: {met.parts:,} parts; calls that both have: {met.same:,} the same, {met.different:,} different, "
            f"of which the earlier import's stand; {kinship}"
        )
    lines.append(
        f"statements of consent recorded anew: {report.statements:,}; allowed by both together: {_listed(report.granted)}"
    )
    if report.ended:
        lines.append(f"allowed by one and not any more, because the other says no: {_listed(report.ended)}")
    if report.state != "proposed":
        lines.append(f"the pseudonyms of {report.goes} {'are' if done else 'would be'} retired: they are never computed again")
    if report.releases:
        lines.append(f"releases that hold them: {_listed(report.releases)}")
    if done:
        lines.append("make a backup of the data now: older ones lack keys that were destroyed")
    return lines


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names).replace("_", " ") if names else "nothing"
