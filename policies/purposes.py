"""Project declaration: purpose in DUO terms, organisation, kinds of request, and disclosure profile.

``declarations`` reads it from PROJECT.yaml. An undeclared property stays None, because a property that a consent depends on and a
project does not declare decides as REVIEW.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from policies import canonical, consent
from policies.disclosure import nats
from policies.disclosure.view_profiles import STANDARD, OptOuts, ViewField
from policies.errors import PolicyInputError
from policies.terms import GENOTYPES


class UseKind(StrEnum):
    """Kind of use; a purpose must pass for every kind it names."""

    GENERAL = "general"
    HMB = "hmb"
    DISEASE = "disease"
    POA = "poa"
    METHODS = "methods"
    CLINICAL_CARE = "clinical_care"


class Activity(StrEnum):
    """Activity, which selects the policy that must be granted (docs/design/consent.md §7.2): none relies on another's consent."""

    RESEARCH = "research"
    MATCHING = "matching"
    RETURN_OF_RESULTS = "return_of_results"
    CLINICAL_CARE = "clinical_care"
    RECONTACT = "recontact"
    LAW_ENFORCEMENT = "law_enforcement"


REQUIRED_POLICY: dict[Activity, str] = {
    Activity.RESEARCH: consent.RESEARCH_USE,
    Activity.MATCHING: consent.MATCHING,
    Activity.RETURN_OF_RESULTS: consent.RETURN_OF_RESULTS,
    Activity.CLINICAL_CARE: consent.CLINICAL_CARE,
    Activity.RECONTACT: consent.RECONTACT,
    Activity.LAW_ENFORCEMENT: consent.LAW_ENFORCEMENT,
}


ASKED = frozenset({*REQUIRED_POLICY.values(), consent.USE_AFTER_DEATH})
"""Policies that decisions ask for. A consent to any other grants nothing."""


class Commitment(StrEnum):
    """Commitment that a project makes."""

    NO_REID = "no_reid"
    PUBLISH = "publish"
    RETURN_RESULTS = "return_results"
    MORATORIUM_ACK = "moratorium_ack"


class Topic(StrEnum):
    """Sensitive topics, on which a steward must rule (docs/design/consent.md §9.4)."""

    OTHER_USE = "other_use"
    ONE_GENDER = "one_gender"
    PAEDIATRIC = "paediatric"
    ILLEGAL_BEHAVIOUR = "illegal_behaviour"
    ADDICTION = "addiction"
    SEXUAL_HEALTH = "sexual_health"
    STIGMATISING_ILLNESS = "stigmatising_illness"
    VULNERABLE_GROUPS = "vulnerable_groups"
    ANCESTRY = "ancestry"
    PSYCHOLOGICAL_TRAITS = "psychological_traits"
    ETHNICITY = "ethnicity"
    NOT_HEALTH = "not_health"
    CONTROLS = "controls"
    POPULATION_STUDY = "population_study"


REVIEW_MODIFIERS = ("COL", "GS", "GSO", "IRB", "MOR", "PUB")
"""Modifiers of a consent that a steward must rule on."""

RULABLE = (*(str(topic) for topic in Topic), *REVIEW_MODIFIERS, "RS")
"""Items that a ruling can name. RS is one because its free text must be read by a steward."""

_INVESTIGATION_TOPICS = {
    "DUO:0000032": Topic.POPULATION_STUDY,
    "DUO:0000033": Topic.ANCESTRY,
    "DUO:0000035": Topic.ONE_GENDER,
    "DUO:0000036": Topic.CONTROLS,
}


class Profit(StrEnum):
    """Profit status of an organisation."""

    NON_PROFIT = "non_profit"
    FOR_PROFIT = "for_profit"


class RequestKind(StrEnum):
    """Kind of answer to a request."""

    RECORDS = "records"
    COUNTS = "counts"
    PRESENCE = "presence"
    MATCHING = "matching"  # criteria packs, answered in place
    FREQUENCIES = "frequencies"


class PseudonymScope(StrEnum):
    """Scope of pseudonyms: constant within the project, or new in each release."""

    PROJECT = "project"
    RELEASE = "release"


class ApprovalMode(StrEnum):
    """Approval of a project's requests: with the project, or each by a steward."""

    STANDING = "standing"
    EACH = "each"


class Delivery(StrEnum):
    """Sealing of extracts to the declared recipients' keys."""

    SEALED = "sealed"
    PLAIN = "plain"


@dataclass(frozen=True)
class Organisation:
    """Receiving organisation. Empty fields were not declared."""

    id: str = ""
    name: str = ""
    type: str = ""
    country: str = ""
    profit: Profit | None = None


@dataclass(frozen=True)
class Purpose:
    """Use of the data, and the organisation and people it is for (docs/design/consent.md §7.2).

    ``declared_at`` is when this version was approved.
    """

    use_kinds: tuple[UseKind, ...]
    action: Activity = Activity.RESEARCH
    diseases: tuple[str, ...] = ()
    investigations: tuple[str, ...] = ()
    commercial: bool | None = None
    genetic: bool | None = None
    controls: bool = False
    commitments: tuple[Commitment, ...] = ()
    irb_ref: str = ""
    irb_expires: datetime | None = None
    collaboration_ref: str = ""
    topics: tuple[Topic, ...] = ()
    rulings: tuple[str, ...] = ()
    data_classes: tuple[str, ...] = (GENOTYPES,)
    organisation: Organisation = Organisation()
    people: tuple[str, ...] = ()
    project: str = ""
    declared_at: datetime | None = None

    def __post_init__(self) -> None:
        if not self.use_kinds:
            raise PolicyInputError("empty", "a purpose says what is done with the data", "purpose.use_kinds")
        if UseKind.DISEASE in self.use_kinds and not self.diseases:
            raise PolicyInputError("missing", "a disease purpose names its diseases", "purpose.diseases")
        if self.diseases and not {UseKind.DISEASE, UseKind.CLINICAL_CARE} & set(self.use_kinds):
            raise PolicyInputError("unused", "diseases belong to the use kinds disease and clinical_care", "purpose.diseases")
        for at in (self.irb_expires, self.declared_at):
            if at is not None:
                canonical.aware(at, place="purpose")

    def all_topics(self) -> tuple[Topic, ...]:
        """Declared and implied topics, in the order of ``Topic``."""
        found = {*self.topics, *(_INVESTIGATION_TOPICS[item] for item in self.investigations if item in _INVESTIGATION_TOPICS)}
        if UseKind.POA in self.use_kinds:
            found.add(Topic.ANCESTRY)
        if self.controls:
            found.add(Topic.CONTROLS)
        return tuple(topic for topic in Topic if topic in found)


@dataclass(frozen=True)
class DisclosureProfile:
    """De-identification settings of a project's views. None means no limit of that kind, or as the profile has it.

    ``profile``: name and version of the rules that the others are stated beside (``policies.disclosure.view_rules``); empty: ``STANDARD``.
    """

    keep_phase: bool = False
    keep_ids: bool = False
    min_group: int | None = None  # subjects in a view
    max_bits: int | None = None  # bits of genotype information, over all that left to the organisation
    mu: int | None = None  # millionths: strength of the membership test against all exact tables of the project together
    epsilon: int | None = None  # millionths of a nat: of a noisy number that is asked for without saying, and at most
    nats: int | None = None  # millionths of a nat: the project's budget, where it is lower than the usual one
    profile: str = ""
    min_carriers: int | None = None  # people who carry an ALT that is shown
    opt_outs: OptOuts | None = None
    fields: tuple[ViewField, ...] = ()

    @property
    def reference(self) -> str:
        """Name and version of the profile that holds."""
        return self.profile or STANDARD


@dataclass(frozen=True)
class Recipient:
    """Recipient of extracts, an entry of the recipient book. ``key``: only in declarations of before, whose extracts are refused."""

    name: str
    key: str


@dataclass(frozen=True)
class ProjectDeclaration:
    """One approved or proposed project declaration."""

    code: str
    title: str
    purpose: Purpose
    datasets: tuple[str, ...]
    kinds: tuple[RequestKind, ...] = (RequestKind.RECORDS,)
    disclosure: DisclosureProfile = DisclosureProfile()
    pseudonyms: PseudonymScope = PseudonymScope.PROJECT
    expires: datetime | None = None
    recipients: tuple[Recipient, ...] = ()
    approval: ApprovalMode = ApprovalMode.STANDING
    delivery: Delivery | None = None  # None: sealed where recipients are declared

    @property
    def sealed(self) -> bool:
        """True if extracts are sealed to the declared recipients."""
        return bool(self.recipients) if self.delivery is None else self.delivery is Delivery.SEALED

    def text(self) -> str:
        """Canonical JSON of the declaration, which ``parse_stored`` reads."""
        return canonical.dumps(as_dict(self))

    def digest(self) -> str:
        """64 hex digits: SHA-256 of ``text``."""
        return canonical.sha256(as_dict(self))


_MILLIONTHS = frozenset({"mu", "epsilon", "nats"})
"""Fields of a disclosure profile that PROJECT.yaml has as decimals."""


def as_dict(project: ProjectDeclaration) -> dict[str, object]:
    """Declaration as JSON values in the shape of PROJECT.yaml; undeclared fields are left out."""
    purpose = project.purpose
    own: dict[str, object] = {
        "use_kinds": purpose.use_kinds,
        "action": purpose.action,
        "diseases": purpose.diseases,
        "investigations": purpose.investigations,
        "commercial": purpose.commercial,
        "genetic": purpose.genetic,
        "controls": purpose.controls or None,
        "commitments": purpose.commitments,
        "ethics": {"reference": purpose.irb_ref, "expires": purpose.irb_expires} if purpose.irb_ref else None,
        "collaboration": purpose.collaboration_ref,
        "topics": purpose.topics,
        "rulings": purpose.rulings,
        "data_classes": purpose.data_classes,
    }
    full: dict[str, object] = {
        "code": project.code,
        "title": project.title,
        "purpose": {key: canonical.plain(value) for key, value in own.items() if value not in (None, "", ())},
        "organisation": canonical.plain(purpose.organisation),
        "people": list(purpose.people),
        "datasets": list(project.datasets),
        "kinds": canonical.plain(project.kinds),
        "disclosure": _disclosure(project.disclosure),
        "pseudonyms": str(project.pseudonyms),
        "expires": canonical.instant_text(project.expires),
        "recipients": canonical.plain(project.recipients),
        "approval": "" if project.approval is ApprovalMode.STANDING else str(project.approval),  # as before there was a choice
        "delivery": None if project.delivery is None else str(project.delivery),
    }
    return {key: value for key, value in full.items() if value}


def _disclosure(profile: DisclosureProfile) -> dict[str, object]:
    """The profile in the shape of PROJECT.yaml: millionths as decimals, in texts, since canonical JSON has no floats."""
    said = canonical.plain(profile)
    shown = said if isinstance(said, dict) else {}
    return {key: nats.text(value) if key in _MILLIONTHS else value for key, value in shown.items()}
