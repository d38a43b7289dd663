"""PROJECT.yaml: parser of project declarations, and a template.

``parse_project`` takes the mapping that the caller loaded and returns a frozen ``ProjectDeclaration``, or raises an error that lists
every problem with its place; ``lint`` returns the list alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, tzinfo

from policies import canonical, duo
from policies.disclosure import noise
from policies.disclosure.budgets import DEFAULT_CAPS, BudgetScope
from policies.disclosure.membership import MOST_MU
from policies.disclosure.view_profiles import MOST_CARRIERS, REFERENCE, OptOuts, read_fields
from policies.errors import InputProblem, PolicyInputError
from policies.purposes import (
    RULABLE,
    Activity,
    ApprovalMode,
    Commitment,
    Delivery,
    DisclosureProfile,
    Organisation,
    Profit,
    ProjectDeclaration,
    PseudonymScope,
    Purpose,
    Recipient,
    RequestKind,
    Topic,
    UseKind,
)
from policies.strict_mapping import Section
from policies.terms import DATA_CLASSES, GENOTYPES, country

CODE = re.compile(r"[a-z][a-z0-9]{1,19}")
"""A project's code: it prefixes pseudonyms, so it is short, lower case and a valid bech32 prefix."""

MAX_BITS = 10_000_000  # bits of genotype information: a whole genome has fewer


def parse_project(data: object, *, zone: tzinfo = UTC) -> ProjectDeclaration:
    """Parse the mapping loaded from PROJECT.yaml. A bare date means its first moment in ``zone``.

    Raises:
        PolicyInputError: with every problem and its place; unknown fields are problems.
    """
    return _parsed(data, zone, stored=False)


def parse_stored(text: str) -> ProjectDeclaration:
    """Parse the canonical text of a declaration.

    Raises:
        PolicyInputError: as ``parse_project``.
    """
    return _parsed(canonical.loads(text), UTC, stored=True)


def lint(data: object, *, zone: tzinfo = UTC) -> tuple[InputProblem, ...]:
    """Every problem of a declaration, empty when ``parse_project`` would accept it."""
    return tuple(_read(data, zone, stored=False)[1])


def project_template(code: str = "demo", dataset: str = "cohort", *, expires: date | None = None) -> str:
    """A commented PROJECT.yaml that lints: general health research on one dataset, records with phase, no limits.

    Raises:
        PolicyInputError: ``bad_code``, ``bad_name`` for a code or dataset that could not be used.
    """
    if not CODE.fullmatch(code):
        raise PolicyInputError("bad_code", _CODE_RULE, "code")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", dataset):
        raise PolicyInputError("bad_name", "a dataset's name is letters, digits, dots, hyphens and underscores", "datasets[0]")
    ends = (
        f"expires: {expires.isoformat()}"
        if expires
        else "# expires: 2027-01-01         # the first day on which nothing may be released any more"
    )
    return _TEMPLATE.replace("@CODE@", code).replace("@DATASET@", dataset).replace("@EXPIRES@", ends)


def _parsed(data: object, zone: tzinfo, *, stored: bool) -> ProjectDeclaration:
    project, problems = _read(data, zone, stored=stored)
    if problems or project is None:
        raise PolicyInputError.from_problems(problems)
    return project


def _read(data: object, zone: tzinfo, *, stored: bool) -> tuple[ProjectDeclaration | None, list[InputProblem]]:
    problems: list[InputProblem] = []
    top = Section(data, "", problems)
    code = top.text("code", longest=100)
    if code and not CODE.fullmatch(code):
        top.note("bad_code", _CODE_RULE, "code")
    title = top.text("title", longest=300)
    people = _people(top)
    organisation = _organisation(top.section("organisation"))
    purpose = _purpose(top.section("purpose", required=True), organisation, people, code, zone)
    datasets = top.texts("datasets", required=True, longest=64)
    kinds = tuple(RequestKind(item) for item in top.choices("kinds", tuple(RequestKind), required=True))
    disclosure = _disclosure(top.section("disclosure"))
    if RequestKind.MATCHING in kinds and purpose is not None and purpose.action is not Activity.MATCHING:
        top.note("action_needed", "matching in place is asked of those who allow matching: purpose.action is matching", "kinds")
    pseudonyms = PseudonymScope(top.choice("pseudonyms", tuple(PseudonymScope), default=PseudonymScope.PROJECT))
    expires = top.instant("expires", zone=zone)
    recipients = _recipients(top, keys=stored)
    approval = ApprovalMode(top.choice("approval", tuple(ApprovalMode), default=ApprovalMode.STANDING))
    delivery = Delivery(top.choice("delivery", tuple(Delivery))) if top.has("delivery") else None
    if delivery is Delivery.SEALED and not recipients:
        top.note("missing", "what is sealed is for somebody: name recipients", "recipients")
    top.finish()
    if problems or purpose is None:
        return None, problems
    given = code, title, purpose, datasets, kinds, disclosure, pseudonyms, expires, recipients, approval, delivery
    return ProjectDeclaration(*given), problems


def _purpose(section: Section, organisation: Organisation, people: tuple[str, ...], code: str, zone: tzinfo) -> Purpose | None:
    kinds = set(section.choices("use_kinds", tuple(UseKind), required=True))
    if section.flag("methods"):
        kinds.add(UseKind.METHODS)
    action = Activity(section.choice("action", tuple(Activity), default=Activity.RESEARCH))
    diseases = _each(section, "diseases", lambda text, place: duo.disease(text, place=place))
    investigations = _each(section, "investigations", _investigation)
    commercial, genetic, controls = section.maybe("commercial"), section.maybe("genetic"), section.flag("controls")
    commitments = tuple(Commitment(item) for item in section.choices("commitments", tuple(Commitment)))
    ethics = section.section("ethics")
    irb_ref = ethics.text("reference", default="", longest=500)
    irb_expires = ethics.instant("expires", zone=zone)
    ethics.finish()
    collaboration = section.text("collaboration", default="", longest=500)
    topics = tuple(Topic(item) for item in section.choices("topics", tuple(Topic)))
    rulings = section.choices("rulings", RULABLE)
    data_classes = section.choices("data_classes", DATA_CLASSES) or (GENOTYPES,)
    section.finish()
    before = len(section.problems)
    try:
        return Purpose(
            use_kinds=tuple(kind for kind in UseKind if kind in kinds),
            action=action,
            diseases=diseases,
            investigations=investigations,
            commercial=commercial,
            genetic=genetic,
            controls=controls,
            commitments=commitments,
            irb_ref=irb_ref,
            irb_expires=irb_expires,
            collaboration_ref=collaboration,
            topics=topics,
            rulings=rulings,
            data_classes=data_classes,
            organisation=organisation,
            people=people,
            project=code,
        )
    except PolicyInputError as error:
        if before == 0 or not any(item.place.startswith(error.place) for item in section.problems):
            section.problems.extend(error.problems)
        return None


def _each(section: Section, key: str, read: Callable[[str, str], str]) -> tuple[str, ...]:
    found: set[str] = set()
    for index, text in enumerate(section.texts(key)):
        try:
            found.add(read(text, f"{section.place}.{key}[{index}]"))
        except PolicyInputError as error:
            section.problems.extend(error.problems)
    return tuple(sorted(found))


def _investigation(text: str, place: str) -> str:
    found = duo.investigation(text)
    if found is None:
        raise PolicyInputError("unknown_code", f"{text!r:.60} is not a DUO investigation term", place)
    return found


def _organisation(section: Section) -> Organisation:
    ident, name = section.text("id", default="", longest=200), section.text("name", default="", longest=300)
    kind = section.text("type", default="", longest=100)
    place = section.text("country", default="", longest=60)
    profit = section.choice("profit", tuple(Profit)) if section.has("profit") else None
    section.finish()
    if place:
        try:
            place = country(place, place=f"{section.place}.country")
        except PolicyInputError as error:
            section.problems.extend(error.problems)
    return Organisation(ident, name, kind, place, Profit(profit) if profit else None)


def _people(top: Section) -> tuple[str, ...]:
    names: list[str] = []
    for key, value in top.items("people"):
        if isinstance(value, str):
            names.append(value.strip())
            if not value.strip():
                top.note("empty", "must not be empty", key)
        else:
            one = Section(value, key, top.problems)
            names.append(one.text("name", longest=200))
            one.finish()
    return tuple(sorted({name for name in names if name}))


def _disclosure(section: Section) -> DisclosureProfile:
    profile = section.text("profile", default="", longest=60)
    if profile and not REFERENCE.fullmatch(profile):
        section.note("bad_name", "a profile is NAME@VERSION, for example standard@1", "profile")
    if section.has("fields") and (section.has("keep_phase") or section.has("keep_ids")):
        section.note("given_twice", "PHASE and ID are among the fields: leave keep_phase and keep_ids out", "fields")
    found = DisclosureProfile(
        keep_phase=section.flag("keep_phase"),
        keep_ids=section.flag("keep_ids"),
        min_group=section.whole("min_group", 1, 1_000_000_000),
        max_bits=section.whole("max_bits", 1, MAX_BITS),
        mu=section.millionths("mu", 1_000, MOST_MU),
        epsilon=section.millionths("epsilon", noise.LEAST, noise.MOST),
        nats=section.millionths("nats", noise.LEAST, DEFAULT_CAPS[BudgetScope.PROJECT]),
        profile=profile,
        min_carriers=section.whole("min_carriers", 1, MOST_CARRIERS),
        opt_outs=OptOuts(section.choice("opt_outs", tuple(OptOuts))) if section.has("opt_outs") else None,
        fields=read_fields(section) or (),
    )
    section.finish()
    return found


def _recipients(top: Section, *, keys: bool) -> tuple[Recipient, ...]:
    """``keys``: a public key may stand beside the name, as in declarations of before."""
    found = []
    for one in top.sections("recipients"):
        found.append(Recipient(one.text("name", longest=200), one.text("key", default="", longest=4_000)))
        if found[-1].key and not keys:
            one.note(
                "key_not_served",
                "keys are in the recipient book, confirmed by their fingerprints (genovault recipient add): give the name alone",
                "key",
            )
        one.finish()
    return tuple(found)


_CODE_RULE = "a project's code is 2 to 20 lower-case letters and digits, beginning with a letter"

_TEMPLATE = """\
# A project: what is done with people's data, by whom, and what may leave the vault for it.
# Check it with: genovault project lint FILE. Lines that begin with # are choices you may want.

code: @CODE@                     # 2-20 lower-case letters and digits; every pseudonym of this project begins with it
title: Health research on @DATASET@

purpose:
  use_kinds: [hmb]               # general, hmb (health and medical), disease, poa (ancestry), methods, clinical_care
  # action: matching             # a program that recommends treatments; or clinical_care, return_of_results, recontact: not research
  # diseases: ["MONDO:0004992"]  # for the kind disease: the most specific terms that are true
  # commercial: false            # consents for non-commercial use need to know
  # genetic: true                # consents for genetic studies only need to know
  # controls: true               # data used as controls: a steward must rule on it
  # topics: [ancestry]           # sensitive topics; a steward must rule on each
  # ethics: {reference: "2025-0117", expires: 2027-01-01}
  # collaboration: "agreement of 2025-01-31"
  commitments: [no_reid]         # nobody tries to find out who these people are: no release goes without it. A consent may
                                 # ask for more: publish, return_results, moratorium_ack

# organisation:
#   id: "https://ror.org/00f54p054"
#   name: Example University
#   type: university
#   country: "DE"                # ISO 3166-1, in quotes
#   profit: non_profit           # or for_profit
# people: [ann]                  # who works with the data; an engine gets views only of projects that name it here

datasets: ["@DATASET@"]
kinds: [records]                 # genotypes for each person; counts, presence: noisy numbers, frequencies: exact ones of approved panels, charged to budgets; matching (and that action): whom approved criteria hold for

disclosure:
  keep_phase: true               # which of the two chromosomes an allele lies on
  # keep_ids: true               # rsIDs of variants
  # min_group: 20                # refuse a view of fewer people
  # nats: 1                      # what all its counts, presence and frequencies may cost, where 2.3 is too much
  # epsilon: 0.1                 # nats for each allele of counts and presence: what it asks with, and at most
  # mu: 0.2                      # how well all its frequencies together may tell who takes part, where 0.363 is too much
  # max_bits: 10                 # how well people may be told apart by all that left to the organisation, in bits
  # min_carriers: 5              # show no site with a variant that fewer people carry
  # opt_outs: leave_out          # who excludes a place of the genome is in no release; mask: that place is hidden of everybody
  # profile: standard@1          # rules of all that is not said here: fields, margins, linked sites (genovault consent packs)

# approval: each                 # a steward approves each request; without it all are approved with the project
pseudonyms: project              # the same names in each release; "release" makes new ones each time
@EXPIRES@
# recipients:                    # who gets extracts, by their names in the recipient book (genovault recipient list): extracts are
#   - {name: lab}                # encrypted to their keys, and to nobody else's
# delivery: plain                # or not encrypted, although there are recipients
"""
