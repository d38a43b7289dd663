"""The frozen vectors are read back by the code, and the container also by a reader written from docs/formats/genotypes.md."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import zstandard
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.vault.genotypes.chunks import decode
from tests.vault.genotypes.codec.vectors.generate import ESCAPED, _code
from vault.crypto.secret import Secret
from vault.genotypes.store.block_access import GroupAccess
from vault.genotypes.store.containers import ContainerRef, open_blocks
from vault.genotypes.store.site_tables import PartDirectory, SiteTable


@pytest.fixture(scope="module")
def vectors():
    return json.loads((Path(__file__).parent / "vectors" / "vectors.json").read_text())


def test_payloads_decode_to_the_calls(vectors):
    payloads = [bytes.fromhex(p) for p in vectors["payloads"]]
    codes, escapes = decode(bytes.fromhex(vectors["coding"]), payloads)
    rows = [line.split() for line in vectors["gt"]]
    assert codes.tolist() == [[_code(gt) for gt in row] for row in rows]
    for e, (site, sample) in enumerate(zip(escapes.site, escapes.sample, strict=True)):
        part = slice(escapes.offset[e], escapes.offset[e + 1])
        assert (escapes.alleles[part].tolist(), escapes.phased[part].tolist()) == ESCAPED[rows[site][sample]]
    assert len(escapes) == sum(gt in ESCAPED for row in rows for gt in row)


def test_payloads_decode_by_the_documented_rules(vectors):
    coding, rows = bytes.fromhex(vectors["coding"]), [line.split() for line in vectors["gt"]]
    for j, payload in enumerate(vectors["payloads"]):
        assert plain_decode(coding, bytes.fromhex(payload)) == [
            ESCAPED[row[j]] if row[j] in ESCAPED else _code(row[j]) for row in rows
        ]


def test_the_container_opens(vectors):
    c = vectors["container"]
    data = bytes.fromhex(c["bytes"])
    names = ("container_id", "nonce8", "vault_id", "dataset_id", "part_id", "length_key_id", "sha256")
    ref = ContainerRef(
        **{name: bytes.fromhex(c[name]) for name in names},
        chunk=c["chunk"],
        group=c["group"],
        n_slots=len(c["block_keys"]),
        header_bytes=c["header_bytes"],
        total_bytes=len(data),
    )
    keys = [bytes.fromhex(k) for k in c["block_keys"]]
    opened, _ = open_blocks(
        ref,
        lambda at, size: data[at : at + size],
        Secret(bytes.fromhex(c["length_key"])),
        GroupAccess.from_slots(0, range(len(keys)), keys),
    )
    assert [p.hex() for p in opened] == vectors["payloads"]
    assert hashlib.sha256(data).hexdigest() == c["sha256"]


def test_the_blocks_open_by_the_documented_rules(vectors):
    c = vectors["container"]
    fields = [
        b"genovault/container/v1",
        *(bytes.fromhex(c[name]) for name in ("vault_id", "dataset_id", "part_id")),
        *(c[name].to_bytes(8, "big") for name in ("chunk", "group")),
        (1).to_bytes(8, "big"),
        bytes.fromhex(c["container_id"]),
    ]
    aad = hashlib.sha256(b"".join(len(f).to_bytes(2, "big") + f for f in fields)).digest()
    assert aad.hex() == c["aad"]
    at, data = c["header_bytes"], bytes.fromhex(c["bytes"])
    for slot, (key, payload) in enumerate(zip(c["block_keys"], vectors["payloads"], strict=True)):
        end = at + len(payload) // 2 + 16
        nonce = bytes.fromhex(c["nonce8"]) + slot.to_bytes(4, "big")
        assert AESGCM(bytes.fromhex(key)).decrypt(nonce, data[at:end], aad).hex() == payload
        at = end
    assert at == len(data)


def test_the_site_table_and_directory_parse(vectors):
    table = SiteTable.from_bytes(bytes.fromhex(vectors["site_table"]))
    assert table.sites.contigs == ("chr22",)
    assert table.sites.pos.tolist() == [100 + 300 * i for i in range(9)]
    assert table.sites.alleles.items() == [b"A,G"] * 6 + [b"C,T,G", b"ACGT,A", b"N,<DEL>"]
    assert table.sites.ids[8] == b"rs8"
    assert table.sites.info[8] == b"END=9000;SVTYPE=DEL"
    assert table.coding.hex() == vectors["coding"]
    assert_runs(bytes.fromhex(vectors["site_table_of_runs"]))
    directory = PartDirectory.from_bytes(bytes.fromhex(vectors["directory"]))
    assert directory.contigs == ("chr21", "chr22")
    assert directory.end.tolist() == [7, 9000]


def assert_runs(raw: bytes) -> None:
    """Version 2, by the code and by hand."""
    table = SiteTable.from_bytes(raw)
    assert [(table.sites.contigs[c], p) for c, p in zip(table.sites.contig, table.sites.pos.tolist(), strict=True)] == [
        ("chr21", 5),
        ("chr21", 9),
        ("chr22", 7),
    ]
    assert table.coding == b"coding"
    assert raw[:8] == b"\x02\x00\x16\x00\x03\x00\x00\x00"
    assert raw[16:38] == b"\x02\0\0\0\x05\0chr21\x01\0\0\0\x05\0chr22"
    columns = zstandard.decompress(raw[38 : 38 + int.from_bytes(raw[12:16], "little")])
    assert columns[:12] == bytes([5, 4, 7]) + bytes(9)


def plain_decode(coding: bytes, payload: bytes) -> list:  # noqa: C901 - the specification in one piece
    """One subject's calls: docs/formats/genotypes.md §2-3 in plain Python, sharing nothing with the kernels."""
    m, a = (int.from_bytes(coding[at : at + 4], "little") for at in (2, 6))
    columns = zstandard.ZstdDecompressor().decompress(coding[14:])
    alphabets = np.frombuffer(columns[: 4 * a], np.uint8).reshape(a, 4).tolist()
    c = np.frombuffer(columns[4 * a :], np.uint8).reshape(8, m).astype(int)
    alphabet, distance, default = c[0] + 256 * c[1], c[2] + 256 * c[3], c[7]
    classes = [(c[4][s], c[4][s] ^ c[5][s], c[6][s]) for s in range(m)]
    rows = sorted(
        ((classes[s][plane], 3 * s + plane) for s in range(m) for plane in range(3) if classes[s][plane] >= 2),
    )
    head = payload[0]
    body = zstandard.ZstdDecompressor().decompress(payload[1:]) if head & 1 else payload[1:]
    raw_sites = [s for s in range(m) if classes[s][0] == 1]
    fields = [0] * m
    for i, s in enumerate(raw_sites):
        fields[s] = body[i // 4] >> 2 * (i % 4) & 3
    bits = [b >> i & 1 for b in body[(len(raw_sites) + 3) // 4 :] for i in range(8)]
    at = 0

    def take(n: int) -> int:
        nonlocal at
        value = sum(bit << i for i, bit in enumerate(bits[at : at + n]))
        at += n
        return value

    exceptions: dict[int, int] = {}
    met: list[int] = []
    for k in range(21):
        group = [row for cls, row in rows if cls == 2 + k]
        used, place = max(0, k + (head >> 1 & 3) - 1), 0
        while place < len(group):
            if take(1):
                place += 1 << used
                continue
            place += take(used)
            site, plane = divmod(group[place], 3)
            if plane == 2:
                value = take(8) if take(1) else int(default[site])
                exceptions[site] = value
                if value == 253:
                    met.append(site)
            else:
                fields[site] |= 2 >> plane
            place += 1
    tail = body[(len(raw_sites) + 3) // 4 + (at + 7) // 8 :]
    escaped = {}
    for site in met:
        n = tail[0]
        numbers = [int.from_bytes(tail[2 + 2 * i : 4 + 2 * i], "little") - 1 for i in range(n)]
        escaped[site] = (numbers, [tail[1] >> i & 1 for i in range(n)])
        tail = tail[2 + 2 * n :]
    assert not tail
    calls, haploid = [], False
    for s in range(m):
        if distance[s]:
            fields[s] ^= fields[s - distance[s]]
        haploid ^= exceptions.get(s) == 254
        call = alphabets[alphabet[s]][fields[s]]
        if haploid and call < 242:
            call = 242 + call % 121 // 11
        if exceptions.get(s, 254) != 254:
            call = exceptions[s]
        calls.append(escaped[s] if call == 253 else call)
    return calls
