"""Reason codes of decisions: a closed list, each with its text for stewards.

Researchers and engines never see them: *absent* and *not permitted* look alike to them (``UNIFORM``).
"""

from __future__ import annotations

from dataclasses import dataclass

UNIFORM = "No data can be released for this request."
"""The one text for researchers and engines, whatever the reason."""


@dataclass(frozen=True, order=True)
class Reason:
    """One rule that contributed to a decision. ``about`` is its object: a policy, a DUO code, a topic; never a subject."""

    code: str
    about: str = ""

    def words(self) -> str:
        """Text of the reason for a steward, with what to change in the project where that is known."""
        text = WORDS[self.code]
        lacking = LACKING.get(self.about, "") if self.code in UNDECLARED else ""
        if lacking:
            text = f"{text.removesuffix('.')}: {lacking}"
        return f"{text} [{self.about}]" if self.about else text


CONSENT_COVERS_PURPOSE = "consent_covers_purpose"

NO_ACTIVE_CONSENT = "no_active_consent"
NOT_ASKED = "not_asked"
DECLINED = "declined"
WITHDRAWN = "withdrawn"
OBJECTED = "objected"
INVALIDATED = "invalidated"
NOT_NAMED_AGAIN = "not_named_again"
CONSENT_EXPIRED = "consent_expired"
CONSENT_NOT_YET_VALID = "consent_not_yet_valid"
CONSENT_NOT_CHECKED = "consent_not_checked"
PENDING_RECONSENT = "pending_reconsent"
GUARDIANS_DISAGREE = "guardians_disagree"
RESTRICTED = "restricted"
DECEASED = "deceased"
CAPACITY_LOST = "capacity_lost"
NO_NEW_DATA = "no_new_data"
DATA_TIME_UNKNOWN = "data_time_unknown"
RECIPIENT_EXCLUDED = "recipient_excluded"
PURPOSE_EXCLUDED = "purpose_excluded"
RECIPIENT_NOT_DECLARED = "recipient_not_declared"
PURPOSE_NOT_DECLARED = "purpose_not_declared"
MATERIAL_CHANGE = "material_change"
DATA_CLASS_NOT_COVERED = "data_class_not_covered"
NO_TERMS = "no_terms"

PURPOSE_TOO_WIDE = "purpose_too_wide"
ANCESTRY_NOT_COVERED = "ancestry_not_covered"
METHODS_NEED_RULING = "methods_need_ruling"
METHODS_NOT_COVERED = "methods_not_covered"
CLINICAL_CARE_NOT_COVERED = "clinical_care_not_covered"
DISEASE_NOT_COVERED = "disease_not_covered"
DISEASE_MISSING = "disease_missing"
DISEASE_UNKNOWN = "disease_unknown"
ONTOLOGY_NOT_LOADED = "ontology_not_loaded"

PROHIBITED = "prohibited"
CONSTRAINT_VIOLATED = "constraint_violated"
TIME_LIMIT_REACHED = "time_limit_reached"
PARAMETER_MISSING = "parameter_missing"
PURPOSE_INCOMPLETE = "purpose_incomplete"
EVIDENCE_MISSING = "evidence_missing"
COMMITMENT_MISSING = "commitment_missing"
UNKNOWN_CODE = "unknown_code"
UNKNOWN_OBLIGATION = "unknown_obligation"
MODIFIER_NEEDS_RULING = "modifier_needs_ruling"
TOPIC_NEEDS_RULING = "topic_needs_ruling"

LOCI_UNRESOLVED = "loci_unresolved"
NOTHING_LEFT = "nothing_left"
PLACES_EXCLUDED = "places_excluded"

WORDS: dict[str, str] = {
    CONSENT_COVERS_PURPOSE: "The person's consent covers this purpose.",
    NO_ACTIVE_CONSENT: "There is no consent in force for this use.",
    NOT_ASKED: "The person was never asked about this use.",
    DECLINED: "The person declined this use.",
    WITHDRAWN: "The person withdrew. A withdrawal never expires.",
    OBJECTED: "The person objected to this use.",
    INVALIDATED: "The consent was declared invalid.",
    NOT_NAMED_AGAIN: "The person withdrew, and the later consent does not name this use by itself.",
    CONSENT_EXPIRED: "The consent has run out.",
    CONSENT_NOT_YET_VALID: "The consent begins later.",
    CONSENT_NOT_CHECKED: "The consent has not passed its quality check.",
    PENDING_RECONSENT: "A guardian signed, and the person must now decide for themselves.",
    GUARDIANS_DISAGREE: "Guardians disagree about this use.",
    RESTRICTED: "Use of this person's data is restricted.",
    DECEASED: "The person has died and did not agree to use after death.",
    CAPACITY_LOST: "The person can no longer decide; a steward must rule.",
    NO_NEW_DATA: "The person allows no data gathered after their withdrawal.",
    DATA_TIME_UNKNOWN: "The person allows no new data, and it is not known when these data were gathered.",
    RECIPIENT_EXCLUDED: "The person excluded this recipient.",
    PURPOSE_EXCLUDED: "The person excluded this kind of purpose.",
    RECIPIENT_NOT_DECLARED: "The person excluded some recipients, and the project does not say whether it is one of them.",
    PURPOSE_NOT_DECLARED: "The person excluded this kind of purpose, and the project does not say whether it is one.",
    MATERIAL_CHANGE: "The form has changed materially since; it does not cover purposes declared after the change.",
    DATA_CLASS_NOT_COVERED: "The consent does not cover this kind of data.",
    NO_TERMS: "The consent names no use that can be decided.",
    PURPOSE_TOO_WIDE: "The purpose is wider than the consent.",
    ANCESTRY_NOT_COVERED: "The consent does not cover research into ancestry or population origin, or covers only that.",
    METHODS_NEED_RULING: "Methods development alone under a health consent needs a ruling.",
    METHODS_NOT_COVERED: "The consent does not cover methods development.",
    CLINICAL_CARE_NOT_COVERED: "The consent does not cover clinical care.",
    DISEASE_NOT_COVERED: "The purpose's disease is not among the diseases of the consent.",
    DISEASE_MISSING: "The consent is for a disease but names none.",
    DISEASE_UNKNOWN: "A disease is not in the loaded ontology.",
    ONTOLOGY_NOT_LOADED: "No disease ontology is loaded, and diseases are never guessed.",
    PROHIBITED: "The consent prohibits a part of this purpose.",
    CONSTRAINT_VIOLATED: "The purpose breaks a limit of the consent.",
    TIME_LIMIT_REACHED: "The time limit of the consent is over.",
    PARAMETER_MISSING: "A limit of the consent lacks its value.",
    PURPOSE_INCOMPLETE: "The purpose does not say what this limit of the consent needs.",
    EVIDENCE_MISSING: "A document that the consent asks for is missing or out of date.",
    COMMITMENT_MISSING: "The project has not made a commitment that the release needs.",
    UNKNOWN_CODE: "The consent holds a code that is not known.",
    UNKNOWN_OBLIGATION: "The release would carry a duty that cannot be enforced here.",
    MODIFIER_NEEDS_RULING: "A steward must rule on this condition of the consent.",
    TOPIC_NEEDS_RULING: "A steward must rule on this sensitive topic of the purpose.",
    LOCI_UNRESOLVED: "An excluded gene or region cannot be placed on this assembly.",
    NOTHING_LEFT: "Nothing of what was asked for remains after exclusions.",
    PLACES_EXCLUDED: "The person excludes places of the genome, and the project leaves such people out (disclosure: opt_outs).",
}
"""Text of every reason code."""

UNDECLARED = frozenset({PURPOSE_NOT_DECLARED, RECIPIENT_NOT_DECLARED, PURPOSE_INCOMPLETE, EVIDENCE_MISSING, COMMITMENT_MISSING})
"""Reasons that another declaration of the project can settle."""

_DECLARE = {
    "the project does not declare whether it is commercial (purpose: commercial: true or false)": ("commercial", "NCU"),
    "the project does not declare whether the organisation works for profit (organisation: profit: non_profit or for_profit)": (
        "NPU",
    ),
    "the project does not declare whether it is a genetic study (purpose: genetic: true or false)": ("GSO",),
    "the project does not declare the country (organisation: country)": ("country", "GS"),
    "the project does not declare who receives the data (organisation: id)": ("org", "IS"),
    "the project does not declare who works with the data (people)": ("US",),
    "the project does not declare what it investigates (purpose: investigations)": ("RS",),
    "the project declares no ethics approval that is in date (purpose: ethics: reference and expires)": ("IRB",),
    "the project declares no collaboration (purpose: collaboration)": ("COL",),
    "the project does not promise to publish (purpose: commitments: publish)": ("publish",),
    "the project does not promise to return results (purpose: commitments: return_results)": ("return_results",),
    "the project does not promise to keep the embargo (purpose: commitments: moratorium_ack)": ("moratorium_ack",),
    "the project does not promise that nobody tries to find out who these people are (purpose: commitments: no_reid)": (
        "no_reid",
    ),
}
LACKING = {about: text for text, several in _DECLARE.items() for about in several}
"""Lack of the declaration, by what the reason is about."""

_STRONGEST = (
    WITHDRAWN,
    OBJECTED,
    RESTRICTED,
    DECEASED,
    DECLINED,
    NOT_NAMED_AGAIN,
    INVALIDATED,
    GUARDIANS_DISAGREE,
    PENDING_RECONSENT,
    CONSENT_EXPIRED,
    CONSENT_NOT_YET_VALID,
    CONSENT_NOT_CHECKED,
    NOT_ASKED,
    NO_ACTIVE_CONSENT,
    RECIPIENT_EXCLUDED,
    PURPOSE_EXCLUDED,
)
_STRENGTH = {code: at for at, code in enumerate(_STRONGEST)}


def strength(reason: Reason) -> int:
    """Rank of a reason that refuses, 0 the strongest: what the person said or what became of them, then what the project lacks."""
    return _STRENGTH.get(reason.code, len(_STRONGEST))
