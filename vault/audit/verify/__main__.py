"""The command ``genovault-verify EXPORT|RECEIPT --key VKEY``, also ``python -P -m vault.audit.verify``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from vault.audit.verify.folder import MAX_NOTE_BYTES, read_bounded
from vault.audit.verify.model import lines_of
from vault.audit.verify.receipts import check_receipt, readable_keys, receipt_lines
from vault.audit.verify.run import verify_folder


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="genovault-verify", description="Verify an exported audit log, or a receipt, offline.")
    parser.add_argument("export", type=Path, help="folder with checkpoint and tile/, or the file of a receipt (.tlog-proof)")
    parser.add_argument("--key", help="vkey line, or a file that holds one, from somewhere else than the export")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args(arguments)
    key = None if options.key is None else _keys(options.key)
    if key == "":
        return _refused("--key is not a log's public key, nor a file that holds one")
    if options.export.is_file():
        return _receipt(options.export, key, as_json=options.json)
    if not options.export.is_dir():
        return _refused(f"{options.export} is not a folder, nor a receipt")
    report = verify_folder(options.export, key)
    if options.json:
        document = asdict(report) | {"ok": report.ok, "first_bad": report.first_bad}
        sys.stdout.write(json.dumps(document) + "\n")
    else:
        _say(lines_of(report))
    return 0 if report.ok else 5


def _receipt(path: Path, key: str | None, *, as_json: bool) -> int:
    """Check a receipt, for which the key has to come from elsewhere."""
    if key is None:
        return _refused("a receipt carries no key: give --key")
    data = read_bounded(path, MAX_NOTE_BYTES)
    report = None if data is None else check_receipt(data.decode("utf-8", "replace").replace("\r\n", "\n"), key)
    if report is None:
        return _refused(f"{path} is not a receipt")
    if as_json:
        sys.stdout.write(json.dumps(asdict(report) | {"ok": report.ok}) + "\n")
    else:
        _say(receipt_lines(report))
    return 0 if report.ok else 5


def _keys(given: str) -> str:
    """The vkey lines of an option, or of the file that it names; empty if there are none."""
    data = given.encode() if "+" in given else read_bounded(Path(given), MAX_NOTE_BYTES)
    return "\n".join(readable_keys("" if data is None else data.decode("utf-8", "replace")))


def _say(lines: Sequence[str]) -> None:
    """Print lines; no text of the log's drives a terminal."""
    shown = ("".join(c if c.isprintable() else "\ufffd" for c in line) for line in lines)
    sys.stdout.write("".join(f"{line}\n" for line in shown))


def _refused(why: str) -> int:
    sys.stderr.write(f"genovault-verify: {why}\n")
    return 4


if __name__ == "__main__":
    sys.exit(main())
