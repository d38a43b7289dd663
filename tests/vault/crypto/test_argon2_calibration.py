from __future__ import annotations

import pytest

from vault.crypto import argon2_calibration
from vault.crypto.argon2_calibration import calibrate
from vault.crypto.primitives import Argon2Profile


class Machine:
    """A clock that moves as if a pass over a MiB took ``cost`` seconds."""

    def __init__(self, cost: float, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.cost = 0.0, cost
        monkeypatch.setattr(argon2_calibration, "argon2id", self.work)

    def work(self, _passphrase: object, _salt: bytes, profile: Argon2Profile) -> None:
        self.now += profile.m_kib / 1024 * profile.t * self.cost

    def timer(self) -> float:
        return self.now


@pytest.mark.parametrize("cost", [0.0004, 0.0006, 0.002])
def test_an_unlock_takes_about_what_was_asked(cost, monkeypatch):
    machine = Machine(cost, monkeypatch)
    profile = calibrate(timer=machine.timer, seconds=1.0)
    assert 0.4 <= profile.m_kib / 1024 * profile.t * cost <= 1.25
    assert profile.m_kib >= Argon2Profile.DEFAULT.m_kib
    assert profile.t >= Argon2Profile.DEFAULT.t


def test_a_slow_machine_never_goes_below_the_default(monkeypatch):
    machine = Machine(1.0, monkeypatch)
    assert calibrate(timer=machine.timer, seconds=1.0) == Argon2Profile.DEFAULT


def test_memory_is_bounded(monkeypatch):
    machine = Machine(1e-9, monkeypatch)
    assert calibrate(timer=machine.timer, memory_kib=256 * 1024).m_kib == 256 * 1024
