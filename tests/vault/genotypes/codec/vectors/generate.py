"""Writes vectors.json: frozen examples of the block code, the container, the site table and the directory.

Run it only to add examples. A change of an existing one means that stored data can no longer be read: give the format a new
version instead.

    python -m tests.vault.genotypes.codec.vectors.generate > tests/vault/genotypes/codec/vectors/vectors.json
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np

from tests.vault.genotypes.chunks import fixed_random
from vault.crypto.secret import Secret
from vault.genotypes.codec.call_codes import Escapes
from vault.genotypes.codec.encoder import ChunkEncoder
from vault.genotypes.codec.packed_calls import CallRows
from vault.genotypes.sites import Sites, TextColumn
from vault.genotypes.store.containers import seal_container
from vault.genotypes.store.site_tables import PartDirectory, SiteTable

GT = [
    # phased biallelic, common and rare; X-like ploidy change; multi-allelic; missing; half-call; escapes; unphased
    "0|0 0|1 1|0 0|0 0|0 0|0 0|0 1|1 0|0 0|0",
    "0|0 0|1 1|0 0|0 0|0 0|0 0|0 1|1 0|0 0|1",
    "1|1 1|1 1|1 1|1 0|1 1|1 1|1 1|1 1|1 1|1",
    "0|0 0|0 0|0 0|0 0|0 0|0 0|0 0|0 0|0 0|0",
    "0 0 0|0 1 0|0 0 0|1 0 . 0",
    "0 1 0|0 0 0|0 1 0|1 0 0 0",
    "0|2 0|1 2|2 0|0 ./. .|1 0|0 0|0 0|1 0|0",
    "0/1 0/1 0/0 1/1 ./. 0/0 0/0 0/1 1/0 0/0",
    "0|0 0|11 0/0/1 0|1/2 0|0 0|0 . 0|0 12 0|0",
]
ESCAPED = {"0|11": ([0, 11], [0, 1]), "0/0/1": ([0, 0, 1], [0, 0, 0]), "0|1/2": ([0, 1, 2], [0, 1, 0]), "12": ([12], [0])}


def main() -> None:
    random = fixed_random("genovault genotype vectors")
    rows = [line.split() for line in GT]
    codes = np.array([[_code(gt) for gt in row] for row in rows], np.uint8)
    places = [(i, j, *ESCAPED[gt]) for i, row in enumerate(rows) for j, gt in enumerate(row) if gt in ESCAPED]
    escapes = Escapes(
        np.array([p[0] for p in places], np.int64),
        np.array([p[1] for p in places], np.int64),
        np.concatenate([[0], np.cumsum([len(p[2]) for p in places])]).astype(np.int64),
        np.concatenate([p[2] for p in places]).astype(np.int16),
        np.concatenate([p[3] for p in places]).astype(np.uint8),
    )
    encoder = ChunkEncoder(codes.shape[1], capacity=len(codes))
    encoder.add(CallRows.from_codes(codes), escapes)
    chunk = encoder.finish()
    ids = {name: random(16) for name in ("vault_id", "dataset_id", "part_id", "length_key_id")}
    keys = [random(32) for _ in chunk.split()]
    length_key = random(32)
    container, ref = seal_container(keys, chunk.split(), **ids, chunk=5, group=2, length_key=Secret(length_key), random=random)
    m = len(codes)
    sites = Sites(
        ("chr22",),
        np.zeros(m, np.int32),
        np.arange(m, dtype=np.int64) * 300 + 100,
        TextColumn.from_items([b"A,G"] * 6 + [b"C,T,G", b"ACGT,A", b"N,<DEL>"]),
        TextColumn.from_items([b"rs%d" % i for i in range(m)]),
        TextColumn.from_items([b"PASS"] * m),
        TextColumn.from_items([b""] * 8 + [b"END=9000;SVTYPE=DEL"]),
    )
    runs = replace(
        sites.take(np.arange(3)), contigs=("chr21", "chr22"), contig=np.array([0, 0, 1], np.int32), pos=np.array([5, 9, 7])
    )
    directory = PartDirectory.from_rows(("chr21", "chr22"), [(0, 7, 7, 7, 1), (1, 100, 2500, 9000, m)])
    json.dump(
        {
            "gt": GT,
            "coding": chunk.coding.hex(),
            "payloads": [bytes(p).hex() for p in chunk.split()],
            "container": {
                **{name: value.hex() for name, value in ids.items()},
                "chunk": 5,
                "group": 2,
                "container_id": ref.container_id.hex(),
                "nonce8": ref.nonce8.hex(),
                "aad": ref.aad.hex(),
                "header_bytes": ref.header_bytes,
                "sha256": ref.sha256.hex(),
                "block_keys": [k.hex() for k in keys],
                "length_key": length_key.hex(),
                "bytes": container.hex(),
            },
            "site_table": SiteTable(sites, chunk.coding).to_bytes().hex(),
            "site_table_of_runs": SiteTable(runs, b"coding").to_bytes().hex(),
            "directory": directory.to_bytes().hex(),
        },
        sys.stdout,
        indent=1,
    )
    sys.stdout.write("\n")


def _code(gt: str) -> int:
    """calls.py, spelled out."""
    if gt in ESCAPED:
        return 253
    numbers = [-1 if a == "." else int(a) for a in gt.replace("|", "/").split("/")]
    if len(numbers) == 1:
        return 242 + numbers[0] + 1
    return ("|" in gt) * 121 + (numbers[0] + 1) * 11 + numbers[1] + 1


if __name__ == "__main__":
    main()
