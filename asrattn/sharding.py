"""Job shards, for job arrays: `--shard 2/8`."""

import argparse
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

T = TypeVar("T")


class JobShard(NamedTuple):
    """The part with the number 1, 2 … of a total."""

    number: int = 1
    total: int = 1

    @staticmethod
    def parse(text: str) -> "JobShard":
        """From "2/8"; raises argparse's own error for anything else."""
        number, _, total = text.partition("/")
        if not (number.isdecimal() and total.isdecimal() and 1 <= int(number) <= int(total)):
            raise argparse.ArgumentTypeError(f"{text!r} is not a job shard; use for example 1/8, 2/8, … 8/8")
        return JobShard(int(number), int(total))

    def select(self, items: Sequence[T]) -> Sequence[T]:
        """Every total-th of the items: all parts together hold each of them once."""
        return items[self.number - 1 :: self.total]

    @property
    def name(self) -> str:
        """For files: "2-of-8"."""
        return f"{self.number}-of-{self.total}"


UNSHARDED = JobShard()
