"""How hard Hypothesis looks: the same examples at every run, or (--hypothesis-profile=thorough) many new ones."""

from google.protobuf.internal import api_implementation
from hypothesis import settings

SLOW = api_implementation.Type() == "python"  # by ten times

settings.register_profile("gate", derandomize=True, deadline=None, max_examples=10 if SLOW else 100)
settings.register_profile("thorough", deadline=None, max_examples=5_000)
settings.load_profile("gate")
