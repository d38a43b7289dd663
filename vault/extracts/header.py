"""The header of a VCF or BCF extract, built from an allow-list (docs/design/disclosure.md §11): nothing of a source file's header gets here.

Allowed: fileformat, one ``vault_view`` line, the contigs, FILTERs and symbolic ALTs that the records use, INFO AC, AN, END, SVTYPE and
SVLEN, FORMAT GT, and the column line with the pseudonyms.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from vault.errors import UsageError
from vault.views.header_summary import HeaderSummary
from vault.views.pages import Titled

_ASSEMBLY = re.compile(r"[A-Za-z0-9._-]+")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]*")
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_UNSAFE = re.compile("[\x00-\x20\x7f]")
_COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT"


def header_text(view: Titled, vault_view: Mapping[str, str]) -> str:
    """The header lines, the column line last.

    Raises:
        UsageError: ``header_value`` if a name or value would break the line it is put in.
    """
    summary = view.summary
    lines = ["##fileformat=VCFv4.3", _vault_view(vault_view)]
    lines += [f'##FILTER=<ID={name},Description="{_filter_text(name)}">' for name in filters_of(summary)]
    lines += [f'##ALT=<ID={name},Description="Symbolic allele">' for name in summary.symbols]
    assembly = f",assembly={view.assembly}" if _ASSEMBLY.fullmatch(view.assembly) else ""
    lines += [f"##contig=<ID={name}{assembly}>" for name in summary.contigs]
    lines.append('##INFO=<ID=AC,Number=A,Type=Integer,Description="Copies of each ALT among the released subjects">')
    lines.append('##INFO=<ID=AN,Number=1,Type=Integer,Description="Alleles called among the released subjects">')
    if summary.has_end:
        lines.append('##INFO=<ID=END,Number=1,Type=Integer,Description="Last position of the symbolic allele">')
    if summary.has_svtype:
        lines.append('##INFO=<ID=SVTYPE,Number=1,Type=String,Description="Type of structural variant">')
    if summary.has_svlen:
        lines.append('##INFO=<ID=SVLEN,Number=A,Type=Integer,Description="Length of each structural variant">')
    lines.append('##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">')
    if not view.pseudonyms:
        raise UsageError("view_empty", "a view without subjects has no genotypes to write")
    names = (*summary.filters, *summary.symbols, *summary.contigs, *view.pseudonyms)
    if any(_UNSAFE.search(name) for name in names):
        raise UsageError("header_value", "a name in the header holds a space or a control character")
    return "\n".join([*lines, "\t".join([_COLUMNS, *view.pseudonyms])]) + "\n"


def filters_of(summary: HeaderSummary) -> tuple[str, ...]:
    """The FILTERs that a header defines, PASS first (BCF numbers it 0)."""
    return ("PASS", *summary.filters)


def _filter_text(name: str) -> str:
    return "All filters passed" if name == "PASS" else "As in the dataset"


def _vault_view(fields: Mapping[str, str]) -> str:
    if not _ID.fullmatch(fields.get("ID", "")):
        raise UsageError("header_value", "the vault_view line needs an ID of letters, digits and . _ : -")
    if any(not _KEY.fullmatch(key) for key in fields) or any(not value.isprintable() for value in fields.values()):
        raise UsageError("header_value", "a key or value of the vault_view line is not plain text")
    escaped = {key: value.replace("\\", "\\\\").replace('"', '\\"') for key, value in fields.items()}
    return "##vault_view=<" + ",".join(f"{k}={v}" if k == "ID" else f'{k}="{v}"' for k, v in escaped.items()) + ">"
