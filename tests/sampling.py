"""How much of a long test is run: a seeded sample in `make test`, all of it in `make test-full` (TEST_FULL=1)."""

import os
import random
from collections.abc import Sequence
from typing import TypeVar

IS_FULL = os.environ.get("TEST_FULL") == "1"

Item = TypeVar("Item")


def sample(items: Sequence[Item], count: int) -> list[Item]:
    """That many of the items, always the same ones, in their order; all of them at full count."""
    if IS_FULL or count >= len(items):
        return list(items)
    indices = sorted(random.Random(0).sample(range(len(items)), count))  # noqa: S311
    return [items[index] for index in indices]
