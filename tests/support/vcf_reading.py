"""VCF files as rows of text, as we read them and as htslib does, for tests that compare the two."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from vault.genotypes.codec.call_codes import call_texts
from vault.genotypes.ingest.open_source import open_source
from vault.genotypes.ingest.source import SiteBatch

Row = tuple[str, str, str, str, str, str, list[str]]  # CHROM, POS, ID, REF, ALT, FILTER, GTs

_TEXTS = [text.decode() for text in call_texts()]


def vcf_text(lines: Iterable[str], *, samples: str = "A B", minor: int = 3, meta: Iterable[str] = ()) -> bytes:
    """A VCF with the given body lines, in which spaces stand for tabs. Its header has 3 lines and those of ``meta``."""
    columns = "#CHROM POS ID REF ALT QUAL FILTER INFO" + (f" FORMAT {samples}" if samples else "")
    head = [f"##fileformat=VCFv4.{minor}", '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">', *meta]
    return ("\n".join(head) + "\n" + "\n".join([columns, *lines]).replace(" ", "\t") + "\n").encode()


def our_rows(path: Path) -> list[Row]:
    """All rows as genovault reads them. Raises as ``open_source``."""
    with open_source(path) as source:
        return [row for batch in source.batches() for row in batch_rows(batch)]


def batch_rows(batch: SiteBatch) -> Iterator[Row]:
    """The rows of one batch."""
    escaped: dict[int, list[tuple[int, str]]] = {}
    escapes = batch.escapes
    for i in range(len(escapes)):
        run = slice(escapes.offset[i], escapes.offset[i + 1])
        pairs = zip(escapes.alleles[run].tolist(), escapes.phased[run].tolist(), strict=True)
        text = "".join(("|" if bar else "/") + ("." if allele < 0 else str(allele)) for allele, bar in pairs)[1:]
        escaped.setdefault(int(escapes.site[i]), []).append((int(escapes.sample[i]), text))
    sites = batch.sites
    columns = zip(sites.ids.items(), sites.alleles.items(), sites.filters.items(), strict=True)
    for row, (name, alleles, filters) in enumerate(columns):
        calls = [_TEXTS[code] for code in batch.codes[row].tolist()]
        for column, text in escaped.get(row, []):
            calls[column] = text
        ref, _, alts = alleles.decode().partition(",")
        contig = sites.contigs[sites.contig[row]]
        yield contig, str(sites.pos[row]), name.decode(), ref, alts or ".", filters.decode(), calls


def bcftools_rows(path: Path, bcftools: str) -> list[Row] | None:
    """All rows as bcftools reads them; None if it refuses the file."""
    # stderr is discarded: warnings about undeclared tags are not compared
    done = subprocess.run([bcftools, "view", "--no-version", "-Ov", str(path)], capture_output=True, check=False)
    return None if done.returncode else text_rows(done.stdout.decode("utf-8", "surrogateescape"))


def htslib_rows(path: Path) -> list[Row] | None:
    """As ``bcftools_rows``, in this process and with pysam's htslib, which is newer."""
    import pysam  # noqa: PLC0415 - an extra

    pysam.set_verbosity(0)
    try:
        with pysam.VariantFile(str(path)) as file:
            text = str(file.header) + "".join(str(record) for record in file)
    except (OSError, ValueError, UnicodeError, NotImplementedError):
        return None
    return text_rows(text)


def text_rows(text: str) -> list[Row]:
    """Rows of VCF text that htslib wrote."""
    samples = 0
    rows: list[Row] = []
    for line in text.split("\n"):
        if line.startswith("#CHROM"):
            samples = max(0, len(line.split("\t")) - 9)
        elif line and not line.startswith("#"):
            c = line.split("\t")
            rows.append((c[0], c[1], c[2], c[3], c[4], c[6], _calls(c[8], c[9:]) if len(c) > 8 else ["."] * samples))
    return rows


def _calls(form: str, columns: list[str]) -> list[str]:
    keys = form.split(":")
    if keys == ["GT"]:
        return columns
    if "GT" not in keys:
        return ["."] * len(columns)
    gt, sets = keys.index("GT"), [k for k, key in enumerate(keys) if key in {"PS", "PSL"}]
    calls = []
    for column in columns:
        fields = column.split(":")
        call = fields[gt] if gt < len(fields) else "."
        # htslib writes its missing value of a GT that was left out as a number, and from VCF 4.4 on with a phase before it.
        call = "." if call in {"-65", "/-65"} else call
        if any(k < len(fields) and fields[k] not in {".", ""} for k in sets):
            call = call.replace("|", "/")  # docs/import.md: phase without its stored phase set is dropped
        calls.append(call)
    return calls
