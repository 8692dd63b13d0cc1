"""How hard Hypothesis looks: the same examples at every run, or (--hypothesis-profile=thorough) many new ones."""

from hypothesis import settings

settings.register_profile("gate", derandomize=True, deadline=None, max_examples=100)
settings.register_profile("thorough", deadline=None, max_examples=5_000)
settings.load_profile("gate")
