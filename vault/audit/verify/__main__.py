"""The command ``genovault-verify EXPORT --key VKEY``, also ``python -P -m vault.audit.verify``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from vault.audit.verify.folder import MAX_NOTE_BYTES, read_bounded
from vault.audit.verify.model import lines_of
from vault.audit.verify.run import verify_folder


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="genovault-verify", description="Verify an exported audit log offline.")
    parser.add_argument("export", type=Path, help="folder with checkpoint and tile/")
    parser.add_argument("--key", help="vkey line, or a file that holds one, from somewhere else than the export")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args(arguments)
    if not options.export.is_dir():
        sys.stderr.write(f"{options.export} is not a folder\n")
        return 4
    key = options.key
    if key is not None and "+" not in key:
        data = read_bounded(Path(key), MAX_NOTE_BYTES)
        key = key if data is None else data.decode("utf-8", "replace").strip()
    report = verify_folder(options.export, key)
    if options.json:
        document = asdict(report) | {"ok": report.ok, "first_bad": report.first_bad}
        sys.stdout.write(json.dumps(document) + "\n")
    else:
        lines = (
            "".join(c if c.isprintable() else "\ufffd" for c in line) for line in lines_of(report)
        )  # no text of the log's drives a terminal
        sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 0 if report.ok else 5


if __name__ == "__main__":
    sys.exit(main())
