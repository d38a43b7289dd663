"""Risk report as a self-contained page, in the words of a committee. Everything that the page says stands in the document. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from vault.files.plain_text import html_text
from vault.html import page_frame, plots

Document = Mapping[str, Any]

MOST_CONTIGS = 60  # that the page draws; the document has all

_DEGREES = {
    "same": "the same person twice, or identical twins",
    "first": "parent and child, or full siblings",
    "second": "half-siblings, grandparents, uncles and aunts",
    "third": "cousins and the like",
}

_RULES = {
    "fields": "fields of each record",
    "min_carriers": "fewest people who carry an allele of a site that is shown",
    "opt_outs": "a place that somebody excludes: masked for all, or the person left out",
    "margin": "bases hidden on each side of such a place",
    "linkage": "sites hidden because they are linked with it, by r² in percent",
    "min_group": "fewest people in a release",
    "max_bits": "most bits that may leave to the organisation",
}


def page(document: Document) -> str:
    """The report as an HTML document."""
    whole = f"<main><h1>What this request would tell</h1>{body(document)}</main>"
    return page_frame.framed(f"Risk report: request {document['request']}", whole)


def body(document: Document) -> str:
    """The report as HTML without a frame, for a page that has one: headings from the second level on."""
    return "".join(_parts(document))


def _parts(document: Document) -> Iterator[str]:
    yield (
        f"<p class=soft>Request <code>{html_text(document['request'])}</code> of project {html_text(document['project'])}, for "
        f"{html_text(document['kind'])} of the dataset {html_text(document['dataset'])}. Worked out {html_text(document['made'][:16].replace('T', ' '))} UTC; "
        "who takes part is decided anew when it is served.</p>"
    )
    yield (
        '<div class="verdict bad"><strong>For those who decide on the request, and for nobody else.</strong>'
        "<p>The page tells of people and places that the release itself leaves out.</p></div>"
    )
    if document["stale"]:
        yield '<div class="verdict bad"><strong>This report is stale.</strong><p>People, calls, rules or what left before are others by now.</p></div>'
    yield from _records(document) if document["sites"] is not None else _counts(document)
    yield page_frame.section("The rules it would leave under", "As the project declares them.", _profile(document["profile"]))
    listed = "".join(f"<li>{html_text(one)}</li>" for one in document["not_protected"])
    yield page_frame.section("What none of this protects against", "", f"<ul>{listed}</ul>")


def _records(document: Document) -> Iterator[str]:
    bits, n = document["bits"], document["n"]
    yield page_frame.facts(
        [
            (f"{n:,}", "people in the release"),
            (f"{document['sites']:,}", "sites in each record"),
            (_percent(document["unique_by_all"]), "have a record like nobody else's here"),
            (f"{bits['mean']:,.0f}", "bits in a typical record"),
        ]
    )
    yield f'<div class="verdict off"><strong>{_identifying(bits["mean"])}</strong>{_allowed(bits)}</div>'
    yield page_frame.section(
        "How few sites single somebody out",
        "Share of the released people whom so many common sites, taken at random, tell apart from all others in the release.",
        plots.curve(
            [(number, share) for number, share in document["unique_curve"]],
            title=_curve_in_words(document),
            across="common sites known",
            up="people singled out",
        ),
    )
    yield page_frame.section("Relatives", _kin_words(document["kin"]), _kin_table(document["kin"]))
    spectrum = document["spectrum"]
    yield page_frame.section(
        "Rare and common alleles",
        "How many copies of an allele are carried among these people, in what was asked for and in what would leave. An allele with one "
        "or two copies points at its carriers.",
        plots.paired(
            [(name, asked, spectrum["released"][name]) for name, asked in spectrum["asked"].items() if name != "0"],
            title=f"Alleles by copies: {spectrum['released']['1']:,} of {spectrum['asked']['1']:,} with one copy would leave",
            heads=("copies", "asked for", "would leave"),
        ),
    )
    masked = document["masked_share"]
    if any(one["masked"] for one in masked.values()):
        words = "Share of the sites asked for that consents or the project hide. A site is hidden for everybody alike."
        shown = plots.shares(
            [(name, one["share"], f"{one['masked']:,} of {one['asked']:,} sites") for name, one in masked.items()][:MOST_CONTIGS],
            title="Share of sites hidden, by chromosome",
            heads=("chromosome", "hidden", "share"),
        )
    else:
        words, shown = "Masks hide nothing of what was asked for.", ""
    yield page_frame.section("What masks hide, by chromosome", words, shown)
    told = document["frequencies"]
    yield page_frame.section("If allele frequencies were published", _frequencies_words(told, n), _frequencies_table(told))
    yield page_frame.section("Calls that are missing", _missing_words(document["missing"], n), "")


def _counts(document: Document) -> Iterator[str]:
    price, people = document["price"], (f"{document['n']:,}", "people take part")
    if price is None:
        yield page_frame.facts([people])
        yield "<p>Answered in place: no record leaves.</p>"
        return
    yield page_frame.facts(
        [people, (f"{price['alleles']:,}", "allele is asked for" if price["alleles"] == 1 else "alleles are asked for")]
    )
    left = ", ".join(f"{scope} {nats:g}" for scope, nats in price["left"].items())
    yield (
        f'<div class="verdict off"><strong>Odds change by a factor of {price["factor"]:,.2f} at most.</strong>'
        f"<p>So much may all answers together change the odds that somebody takes part, or carries an allele, whatever else is known. "
        f"Each number is within ±{price['accuracy95']:,} in 95 of 100 cases, and no genotype leaves.</p>"
        f"<p>It costs {price['nats']:g} nats at most. Left in the budgets: {html_text(left)}.</p></div>"
    )


def _identifying(mean: float) -> str:
    if mean >= 33:  # 2^33 is more than there are people
        return "Every record identifies its person among all people there are."
    if mean >= 10:
        return f"A record fits about one person in {2**mean:,.0f}."
    return f"A record fits about one person in {2**mean:,.1f}: the sites tell little."


def _allowed(bits: Mapping[str, Any]) -> str:
    most = "the project sets no limit" if bits["max_bits"] is None else f"at most {bits['max_bits']:,} may"
    return (
        f"<p>{bits['mean']:,.0f} bits, and {bits['max_person']:,.0f} of the person whose record is the rarest. With what left before, "
        f"{bits['cumulative']:,.0f} would then have left to this organisation; {most}. Linked sites count in full.</p>"
    )


def _curve_in_words(document: Document) -> str:
    said = [f"{share:.0%} by {number}" for number, share in document["unique_at"].items() if share is not None]
    return f"People singled out by common sites: {', '.join(said)}" if said else "There are too few common sites"


def _kin_words(kin: Mapping[str, Any]) -> str:
    if kin["why_not"]:
        return f"Not assessed: {kin['why_not']}. There may be relatives all the same."
    return (
        f"{kin['people']:,} people have a relative of the second degree or closer in the release: what is learnt of one is learnt of the "
        f"other. By {kin['sites']:,} common sites on {kin['chromosomes']} chromosomes."
    )


def _kin_table(kin: Mapping[str, Any]) -> str:
    if kin["why_not"]:
        return ""
    return page_frame.table(
        ("relation", "pairs"), [(html_text(_DEGREES[one]), f"{pairs:,}") for one, pairs in kin["pairs"].items()]
    )


def _frequencies_words(told: Mapping[str, Any], n: int) -> str:
    if not told["m"]:
        return "No site is common enough to tell anything."
    return (
        f"Somebody who has a person's genotypes, and the frequencies of the {told['m']:,} common sites among these {n:,} people, would find "
        f"{told['power']:.0%} of them to be in the release, and call 5% of all others so. Linked sites count in full, so that it is a bound."
    )


def _frequencies_table(told: Mapping[str, Any]) -> str:
    if not told["m"]:
        return ""
    rows = [
        ("strength of the test, μ", _number(told["mu"])),
        ("evidence about the most exposed person, nats", _number(told["lambda_max"])),
        ("evidence about the person at the 95th percentile, nats", _number(told["lambda_p95"])),
    ]
    return page_frame.table(("measure", ""), rows)


def _number(value: float | None) -> str:
    return "without bound" if value is None else f"{value:,.2f}"


def _missing_words(missing: Mapping[str, Any], n: int) -> str:
    if missing["patterns"] == 1:
        return "The same calls are missing for everybody, or none: nothing can be told from them."
    return (
        f"{missing['patterns']:,} different sets of calls are missing; {missing['largest']:,} of {n:,} people share the commonest, and "
        f"{missing['alone']:,} have one of their own. Who was measured together, and where, shows through such sets."
    )


def _profile(profile: Mapping[str, Any]) -> str:
    rows = [(html_text(words), html_text(_plainly(profile[name]))) for name, words in _RULES.items() if name in profile]
    name = f"<p class=soft>Profile {html_text(profile['profile'])}, SHA-256 <code>{html_text(profile['sha256'])}</code></p>"
    return page_frame.table(("rule", ""), rows) + name


def _percent(share: float) -> str:
    return f"{share:.0%}" if share in {0, 1} else f"{share:.1%}"


def _plainly(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plainly(one)}" for name, one in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else str(value).replace("_", " ")
