"""Settings of the security room's property tests."""

from hypothesis import settings

# A busy machine may stop any single example for a while; pytest's own time limit is enough.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
