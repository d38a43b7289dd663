"""What a server has loaded before it says that it serves is all that an answer needs."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.support import asked_histories

ASKED = """
import json, sys
from pathlib import Path
from tests.support.asked_histories import QUESTIONS, sides
from vault import gate
import vault.server.app

gate.load_code()
with sides(Path(sys.argv[1])) as (side, _, _):
    before = set(sys.modules)
    answers = [side.ask(question, 0)[0] for question in QUESTIONS]
    gate.read_panel(side.service.acting(side.rita), project="asked", dataset="cohort", panel="exact")
    late = sorted(name for name in set(sys.modules) - before if name.split(".")[0] in {"vault", "policies", "numba", "llvmlite"})
    print(json.dumps([late, [answer for answer in answers if isinstance(answer, str)]]))
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    found = tmp_path_factory.mktemp("asked")
    asked_histories.template(found)
    return found


def test_no_answer_loads_code_of_ours_or_the_compiler_s(place):
    ran = subprocess.run([sys.executable, "-c", ASKED, str(place)], capture_output=True, check=False, text=True)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == [[], []]
