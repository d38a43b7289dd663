"""Small VCFs as text: a builder for hand-made ones and hypothesis strategies for random ones.

Everything made here is valid: records sorted by contig and position, GT within the alleles listed. What a test breaks, it breaks
itself, so that the break is visible in the test.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import strategies as st

HEADER_FILTERS = (
    '##FILTER=<ID=PASS,Description="All filters passed">',
    '##FILTER=<ID=q10,Description="Quality below 10">',
)
HEADER_FORMATS = (
    '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">',
    '##FORMAT=<ID=DP,Number=1,Type=Integer,Description="Read depth">',
)
HEADER_INFOS = (
    '##INFO=<ID=END,Number=1,Type=Integer,Description="End position">',
    '##INFO=<ID=SVTYPE,Number=1,Type=String,Description="Type of structural variant">',
)


@dataclass(frozen=True)
class Record:
    """One data line. ``gts`` has one GT text per sample; ``extra`` holds (FORMAT key, one text per sample)."""

    contig: str
    pos: int
    ref: str
    alts: tuple[str, ...]
    gts: tuple[str, ...]
    id: str = "."
    filter: str = "PASS"
    info: str = "."
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def line(self) -> str:
        fixed = [self.contig, str(self.pos), self.id, self.ref, ",".join(self.alts) or ".", ".", self.filter, self.info]
        if not self.gts:
            return "\t".join(fixed)
        keys = ":".join(["GT", *(key for key, _ in self.extra)])
        columns = [":".join(parts) for parts in zip(self.gts, *(values for _, values in self.extra), strict=True)]
        return "\t".join([*fixed, keys, *columns])


@dataclass(frozen=True)
class SmallVcf:
    """A whole file. ``contigs`` go to the header in this order, with no length where the length is 0."""

    samples: tuple[str, ...]
    records: tuple[Record, ...]
    contigs: tuple[tuple[str, int], ...] = (("22", 50_818_468),)
    header_lines: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        lines = ["##fileformat=VCFv4.3", *HEADER_FILTERS, *HEADER_INFOS, *HEADER_FORMATS]
        lines += [f"##contig=<ID={name},length={size}>" if size else f"##contig=<ID={name}>" for name, size in self.contigs]
        lines += self.header_lines
        columns = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO"]
        lines.append("\t".join(columns + (["FORMAT", *self.samples] if self.samples else [])))
        lines += [record.line() for record in self.records]
        return "\n".join(lines) + "\n"

    @property
    def data(self) -> bytes:
        return self.text.encode()

    def with_samples(self, *samples: str) -> SmallVcf:
        """The same genotypes under other names."""
        if len(samples) != len(self.samples):
            raise ValueError("one name for each sample")
        return replace(self, samples=samples)


def vcf(samples: str, *rows: str, contigs: tuple[tuple[str, int], ...] | None = None) -> SmallVcf:
    """A file from shorthand: ``vcf("A B", "22 100 A G 0|1 ./.", "22 200 C T,G 1/2 0/0")``."""
    records = []
    for row in rows:
        contig, pos, ref, alts, *gts = row.split()
        records.append(Record(contig, int(pos), ref, () if alts == "." else tuple(alts.split(",")), tuple(gts)))
    named = dict.fromkeys(record.contig for record in records)
    return SmallVcf(tuple(samples.split()), tuple(records), contigs or tuple((name, 0) for name in named) or (("22", 0),))


def genotypes(n_alleles: int, *, max_ploidy: int = 4) -> st.SearchStrategy[str]:
    """GT text over alleles 0..n_alleles-1: mostly diploid calls, also missing, half-calls, haploid, polyploid and mixed phase."""
    allele = st.integers(0, n_alleles - 1).map(str)
    maybe = st.one_of(allele, allele, allele, st.just("."))
    separator = st.sampled_from("/|")
    diploid = st.tuples(maybe, separator, maybe).map("".join)
    common = st.sampled_from(["0|0", "0/0", "./.", "."] + (["0|1", "1/0", "1|1"] if n_alleles > 1 else []))
    options = [common, diploid, maybe]
    if max_ploidy > 2:
        tail = st.lists(st.tuples(separator, maybe).map("".join), min_size=2, max_size=max_ploidy - 1)
        options.append(st.tuples(maybe, tail).map(lambda parts: parts[0] + "".join(parts[1])))
    return st.one_of(common, *options)


@st.composite
def alleles(draw: st.DrawFn, *, max_alts: int = 12) -> tuple[str, tuple[str, ...], str]:
    """(REF, ALTs, INFO) of one record: a SNV, a multi-allelic site, an indel, a symbolic allele, ``*`` or no ALT."""
    bases = st.text("ACGT", min_size=1, max_size=6)
    kind = draw(st.sampled_from(["snv", "snv", "snv", "indel", "many", "symbolic", "star", "none"]))
    if kind == "snv":
        ref, alt = draw(st.permutations("ACGT"))[:2]
        return ref, (alt,), "."
    if kind == "symbolic":
        ref = draw(st.sampled_from("ACGT"))
        name, extra = draw(st.sampled_from([("<DEL>", "END={};SVTYPE=DEL"), ("<DUP>", "END={};SVTYPE=DUP"), ("<INS>", ".")]))
        return ref, (name,), extra
    ref = draw(bases)
    if kind == "none":
        return ref, (), "."
    count = {"indel": 1, "star": 1, "many": draw(st.integers(2, max_alts))}[kind]
    alts = draw(st.lists(bases.filter(lambda text: text != ref), min_size=count, max_size=count, unique=True))
    return ref, (*alts, "*") if kind == "star" else tuple(alts), "."


@st.composite
def small_vcfs(
    draw: st.DrawFn, *, max_samples: int = 5, max_sites: int = 12, max_alts: int = 12, max_ploidy: int = 4, fields: bool = True
) -> SmallVcf:
    """A valid VCF of one to ``max_samples`` samples and up to ``max_sites`` records on up to two contigs.

    Positions may repeat (split multi-allelic sites) but no (contig, position, REF, ALT) does. ``fields`` adds a DP column to some records.
    """
    n = draw(st.integers(1, max_samples))
    names = draw(st.sampled_from([("22",), ("chr22",), ("chr1", "chr22"), ("1", "X")]))
    places = draw(st.lists(st.tuples(st.integers(0, len(names) - 1), st.integers(1, 5_000)), max_size=max_sites))
    records: list[Record] = []
    seen: set[tuple[int, int, str, tuple[str, ...]]] = set()
    for index, pos in sorted(places):
        ref, alts, info = draw(alleles(max_alts=max_alts))
        if (index, pos, ref, alts) in seen:
            continue
        seen.add((index, pos, ref, alts))
        gts = tuple(draw(st.lists(genotypes(len(alts) + 1, max_ploidy=max_ploidy), min_size=n, max_size=n)))
        depths = tuple(draw(st.lists(st.sampled_from(["7", "31", "."]), min_size=n, max_size=n)))
        records.append(
            Record(
                names[index],
                pos,
                ref,
                alts,
                gts,
                id=draw(st.sampled_from([".", ".", f"rs{pos}", f"rs{pos};esv1"])),
                filter=draw(st.sampled_from(["PASS", ".", "q10"])),
                info=info.format(pos + 50),
                extra=(("DP", depths),) if fields and draw(st.booleans()) else (),
            )
        )
    samples = tuple(f"S{i}" for i in range(n))
    return SmallVcf(samples, tuple(records), tuple((name, 0) for name in names))
