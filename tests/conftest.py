"""Shared by all tests: Hypothesis without a clock, since a busy machine is no finding."""

from hypothesis import HealthCheck, settings

settings.register_profile("atoll", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("atoll")
