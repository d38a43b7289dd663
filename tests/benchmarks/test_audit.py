"""The benchmark of the audit log runs, small; its figures are another matter."""

from __future__ import annotations

import json
import sys

from benchmarks import audit


def test_it_measures_everything(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(audit, "THREADS", 4)
    out = tmp_path / "rows.json"
    arguments = [
        "--entries",
        "1000",
        "--tree",
        "70000",
        "--only",
        "proof,verify,disclosures",
        "--folder",
        tmp_path,
        "--json",
        out,
    ]
    monkeypatch.setattr(sys, "argv", ["audit", *map(str, arguments)])
    audit.main()
    rows = json.loads(out.read_text())["rows"]
    assert len(rows) == 9
    assert all(value > 0 for _, value, _, _ in rows)
    assert len(capsys.readouterr().out.splitlines()) == len(rows) + 1
