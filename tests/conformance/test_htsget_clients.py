"""Programs of others fetch streams: bcftools, the htsget client of PyPI, igv.js in a browser; and the tickets hold to the schemas of the compliance suite."""

from __future__ import annotations

import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from policies.token_scopes import TokenScope
from tests.support import served, vaults
from tests.support.outside import extra, lacking, shared, tool
from tests.support.sources import ROOT
from tests.support.vaults import opened
from vault import gate

FORMAT = "%CHROM\t%POS\t%REF\t%ALT\t%FILTER\t%AC\t%AN[\t%SAMPLE=%GT]\n"
PAGE = """<!doctype html><meta charset="utf-8"><div id="igv"></div>
<script type="module">
import igv from "./igv.esm.min.js";
window.load = async (url, token) => {
  const browser = await igv.createBrowser(document.getElementById("igv"), {
    reference: {id: "made", fastaURL: "reference.fa", indexed: false},
    locus: "22:1001-1300",
    loadDefaultGenomes: false,
    tracks: [{type: "variant", format: "vcf", sourceType: "htsget", name: "cohort", url: url, headers: {Authorization: "Bearer " + token}}],
  });
  const track = browser.findTracks("name", "cohort")[0];
  const header = await track.getHeader();
  const found = await track.featureSource.getFeatures({chr: "22", start: 1000, end: 1300, bpPerPixel: 1});
  return {
    names: header.sampleNameMap ? Array.from(header.sampleNameMap.keys()) : track.sampleKeys,
    records: found.map(one => [one.pos, Object.fromEntries(Object.entries(one.calls).map(([key, call]) => [call.sample ?? key, call.genotype]))]),
  };
};
</script>"""


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    """A server whose pages' origin is a file server beside it, and the records of the extract."""
    folder = tmp_path_factory.mktemp("clients")
    served.staffed(folder)
    with opened(folder / "v") as s:
        token = served.issue(s, "rita", TokenScope.STREAM)
        gate.extract(s, vaults.ask(s, project="served", regions=("22:1001-1300",)), folder / "out")
    (folder / "web").mkdir()
    with pages(folder / "web") as origin, served.serving(folder / "v", "--allow-origin", origin, token=token) as it:
        yield it, token, records(folder / "out" / "genotypes.vcf.gz"), folder, origin


@contextmanager
def pages(folder):
    """Files of a folder over HTTP, on a port of their own; the origin."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{web.server_address[1]}"
        web.shutdown()


def bcftools(token, folder, *arguments):
    (folder / "token").write_text(token)
    environment = {
        **os.environ,
        "HTS_AUTH_LOCATION": str(folder / "token"),
        "HTS_ALLOW_UNENCRYPTED_AUTHORIZATION_HEADER": "I understand the risks",
    }
    command = [tool("bcftools"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=120)


def records(path):
    ran = subprocess.run([tool("bcftools"), "query", "-f", FORMAT, path], capture_output=True, text=True, check=True)
    return by_name(ran.stdout)


def by_name(text):
    """Records with calls by name: an extract's columns are in an order of its own."""
    return [(*line.split("\t")[:7], *sorted(line.split("\t")[7:])) for line in text.splitlines()]


@pytest.mark.parametrize("kind", ["VCF", "BCF"])
def test_bcftools_reads_a_region_as_the_extract_has_it(ground, kind):
    server, token, expected, folder, _ = ground
    url = f"{server.url}/variants/served/cohort?referenceName=22&start=1000&end=1300&format={kind}"
    ran = bcftools(token, folder, "query", "-f", FORMAT, url)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert by_name(ran.stdout) == expected
    seen = bcftools(token, folder, "view", "-o", folder / "seen.vcf.gz", "-O", "z", url)
    assert (seen.returncode, seen.stderr) == (0, "")
    assert records(folder / "seen.vcf.gz") == expected


def test_bcftools_reads_a_panel_a_header_and_a_whole_dataset(ground):
    server, token, _, folder, _ = ground
    panel = bcftools(token, folder, "query", "-f", "%POS\n", f"{server.url}/variants/served/cohort/pgx")
    assert panel.stdout.split() == ["1010", "1020", "1030"]
    header = bcftools(token, folder, "view", "-h", f"{server.url}/variants/served/cohort?class=header")
    assert (header.returncode, header.stdout.count("#CHROM")) == (0, 1)
    whole = bcftools(token, folder, "query", "-f", "%POS\n", f"{server.url}/variants/served/cohort")
    assert whole.returncode == 0
    assert len(whole.stdout.split()) > 15_000


def test_bcftools_is_told_no_without_a_token_and_for_what_is_not_there(ground):
    server, token, _, folder, _ = ground
    for path, shown in (("cohort?referenceName=22", "none"), ("nosuch", token)):
        ran = bcftools(shown, folder, "view", f"{server.url}/variants/served/{path}")
        assert ran.returncode != 0
        assert token not in ran.stderr


@pytest.mark.parametrize("kind", ["VCF", "BCF"])
def test_the_client_of_pypi_reads_a_region(ground, kind):
    server, token, expected, folder, _ = ground
    extra("htsget")
    output = folder / f"pypi.{kind.lower()}"
    program = Path(sys.executable).parent / "htsget"
    command = [program, f"{server.url}/variants/served/cohort", "--bearer-token", token, "--reference-name", "22"]
    command += ["--start", "1000", "--end", "1300", "--format", kind, "--output", output]
    ran = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, timeout=120)
    assert ran.returncode == 0, ran.stderr
    assert records(output) == expected


def test_the_client_of_pypi_asks_once_where_nothing_is(ground):
    server, token, _, folder, _ = ground
    before = refused(server)
    program = Path(sys.executable).parent / "htsget"
    command = [program, f"{server.url}/variants/served/nosuch", "--bearer-token", token, "--output", folder / "nothing"]
    ran = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, timeout=120)
    assert ran.returncode != 0
    assert refused(server) - before == 1


def refused(server):
    with opened(server.folder) as s:
        leaves = [json.loads(entry.leaf) for entry in s.trail.log.entries(0)]
    return sum(leaf["act"] == "stream.ticket" and leaf["outcome"] != "done" for leaf in leaves)


def test_igv_reads_header_and_region_in_a_page_of_a_named_origin(ground):
    server, token, expected, folder, origin = ground
    sync_api = extra("playwright.sync_api")
    modules = Path(os.environ.get("GENOVAULT_NODE_MODULES") or "")
    if not (modules / "igv" / "dist" / "igv.esm.min.js").is_file():
        lacking("igv, in the folder GENOVAULT_NODE_MODULES,")
    shutil.copy(modules / "igv" / "dist" / "igv.esm.min.js", folder / "web")
    (folder / "web" / "reference.fa").write_text(">22\n" + "A" * 5_000 + "\n")
    (folder / "web" / "page.html").write_text(PAGE)
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=tool("chromium"), args=["--no-sandbox"])
        try:
            page = browser.new_page()
            page.goto(f"{origin}/page.html")
            page.wait_for_function("window.load !== undefined")
            found = page.evaluate("([url, token]) => window.load(url, token)", [f"{server.url}/variants/served/cohort", token])
        finally:
            browser.close()
    named = [dict(call.split("=") for call in record[7:]) for record in expected]
    calls = [
        (int(record[1]), {name: numbers(call) for name, call in one.items()}) for record, one in zip(expected, named, strict=True)
    ]
    assert sorted(found["names"]) == sorted(named[0])
    assert [(int(pos), got) for pos, got in found["records"]] == calls


def numbers(call):
    return [int(allele) for allele in call.split("|")]


def test_the_page_for_researchers_does_what_it_prints(ground):
    server, token, _, folder, _ = ground
    (folder / "page").mkdir()
    (folder / "page" / "token.txt").write_text(token)
    sessions = re.findall(r"^```console\n(.*?)^```$", (ROOT / "docs" / "htsget.md").read_text(), re.DOTALL | re.MULTILINE)
    lines = [line[2:] for text in sessions for line in text.splitlines() if line.startswith("$ ")]
    script = "\n".join(["set -e", *lines]).replace("http://127.0.0.1:8420/variants/demo/", f"{server.url}/variants/served/")
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    ran = subprocess.run(
        ["sh", "-c", script], cwd=folder / "page", env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert (ran.returncode, len(lines)) == (0, 7), ran.stderr
    assert records(folder / "page" / "region.vcf.gz") == records(folder / "page" / "fetched.vcf.gz")


def test_tickets_hold_to_the_schemas_of_the_compliance_suite(ground):
    server, _, _, _, _ = ground
    jsonschema = extra("jsonschema")
    folder = shared("data/5-conformance/htsget_compliance/ga4gh/htsget/schemas")
    ticket, url = (json.loads((folder / f"{name}.json").read_text()) for name in ("htsgetResponse", "htsgetUrl"))
    for path in ("cohort", "cohort?format=BCF", "cohort?class=header", "cohort/pgx"):
        body = server.client.get(f"/variants/served/{path}").json()
        said = ticket["definitions"]["htsgetResponse"]["properties"]["htsget"]
        jsonschema.validate(body["htsget"], {**said, "properties": {**said["properties"], "urls": {"type": "array"}}})
        assert list(body) == ["htsget"]
        for one in body["htsget"]["urls"]:
            jsonschema.validate(one, url["definitions"]["htsgetUrl"])
