"""Frame of a self-contained page: head, style and policy. No script, font or address; in light and dark, on paper and on a phone.

The Content-Security-Policy forbids loading, scripts and forms, whatever text a page shows.
"""

from __future__ import annotations

from collections.abc import Sequence

from vault.files.plain_text import html_text

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'"
_STYLE = """
:root{color-scheme:light dark;--ink:#1c2430;--soft:#5b6675;--page:#fff;--card:#f5f7fa;--edge:#d9dfe7;--bar:#2f6f9f;--good:#1d7a46;
--bad:#b3261e;--off:#c77700}
@media (prefers-color-scheme:dark){:root{--ink:#e6eaf0;--soft:#9aa6b5;--page:#12161c;--card:#1b212a;--edge:#313a47;--bar:#6db1e0;
--good:#58c98b;--bad:#ff8a80;--off:#ffb74d}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--page);margin:0 auto;max-width:860px;padding:32px 24px}
h1{font-size:24px;margin:0 0 4px}h2{font-size:17px;margin:36px 0 8px}p{margin:6px 0}.soft,.none,caption{color:var(--soft)}
.verdict{border:1px solid var(--edge);border-left:6px solid var(--good);background:var(--card);padding:12px 16px;margin:20px 0}
.verdict.bad{border-left-color:var(--bad)}.verdict.off{border-left-color:var(--off)}
.verdict strong{font-size:17px}.verdict ul{margin:8px 0 0;padding-left:20px}
.facts{display:flex;flex-wrap:wrap;gap:12px;margin:20px 0;padding:0;list-style:none}
.facts li{flex:1 1 120px;background:var(--card);border:1px solid var(--edge);padding:10px 14px}
.facts b{display:block;font-size:22px;font-weight:600}.facts span{color:var(--soft);font-size:13px}
table{border-collapse:collapse;width:100%;font-size:14px}th,td{text-align:left;padding:5px 10px 5px 0;border-bottom:1px solid var(--edge)}
td.n,th.n{text-align:right;padding-right:0;font-variant-numeric:tabular-nums}code{font:13px ui-monospace,monospace;word-break:break-all}
svg{width:100%;height:auto;display:block}svg text{font-size:12px;fill:var(--soft)}svg line{stroke:var(--edge)}
.bar{fill:var(--bar)}.cell{fill:var(--bar)}.cell.off{stroke:var(--off);stroke-width:1.5}
svg.plot{max-width:520px}.pale{fill:var(--edge)}.curve{fill:none;stroke:var(--bar);stroke-width:2}
.key{display:inline-block;width:11px;height:11px;margin:0 6px 0 0;background:var(--bar)}.key.pale{background:var(--edge)}.key+.key,.key~.key{margin-left:14px}
details{margin:8px 0}summary{cursor:pointer;color:var(--soft);width:fit-content}
:focus-visible{outline:2px solid var(--bar);outline-offset:3px}
@media (max-width:560px){body{padding:20px 14px}svg.plot text{font-size:14px}.facts b{font-size:19px}}
@media print{body{max-width:none}h2{break-after:avoid}svg,table,.verdict{break-inside:avoid}}
"""


def framed(title: str, body: str) -> str:
    """A page as an HTML document. ``title``: text; ``body``: HTML."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html_text(title)}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{_STYLE}</style></head><body>'
        f"{body}</body></html>\n"
    )


def section(heading: str, text: str, shown: str) -> str:
    """A heading, a line of text under it, if any, and what is shown, which is HTML."""
    said = f"<p class=soft>{html_text(text)}</p>" if text else ""
    return f"<h2>{html_text(heading)}</h2>{said}{shown}"


def facts(shown: Sequence[tuple[str, str]]) -> str:
    """Cards of one (value, what it is) each."""
    listed = "".join(f"<li><b>{html_text(value)}</b><span>{html_text(text)}</span></li>" for value, text in shown)
    return f'<ul class="facts">{listed}</ul>'


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of HTML cells; the last column is numeric."""
    if not rows:
        return '<p class="none">None.</p>'
    last = len(heads) - 1
    mark = [' class="n"' if i == last else "" for i in range(len(heads))]
    head = "".join(f"<th{mark[i]}>{html_text(text)}</th>" for i, text in enumerate(heads))
    body = "".join("<tr>" + "".join(f"<td{mark[i]}>{cell}</td>" for i, cell in enumerate(row)) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
