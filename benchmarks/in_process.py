"""The peers that are libraries: cyvcf2, pgenlib and zarr with an open handle, on plain data. Runs in the peers' own environment.

python in_process.py PLAN.json        prints {task: {"seconds": […], "digest": …}}; a library that is missing is left out
"""

from __future__ import annotations

import gc
import hashlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

WARM = 1


def cyvcf2_tasks(plan: dict[str, Any]) -> dict[str, Callable[[], Any]]:
    from cyvcf2 import VCF

    contig, first, last = plan["region"]
    half = VCF(plan["bcf"], samples=plan["half"], gts012=False)
    everyone = VCF(plan["bcf"])
    one = VCF(plan["bcf"], samples=plan["half"][:1])

    def matrix(reader: Any, places: list[tuple[str, int, int]]) -> Any:
        rows = [record.genotype.array()[:, :2] for c, a, b in places for record in reader(f"{c}:{a}-{b}")]
        return np.array(rows, np.int8)

    return {
        "cyvcf2 region": lambda: matrix(half, [(contig, first, last)]),
        "cyvcf2 site": lambda: matrix(everyone, [(plan["site"][0], plan["site"][1], plan["site"][1])]),
        "cyvcf2 panel": lambda: matrix(one, [(c, p, p) for c, p in plan["panel"]]),
    }


def pgenlib_tasks(plan: dict[str, Any]) -> dict[str, Callable[[], Any]]:
    import pgenlib

    subset = np.array(plan["half_columns"], np.uint32)
    reader = pgenlib.PgenReader(plan["pgen"].encode(), sample_subset=subset)
    first, last = plan["region_rows"]
    n, m = len(plan["half"]), last - first

    def phased() -> Any:
        codes, phase = np.empty((m, 2 * n), np.int32), np.empty((m, n), np.uint8)
        reader.read_alleles_and_phasepresent_range(first, last, codes, phase)
        return codes.reshape(m, n, 2)

    return {"pgenlib region": phased}


def zarr_tasks(plan: dict[str, Any]) -> dict[str, Callable[[], Any]]:
    import zarr

    calls = zarr.open(plan["zarr"], mode="r")["call_genotype"]
    columns = np.array(plan["half_columns"])
    first, last = plan["region_rows"]
    return {"zarr region": lambda: calls[first:last][:, columns]}


def main() -> None:
    plan = json.loads(Path(sys.argv[1]).read_text())
    tasks: dict[str, Callable[[], Any]] = {}
    for needed, make in (("bcf", cyvcf2_tasks), ("pgen", pgenlib_tasks), ("zarr", zarr_tasks)):
        try:
            tasks |= make(plan) if plan.get(needed) else {}
        except ImportError:
            continue
    results = {}
    for name, task in tasks.items():
        seconds, made = [], None
        for _ in range(WARM + plan["repeats"]):
            gc.disable()  # as timeit does
            started = time.perf_counter()
            made = task()
            seconds.append(time.perf_counter() - started)
            gc.enable()
        matrix = np.ascontiguousarray(made, np.int8)
        results[name] = {"seconds": seconds[WARM:], "digest": hashlib.sha256(matrix.tobytes()).hexdigest()}
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()
