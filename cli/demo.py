"""``genovault demo``: the main job from a cohort to a caught forgery, told step by step, on a vault of its own."""

from __future__ import annotations

import csv
import gzip
import os
import secrets
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import demo_server
from cli.context import context_of
from cli.demo_stage import Stage, environment, forge
from cli.lazy import group
from vault.errors import InputError
from vault.files.private_files import make_folder, write_new

if TYPE_CHECKING:
    from collections.abc import Iterator

FORM = "broad-research"
SPAN = 100_000  # base pairs of the extract
PANEL = "pgx"
ENGINE = "matcher"  # the principal that the engine's token is of
KNOWS = "It sees pseudonyms and genotypes, not people. Where a genotype is missing it says so: unknown is never taken for normal."

app = group("A story that shows the main job.")


@app.callback()
def demos() -> None:
    """A story that shows the main job."""


@app.command()
def demo(
    ctx: typer.Context,
    vcf: Annotated[Path | None, typer.Option(help="Tell it with this VCF instead of an invented cohort.", dir_okay=False)] = None,
    assembly: Annotated[str, typer.Option(help="Assembly of --vcf.")] = "GRCh38",
    keep: Annotated[Path | None, typer.Option(metavar="DIR", help="Play in DIR and leave everything there.")] = None,
) -> None:
    """Show the main job on an invented cohort, from import to a caught forgery: seconds, or over a minute where code is compiled first."""
    context = context_of(ctx)
    if vcf is not None and not vcf.is_file():
        raise InputError("file_missing", f"{vcf} is not there")
    if keep is not None and keep.exists() and any(keep.iterdir()):
        raise InputError("folder_not_empty", f"{keep} is not empty", hint="choose another folder")
    from rich.console import Console

    started = time.monotonic()
    folder = keep or Path(tempfile.mkdtemp(prefix="genovault-demo-"))
    make_folder(folder, may_exist=True)
    stage = Stage(Console(quiet=context.output.json, highlight=False, soft_wrap=False), folder.resolve())
    passphrase = secrets.token_urlsafe(12)
    if keep is not None:
        write_new(stage.folder / "passphrase.txt", f"{passphrase}\n")
    try:
        with environment(stage.vault, passphrase):
            result = tell(stage, vcf, assembly)
        _close(stage, kept=keep is not None, seconds=time.monotonic() - started)
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    context.output.document({**result, "seconds": round(time.monotonic() - started, 1)})


@dataclass(frozen=True)
class DemoSource:
    """The file the story is about. ``region`` is the stretch that the project asks for; "" asks for everything."""

    file: Path
    assembly: str
    sheet: Path | None
    region: str


def tell(stage: Stage, vcf: Path | None, assembly: str) -> dict[str, object]:
    """Run every step in order; the counts for the JSON document."""
    source = cohort(stage, vcf, assembly)
    fill(stage, source)
    leaving = consents(stage)
    permitted = project(stage)
    extracted = extract(stage, source)
    matched, dropped = match(stage, source, leaving)
    entries = audit(stage)
    caught = tamper(stage)
    counts = {"permitted": permitted, "released": extracted, "matched": matched, "dropped": dropped}
    return {**counts, "entries": entries, "forgeries_caught": caught}


def cohort(stage: Stage, vcf: Path | None, assembly: str) -> DemoSource:
    """The genotype file of --vcf, else a simulated one."""
    stage.title(1, "A cohort")
    if vcf is not None:
        stage.say(f"The genotypes are those of {vcf}. Nothing leaves this machine, and the file itself is only read.")
        return DemoSource(vcf.resolve(), assembly, None, _first_stretch(vcf))
    from cli.demo_cohort import OFFSET, write_cohort, write_sheet

    file, sheet = stage.folder / "cohort.vcf.gz", stage.folder / "SHEET.csv"
    made = write_cohort(file)
    write_sheet(sheet, made)
    stage.say(
        f"Three hundred people who never lived: {made.sites:,} sites simulated with the history of African, European and East Asian "
        "populations, and the sites of four genes that decide how a person takes certain medicines. Today such a file lies in a "
        "folder, in the clear, for everyone with access to the folder."
    )
    return DemoSource(file, "GRCh38", sheet, f"22:{OFFSET}-{OFFSET + SPAN}")


def fill(stage: Stage, source: DemoSource) -> None:
    """Make a vault and import people and genotypes."""
    stage.title(2, "A vault")
    stage.say("Ann, the data steward, makes a vault. Her passphrase opens it; here it comes from the environment.")
    stage.run("init", str(stage.vault), "--steward", "ann")
    stage.title(3, "People and genotypes go in")
    stage.say(
        "Who somebody is and what somebody's genotypes are get sealed apart, and each person's genotypes under a key of that "
        "person's own."
    )
    if source.sheet:
        stage.run("subject", "import", str(source.sheet))
    register = () if source.sheet else ("--register",)
    stage.run(
        "dataset", "import", str(source.file), "--name", "cohort", "--assembly", source.assembly, "--assayed", "all", *register
    )


def consents(stage: Stage) -> str:
    """Mixed answers: seven in ten accept, one declines, two were never asked, one withdraws later; somebody who will withdraw later still."""
    stage.title(4, "Everybody answers for themselves")
    stage.say(
        "Of every ten people seven allow research with their data, one declines, and two have not been asked yet. The form's "
        "answers come as a spreadsheet. Later one of those who agreed changes their mind."
    )
    answers = stage.folder / "answers.csv"
    stage.run("consent", "sheet", FORM, "--accept", into=answers)
    withdrawing, leaving = _mix_answers(answers)
    stage.run("consent", "import", str(answers), "--form", FORM)
    stage.run("consent", "withdraw", withdrawing)
    return leaving


def project(stage: Stage) -> int:
    """Declare and approve a project; the number of people it may use."""
    stage.title(5, "A project asks")
    stage.say(
        "A project declares what it wants the data for. Before anything is released the vault says for how many people that is "
        "allowed, and why not for the others: no answer is a no. It names who works with the data: Ann, and a matching engine of the clinic's."
    )
    file = stage.folder / "demo.yaml"
    stage.run("principal", "add", ENGINE, "--role", "researcher")
    stage.run("project", "template", "--code", "demo", "--dataset", "cohort", into=file)
    file.write_text(file.read_text(encoding="utf-8").replace("# people: [ann]", f"people: [ann, {ENGINE}]"), encoding="utf-8")
    stage.run("project", "create", str(file))
    stage.run("project", "approve", "demo")
    return _number(stage.run("project", "check", "demo"))


def extract(stage: Stage, source: DemoSource) -> int:
    """Extract a VCF that any tool reads; the number of people in it."""
    stage.title(6, "An extract leaves")
    stage.say("The permitted people's genotypes, under names that only this project uses, in an order that tells nothing.")
    region = ("--region", source.region) if source.region else ()
    submitted = stage.run("request", "submit", "--project", "demo", "--dataset", "cohort", *region)
    out = stage.folder / "out"
    stage.run("extract", submitted.split()[1].rstrip(":"), "--output", str(out))
    stage.run("release", "verify", str(out / "manifest.json"))
    lines = list(_lines(out / "genotypes.vcf.gz"))
    columns = next(line for line in lines if line.startswith("#CHROM")).split("\t")
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    stage.say(f"Anyone with bcftools can read it. {len(columns) - 9} people, {len(rows)} sites; the first of each:")
    stage.table((*columns[:2], *columns[3:5], columns[9]), [(*row[:2], *row[3:5], row[9]) for row in rows[:3]])
    return len(columns) - 9


def match(stage: Stage, source: DemoSource, leaving: str) -> tuple[int, int]:
    """Run the matching engine on a panel; the number of people with a finding, and of those whom it was told to drop."""
    stage.title(7, "A matching engine looks at medicines")
    stage.run("panel", "create", PANEL, "--loci", str(stage.engine_panel(source.assembly)), "--dataset", "cohort")
    place = ("--project", "demo", "--dataset", "cohort", "--panel", PANEL)
    if demo_server.can_serve() and leaving:
        report, dropped = _behind_a_server(stage, place, leaving)
    else:
        stage.say(f"A program beside the vault asks for four genes of the permitted people. {KNOWS}")
        report, dropped = stage.engine("--vault", str(stage.vault), *place), 0
    findings = report.partition("\n\n")[0].splitlines()[1:]
    people = len({line.split()[0] for line in findings if "Indeterminate" not in line})
    stage.say(f"{people} people have at least one finding. This engine is an example, not for clinical use.")
    return people, dropped


def _behind_a_server(stage: Stage, place: tuple[str, ...], leaving: str) -> tuple[str, int]:
    """The engine with a token alone; what it reports, and how many it was told to drop when somebody withdrew."""
    stage.say(
        "The clinic's engine gets no key. A server has a slot of its own, which names nobody, and the engine gets a token for this project: what it may have "
        "is decided anew at each question. From here on there are two slots, and Ann says which is hers."
    )
    key, token = stage.folder / "server.key", stage.folder / "token"
    stage.run("principal", "add", "server", "--role", "service", "--new-key-file", str(key))
    stage.echo("export", "GENOVAULT_PRINCIPAL=ann")
    os.environ["GENOVAULT_PRINCIPAL"] = "ann"
    stage.run("principal", "token", ENGINE, "--project", "demo", "--scope", "engine", "--expires", "1", into=token)
    with (
        demo_server.server(stage, key) as socket,
        demo_server.engine(stage, socket, "--token-file", str(token), *place, "--follow") as engine,
    ):
        stage.say(f"It asks for four genes of the permitted people. {KNOWS}")
        report = engine.until("waiting for changes")
        stage.quote(report)
        stage.say("Now somebody else changes their mind. The engine still holds that person's row, so it is told whose to drop:")
        stage.run("consent", "withdraw", leaving)
        told = engine.until("holding")
        stage.quote(told)
    return report, told.count("dropped ")


def audit(stage: Stage) -> int:
    """The log of all that; how many entries."""
    stage.title(8, "The log remembers")
    stage.say(
        "Each of these acts, granted or refused, is an entry of a log that can only grow. Its head is signed; an auditor checks "
        "it with the public key alone."
    )
    stage.run("audit", "log", "--last", "5")
    return _number(stage.run("audit", "verify"))


def tamper(stage: Stage) -> int:
    """Forge log entries in a copy of the vault; the number of forgeries that verification reports."""
    stage.title(9, "Somebody rewrites history")
    stage.say(
        "On a copy of the vault, somebody with full access to the disk turns the withdrawal into a harmless entry and makes its "
        "hash fit. The verifier notices:"
    )
    copy = stage.folder / "forged"
    forge(stage.vault, copy, was=b"consent.withdraw", becomes=b"consent.show")
    code = stage.fail("--vault", str(copy), "audit", "verify")
    if code != 5:
        raise RuntimeError("the forgery was not noticed")
    shutil.rmtree(copy)
    return 1


def _close(stage: Stage, *, kept: bool, seconds: float) -> None:
    stage.console.rule(align="left")
    if kept:
        stage.say(f"Done in {seconds:.0f} s. The vault is {stage.vault}; its passphrase is in passphrase.txt beside it.")
    else:
        stage.say(f"Done in {seconds:.0f} s, and everything is removed. --keep DIR leaves it for you to look at.")


def _number(printed: str) -> int:
    """The number that an output begins with."""
    return int(printed.split(maxsplit=1)[0].replace(",", ""))


def _mix_answers(file: Path) -> tuple[str, str]:
    """Rewrite a sheet of acceptances as the story wants it; the person who withdraws later, and one who does last of all, "" in a small cohort."""
    with file.open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        rows = list(reader)
        columns = list(reader.fieldnames or ())
    questions = [name for name in columns if name not in {"subject", "legal_time", "signer", "evidence"}]
    for row in rows[7::10]:
        row.update(dict.fromkeys(questions, "no"))
    kept = [row for i, row in enumerate(rows) if i % 10 < 8]
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns)
        writer.writeheader()
        writer.writerows(kept)
    return rows[min(6, len(rows) - 1)]["subject"], rows[5]["subject"] if len(rows) > 6 else ""


def _first_stretch(vcf: Path) -> str:
    """The region that starts at a text VCF's first record; "" for other files."""
    try:
        first = next((line for line in _lines(vcf) if not line.startswith("#")), "")
        contig, position = first.split("\t", 2)[:2]
        return f"{contig}:{position}-{int(position) + SPAN}"
    except ValueError:
        return ""


def _lines(file: Path) -> Iterator[str]:
    with file.open("rb") as stream:
        opened = gzip.open if stream.read(2) == b"\x1f\x8b" else open
    with opened(file, "rt", encoding="utf-8") as text:
        for line in text:
            yield line.rstrip("\n")
