"""What all tests share: hypothesis without a clock (the machine may be busy, and numba compiles on its first call)."""

from hypothesis import HealthCheck, settings

settings.register_profile("skyloom", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("skyloom")
