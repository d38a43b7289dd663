"""The floor under a guarded read over HTTP: a route of the same framework that writes one durable row and gives a ready answer of the same size.

    python -m benchmarks.bare_route PORT FOLDER BYTES

``service`` starts it and drives it as it drives the vault's server.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Response
from pydantic import BaseModel
from pysqlite3 import dbapi2


class Asked(BaseModel):
    """The body that the driver sends."""

    dataset: str
    pseudonyms: list[str]


def application(folder: Path, size: int) -> FastAPI:
    """One route; rows go into a database in ``folder``, under one lock, each with a commit of its own."""
    app, lock, answer = FastAPI(), threading.Lock(), b"x" * size
    connection = dbapi2.connect(str(folder / "floor.db"), isolation_level=None, check_same_thread=False)
    for statement in ("PRAGMA journal_mode=wal", "PRAGMA synchronous=2", "CREATE TABLE t (a, b)"):
        connection.execute(statement)

    @app.post("/v1/projects/{project}/panels/{panel}/genotypes")
    def genotypes(project: str, panel: str, asked: Asked) -> Response:
        with lock:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO t VALUES (?, ?)", (f"{project} {panel} {asked.pseudonyms}", os.urandom(600)))
            connection.execute("COMMIT")
        return Response(answer, media_type="application/json")

    return app


if __name__ == "__main__":
    port, folder, size = sys.argv[1:]
    uvicorn.run(application(Path(folder), int(size)), host="127.0.0.1", port=int(port), log_level="error", loop="asyncio")
