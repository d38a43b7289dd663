"""Property tests judge what the code answers, not how soon: another program on the machine must not fail them."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("genovault", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("genovault")
