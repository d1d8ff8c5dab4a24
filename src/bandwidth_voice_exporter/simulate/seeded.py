"""Random generators that give the same for the same seed."""

from random import Random


def seeded(seed: str) -> Random:
    """Return a generator of a seed of its own."""
    return Random(seed)  # noqa: S311  # repeatable on purpose, nothing is secret
