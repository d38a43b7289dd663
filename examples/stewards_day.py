"""A steward's day on the 2,504 people of the 1000 Genomes Project, by the commands a steward types; prints it as a page.

    python examples/stewards_day.py SHARED > docs/stewards-day.md

SHARED: a folder with the public data under ``data/``. Genotypes, names of samples and the ontology are real; answers, birth dates and
countries are made up (one fixed seed), because nobody's consent is public. Every output below is what the command printed.
"""

from __future__ import annotations

import csv
import os
import random
import shlex
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

VCF = "data/1-real/1000G_p3_chr22_2504/1kg-phaseIII-v5a.20130502.genotypes.chr22-16-16.5mb.vcf.gz"
PANEL = "data/1-real/integrated_call_samples_v3.20130502.ALL.panel"
MONDO = "data/derived/mondo_subclass_edges_2021-07.tsv.gz"
SHOWN = 24  # lines of one command's output
TODAY = datetime.now(UTC).date()
CHILDREN, WITHDRAWN = 40, "HG00100"

PROJECT = """code: lungs
title: Inherited risk of lung cancer
purpose:
  use_kinds: [disease]
  diseases: ["MONDO:0008903"]
  commercial: false
  controls: true
  commitments: [no_reid]
organisation: {id: "https://ror.org/000000000", name: Example Institute, country: DE, profit: non_profit}
people: [rita]
datasets: [cohort]
kinds: [records]
disclosure: {keep_phase: true}
"""


class Day:
    """A folder where commands are run, and the page that they make."""

    def __init__(self, folder: Path, shared: Path) -> None:
        self.folder = folder
        self.shared = shared
        secret = {"GENOVAULT_HOME": "vault", "GENOVAULT_PASSPHRASE": "a day's passphrase", "COLUMNS": "120"}
        self.environment = {**os.environ, **secret, "PYTHONPATH": str(Path(__file__).parents[1])}

    def say(self, text: str) -> None:
        """A paragraph."""
        print(f"\n{text}")

    def run(self, line: str, *, fails: bool = False, real: str | None = None) -> str:
        """Run ``genovault`` and show what it printed; ``real`` is run in place of the line shown, where paths are long."""
        command, _, file = (real or line).partition(" > ")
        arguments = [sys.executable, "-c", "import sys; from cli.main import run; sys.exit(run())", *shlex.split(command)]
        done = subprocess.run(  # noqa: S603 - genovault itself
            arguments, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=600, check=False
        )
        if (done.returncode != 0) is not fails:
            raise SystemExit(f"{line}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        if file:
            (self.folder / file).write_text(done.stdout, encoding="utf-8")
        printed = (done.stderr if fails else "" if file else done.stdout).rstrip().splitlines()
        more = [f"… {len(printed) - SHOWN} more lines"] if len(printed) > SHOWN else []
        print("\n```console", f"$ genovault {line}", *printed[:SHOWN], *more, "```", sep="\n")
        return done.stdout


def people(shared: Path, chance: random.Random) -> list[dict[str, str]]:
    """SHEET.csv: real sample names, made-up birth dates and countries; the first few are children."""
    samples = [line.split()[0] for line in (shared / PANEL).read_text().splitlines()[1:]]
    rows = []
    for number, sample in enumerate(samples):
        child = number < CHILDREN
        days = (
            chance.randint(16 * 365, 18 * 365 + 3) if child else max(9_000, chance.randint(7_000, 30_000))
        )  # of age when they signed
        born = TODAY - timedelta(days=days)
        country = "DE" if child else chance.choice(["DE", "GB", "FR", "NL", ""])
        rows.append({"sample_id": sample, "mrn": f"MRN-{number:05}", "birth_date": born.isoformat(), "country": country})
    return rows


def answers(rows: list[dict[str, str]], chance: random.Random) -> list[dict[str, str]]:
    """ANSWERS.csv for disease-research: most allow, some allow cancer alone, some refuse, some were not asked everything."""
    found = []
    for number, row in enumerate(rows):
        said = chance.choices(["any_health", "disease_only", "no"], [60, 30, 10])[0]
        signed = TODAY - timedelta(days=chance.randint(60, 2_000))
        child = number < CHILDREN
        found.append(
            {
                "subject": row["sample_id"],
                "legal_time": (TODAY - timedelta(days=400)).isoformat() if child else signed.isoformat(),
                "research_use": said,
                "commercial": chance.choice(["yes", "no", ""]),
                "use_after_death": chance.choice(["yes", "no", ""]),
                "recontact": chance.choice(["yes", "no"]),
                "signer": "guardian" if child else "self",
                "signed_by": f"Parent of {row['mrn']}" if child else "",
            }
        )
    return found


def sheet(path: Path, rows: list[dict[str, str]]) -> None:
    """Write rows as CSV."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    """The day, from an empty folder."""
    shared = Path(sys.argv[1]).resolve()
    chance = random.Random(20261122)  # noqa: S311 - made-up answers, the same on every run
    with tempfile.TemporaryDirectory() as place:
        day = Day(Path(place), shared)
        rows = people(shared, chance)
        sheet(day.folder / "people.csv", rows)
        given = answers(rows, chance)
        sheet(day.folder / "answers.csv", given)
        morning(day, given)
        noon(day)
        evening(day)


def morning(day: Day, given: list[dict[str, str]]) -> None:
    """People, genotypes, answers; and a sheet that is refused."""
    print("# A steward's day")
    day.say(
        "On the 2,504 people of the 1000 Genomes Project, chromosome 22 from 16 to 16.5 Mb. Genotypes, sample names and the disease\n"
        "ontology (MONDO, July 2021) are real; answers, birth dates and countries are made up, because nobody's consent is public.\n"
        "Made by `python examples/stewards_day.py SHARED`; every output is what the command printed."
    )
    day.say("## Morning: people, genotypes, answers")
    day.run("init vault --steward ann")
    day.run("subject import people.csv")
    day.run(
        "dataset import chr22.vcf.gz --name cohort --assembly GRCh37",
        real=f"dataset import {day.shared / VCF} --name cohort --assembly GRCh37",
    )
    day.say("Somebody filled in the sheet in a hurry. Every fault is named by line and column, and nothing is recorded.")
    bad = [dict(row) for row in given[100:106]]
    bad[0]["research_use"], bad[1]["legal_time"], bad[3]["signer"] = "maybe", "2026-01-01T09:00:00", "aunt"
    sheet(day.folder / "hurried.csv", bad)
    day.run("consent import hurried.csv --form disease-research", fails=True)
    day.run("consent import answers.csv --form disease-research --report report.csv")
    day.run("consent coverage")
    day.say("Diseases are compared in a loaded ontology, never guessed.")
    day.run(
        "consent load ontology mondo.tsv.gz --release mondo-2021-07",
        real=f"consent load ontology {day.shared / MONDO} --release mondo-2021-07",
    )


def noon(day: Day) -> None:
    """A project, what it leaves open, and the ruling."""
    day.say("## Noon: a project asks")
    (day.folder / "lungs.yaml").write_text(PROJECT, encoding="utf-8")
    print("\n```yaml\n" + PROJECT + "```")
    day.run("project create lungs.yaml")
    day.run("project approve lungs")
    day.run("consent coverage --project lungs")
    day.say(
        "Lung cancer lies below cancer, so those who allowed cancer research alone would count. But the project takes controls, a\nsensitive topic: a steward must rule."
    )
    day.run("consent queue")
    day.run("consent rule lungs controls --reason 'controls are drawn from the same cohort and not contacted'")
    day.run("consent coverage --project lungs")


def evening(day: Day) -> None:
    """Single people: a withdrawal, a question, a death, what is due, and a person's own copy."""
    day.say("## Afternoon: one person at a time")
    day.run(f"consent explain {WITHDRAWN} --project lungs")
    day.say("They call and withdraw. One command; it acts at once.")
    day.run(f"consent withdraw {WITHDRAWN}")
    day.run(f"consent explain {WITHDRAWN} --project lungs")
    day.say("A sheet that would bring them back is refused; only a new answer recorded for this very person can.")
    again = {"subject": WITHDRAWN, "research_use": "any_health", "signer": "guardian", "signed_by": "Parent"}
    sheet(day.folder / "again.csv", [again])
    day.run("consent import again.csv --form disease-research", fails=True)
    day.run("consent withdraw HG00103 --scope purpose:commercial")
    noted = day.run("consent note HG00155 deceased --at 2026-10-01")
    day.run("consent explain HG00155 --project lungs")
    day.say("It was another patient who died. The wrong event stays in the history; taking a no out of force needs evidence.")
    event = noted.partition("event ")[2].partition(":")[0]
    (day.folder / "registry.txt").write_text("HG00155 is alive, says the registry\n", encoding="utf-8")
    day.run(f"consent correct {event} --reason 'another patient of that name' --evidence registry.txt")
    day.run("subject find 'MRN-0010'")
    day.run("project check lungs")
    day.say("The ethics board asks who, and why not: a row for each person, and an entry of the log that names them all.")
    day.run("project check lungs --list board.csv")
    day.say("Children whose guardians signed come of age; then the guardian's signature lapses.")
    day.run("consent expiring --days 120")
    day.say("## Evening: a person asks what is held")
    day.run(f"consent show {WITHDRAWN}")
    day.run(f"consent export {WITHDRAWN} copy")
    day.run("audit verify")


if __name__ == "__main__":
    main()
