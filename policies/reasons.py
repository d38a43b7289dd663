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
        """Text of the reason for a steward."""
        text = WORDS[self.code]
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
}
"""Text of every reason code."""
