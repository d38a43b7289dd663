"""A second, naive implementation of consent decisions, written from docs/design/consent.md §9-§11 and sharing no rule with policies/.

It reads events and purposes as data, loops over everything, and answers permit, deny or review. It knows what the generator of
histories makes: the policies research_use and recontact, the scopes everything, policy and module, levels no_new_use and
no_contact, guardians, quality states, corrections, windows, and the modifiers below.
"""

from __future__ import annotations

ABOVE = {
    "MONDO:0008903": {"MONDO:0004992", "MONDO:0000001"},
    "MONDO:0004992": {"MONDO:0000001"},
    "MONDO:0005015": {"MONDO:0000001"},
    "MONDO:0000001": set(),
}
TABLE = {  # docs/design/consent.md §9.1: columns general, hmb, disease, poa, methods; clinical care apart
    "NRES": "P P P P P",
    "GRU": "P P P P P",
    "HMB": "D P P D m",
    "DS": "D D d D m",
    "POA": "D D D P D",
}
COLUMNS = ["general", "hmb", "disease", "poa", "methods"]
OPPOSED = {"declined", "withdrawn", "invalidated", "objected"}


def oracle(events, purpose, at):
    """``permit``, ``deny`` or ``review`` for the research-use policy, all events known."""
    opposing, accepting = collect(events)
    live = [one for one in accepting if one["policy"] == "research_use" and in_force(one, at)]
    against_research = [one for one in opposing if one["scope"] in {"everything", "policy:research_use"} and one["level"] >= 3]
    live = [one for one in live if not any(new(one, no) and recorded_behind(no, one) for no in against_research)]
    if not live:
        return "deny"
    latest = live[0]
    for one in live:
        if (one["time"], one["place"], one["seq"]) > (latest["time"], latest["place"], latest["seq"]):
            latest = one
    if module_gone(latest, opposing):
        return "deny"
    for against in against_research:
        if not wins(latest, against) or not latest["explicit"]:
            return "deny"
        if against["guardian"] and latest["guardian"] and (not latest["ref"] or latest["ref"] != against["ref"]):
            return "deny"
    answers = [alternative(one, purpose, latest["time"], at) for one in latest["alternatives"]]
    for wanted in ("permit", "review"):
        if wanted in answers:
            return wanted
    return "deny"


def collect(events):
    opposing, accepting = [], []
    for event in events:
        later = [one for one in events if one.supersedes == event.event_id and one.seq > event.seq]
        gone = [one for one in later if one.qc != "invalid" and not never_said(one, events)]
        undone = annulled(event, events)
        base = {
            "time": event.legal_time,
            "seq": event.seq,
            "place": place(event, events),
            "by_time": place(event, events) != event.seq,
            "guardian": event.signer == "guardian",
            "ref": event.signer_ref,
            "lapse": event.lapses_at,
            "majority": event.on_majority,
            "until": [end for end in (event.valid_to,) if end is not None],
            "since": event.valid_from,
            "rules": event.rules,
            "day": event.rules == 1 or event.precision == "day",
        }
        if event.withdrawal is not None and event.qc != "invalid" and not undone:
            opposing.append({**base, "scope": event.withdrawal.scope, "level": int(event.withdrawal.level)})
        for item in event.answers:
            if item.answer in OPPOSED and event.qc != "invalid" and not undone:
                opposing.append({**base, "scope": f"policy:{item.policy}", "level": 3})
            if item.answer == "accepted" and event.qc != "invalid":
                for one in [two for two in later if two.qc != "invalid" and two.correction is None]:
                    against = one.withdrawal is not None or any(two.answer in OPPOSED for two in one.answers)
                    if against and not annulled(one, events):
                        mine = {"guardian": one.signer == "guardian", "ref": one.signer_ref, "rules": one.rules, "moved": True}
                        mine |= {"place": event.seq, "by_time": False}
                        opposing.append({**base, **mine, "scope": f"policy:{item.policy}", "level": 3})
            if item.answer == "accepted" and event.qc == "valid" and not gone:
                ends = [*base["until"], *([item.valid_to] if item.valid_to else [])]
                terms = list(item.terms.alternatives) if item.terms else []
                accepting.append(
                    {
                        **base,
                        "policy": item.policy,
                        "explicit": item.explicit,
                        "module": item.module,
                        "until": ends,
                        "alternatives": terms,
                    }
                )
    return opposing, accepting


def annulled(event, events):
    """True if an event that counts names this one: checked, evidenced, and either opposing nothing or saying this one rightly."""
    return any(one.supersedes == event.event_id and one.seq > event.seq and counts(one, events) for one in events)


def counts(one, events):
    opposes = one.withdrawal is not None or any(item.answer in OPPOSED for item in one.answers)
    if one.qc != "valid" or not one.evidence_hash or (opposes and one.correction is None):
        return False
    again = [two for two in events if two.supersedes == one.event_id and two.seq > one.seq]
    return all(two.correction == "restated" and counts(two, events) for two in again)


def never_said(one, events):
    again = [two for two in events if two.supersedes == one.event_id and two.seq > one.seq and two.correction == "void"]
    return any(counts(two, events) for two in again)


def place(event, events):
    """Where an event stands in the order of the ledger: a correction where the one stands that it corrects."""
    if event.correction is None:
        return event.seq
    corrected = [one for one in events if one.event_id == event.supersedes and one.seq < event.seq]
    return place(corrected[0], events) if corrected else event.seq


def recorded_behind(no, yes):
    """True if a no beats a yes by its place alone: not one that was moved to what it invalidates, or to where its time puts it."""
    return no["place"] >= yes["place"] and "moved" not in no and not no["by_time"]


def in_force(one, at):
    if one["time"] > at or (one["since"] is not None and one["since"] > at):
        return False
    if any(end <= at for end in one["until"]):
        return False
    if one["guardian"] and one["majority"] == "lapse":
        return one["lapse"] is not None and at < one["lapse"]
    return True


def module_gone(one, opposing):
    own = [against for against in opposing if against["scope"] == f"module:{one['module']}" and against["level"] >= 3]
    return any(not wins(one, against) or not one["explicit"] for against in own)


def new(yes, no):
    """True if rule set 2 decides between a yes and a no: either was recorded under it."""
    return yes["rules"] == 2 or no["rules"] == 2


def wins(yes, no):
    hours = (yes["time"] - no["time"]).total_seconds() / 3600
    if not new(yes, no):
        return hours > 0
    if yes["place"] <= no["place"] and not no["by_time"]:
        return False
    if yes["day"] and no["day"]:
        return hours >= 23
    return hours >= 24 if yes["day"] or no["day"] else hours > 0


def alternative(item, purpose, signed, at):
    kinds = {str(kind) for kind in purpose.use_kinds}
    codes = {modifier.code: modifier.params for modifier in item.modifiers}
    found = [cell(item, kind, kinds, purpose, "CC" in codes) for kind in kinds]
    for code, params in codes.items():
        found.extend(modifier(code, params, purpose, signed=signed, at=at))
    if "no_reid" not in purpose.commitments:
        found.append("deny")
    if "poa" in kinds and "ancestry" not in purpose.rulings:
        found.append("review")
    found.extend("review" for topic in purpose.topics if topic not in purpose.rulings)
    if "deny" in found:
        return "deny"
    return "review" if "review" in found else "permit"


def cell(item, kind, kinds, purpose, cares):
    code = item.permission
    if kind == "clinical_care":
        if code == "NRES":
            return "permit"
        if code == "POA" or not cares:
            return "deny"
        return disease(item, purpose) if code == "DS" else "permit"
    mark = TABLE[code].split()[COLUMNS.index(kind)]
    if mark == "m":
        return "permit" if "hmb" in kinds or "disease" in kinds else "review"
    return disease(item, purpose) if mark == "d" else {"P": "permit", "D": "deny"}[mark]


def disease(item, purpose):
    if not purpose.diseases:
        return "deny"
    results = []
    for wanted in purpose.diseases:
        if wanted not in ABOVE:
            results.append("review")
        elif wanted in item.diseases or ABOVE[wanted] & set(item.diseases):
            results.append("permit")
        else:
            results.append("review" if any(one not in ABOVE for one in item.diseases) else "deny")
    if "deny" in results:
        return "deny"
    return "review" if "review" in results else "permit"


def modifier(code, params, purpose, *, signed, at):
    kinds = {str(kind) for kind in purpose.use_kinds}
    org = purpose.organisation
    if code == "NMDS":
        yield "deny" if "methods" in kinds else "permit"
    if code == "NPOA":
        yield "deny" if "poa" in kinds else "permit"
    if code in {"NPU", "NPUNCU"}:
        yield "review" if org.profit is None else "permit" if org.profit == "non_profit" else "deny"
    if code in {"NCU", "NPUNCU"}:
        yield {None: "review", False: "permit", True: "deny"}[purpose.commercial]
    if code == "GS":
        yield "review" if not org.country else "permit" if org.country in params else "deny"
        yield "permit" if "GS" in purpose.rulings else "review"
    if code == "PUB":
        yield "permit" if "publish" in purpose.commitments else "deny"
        yield "permit" if "PUB" in purpose.rulings else "review"
    if code == "RTN":
        yield "permit" if "return_results" in purpose.commitments else "deny"
    if code == "IRB":
        good = purpose.irb_ref and purpose.irb_expires is not None and purpose.irb_expires > at
        yield "permit" if good else "deny"
        yield "permit" if "IRB" in purpose.rulings else "review"
    if code == "TS":
        month = signed.month - 1 + int(params[0])
        end = signed.replace(year=signed.year + month // 12, month=month % 12 + 1)  # signatures of the generator lie on days 1-28
        yield "permit" if at < end else "deny"
