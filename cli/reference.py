"""The command reference, made of the commands' own help: ``python -m cli.reference > docs/commands.md`` (``make docs``)."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from cli.main import COMMANDS, app

_OPENING = """# Commands

Made by `make docs` from the commands' own help; a test holds it to them.

With `--json` a command prints exactly one JSON document on stdout. One that fails prints this there instead, and the same for
people on stderr:

```json
{"error": {"code": "sheet_rejected", "exit": 4, "hint": "…", "message": "…", "problems": [{"line": 7, "column": "mrn", "reason": "…"}]}}
```

`code` is a constant to rely on; `message` and `hint` may change; `problems` is there only where a file has several.
Every document is described by [json-documents.schema.json](json-documents.schema.json) (JSON Schema 2020-12), by its command's name with hyphens.

| exit code | meaning |
|---|---|
| 0 | done |
| 2 | usage: the call itself is wrong |
| 3 | refused by policy |
| 4 | bad or unknown input; nothing was changed |
| 5 | integrity failure: stored or signed data is not what it was |
| 6 | locked, busy, full or missing: trying again after mending it may succeed |
| 70 | a bug in genovault; the reference in the message names its place and tells nothing of the data |
| 130 | interrupted |
| 141 | the reader of stdout went away |
"""


def reference() -> str:
    """The whole page. Its width follows the COLUMNS variable, as all help does."""
    root = get_command(app)
    context = root.make_context("genovault", [], resilient_parsing=True)
    sections = [_section(context)]
    for name in COMMANDS:
        sections += _walk(name, root.get_command(context, name), context)  # type: ignore[attr-defined] # LazyGroup has it
    return "\n".join([_OPENING, *sections])


def _walk(name: str, command: Any, parent: Any) -> Iterator[str]:
    context = command.make_context(name, [], parent=parent, resilient_parsing=True)
    yield _section(context)
    for child_name, child in getattr(command, "commands", {}).items():
        yield from _walk(child_name, child, context)


def _section(context: Any) -> str:
    return f"## {context.command_path}\n\n```\n{context.command.get_help(context)}\n```\n"


if __name__ == "__main__":
    os.environ["COLUMNS"] = "80"  # the page is the same whatever terminal it is made in
    sys.stdout.write(reference())
