"""Splits for corpora without any: whole speakers are held out, the same ones for the same seed."""

import hashlib
import logging
from collections.abc import Iterable

from asrattn.data.manifest import Utterance
from asrattn.errors import DataError
from data_prep.build import Splits

log = logging.getLogger(__name__)

Groups = dict[str, list[Utterance]]


def hold_out_speakers(splits: Splits, count: int, seed: int) -> Splits:
    """With dev: all utterances of `count` drawn speakers of train. Raises DataError where none would remain."""
    speakers = {u.speaker for u in splits["train"]}
    if count and count >= len(speakers):
        raise DataError(f"{count} speakers cannot be held out of {len(speakers)}; lower --dev-speakers")
    drawn = set(_shuffle(speakers, seed)[:count])
    dev = [u for u in splits["train"] if u.speaker in drawn]
    train = [u for u in splits["train"] if u.speaker not in drawn]
    return {**splits, "train": train, "dev": dev}


def hold_out_shares(splits: Splits, shares: dict[str, float], seed: int) -> Splits:
    """With those splits that are still empty: a share of train, at least one utterance, speakers kept whole.

    Where fewer speakers are known than splits are needed, single utterances are drawn instead, and a warning says so
    if a known speaker may then stand on both sides. Raises DataError where train is too small to share.
    """
    train = splits.get("train", [])
    wanted = {name: share for name, share in shares.items() if share > 0 and not splits.get(name)}
    if len(train) <= len(wanted):
        needed = ", ".join(["train", *wanted])
        raise DataError(f"{len(train)} usable utterances are too few for {needed}; record more")
    groups = _groups(train, len(wanted))
    filled = dict(splits)
    for number, (name, share) in enumerate(wanted.items()):
        held = _draw_groups(groups, round(share * len(train)), len(wanted) - number, seed)
        ids = {u.id for key in held for u in groups.pop(key)}
        filled[name] = [u for u in train if u.id in ids]
    ids = {u.id for group in groups.values() for u in group}
    return {**filled, "train": [u for u in train if u.id in ids]}


def fill_empty(splits: Splits, dev_share: float, test_share: float, seed: int) -> Splits:
    """As `hold_out_shares`; nothing is asked of train where both shares are zero."""
    shares = {"dev": dev_share, "test": test_share}
    return hold_out_shares(splits, shares, seed) if any(shares.values()) else splits


def hold_out_dev(splits: Splits, speakers: int, dev_share: float, test_share: float, seed: int) -> Splits:
    """With dev: so many speakers of train, or a share of it where one is given."""
    splits = fill_empty(splits, dev_share, test_share, seed)
    return splits if dev_share else hold_out_speakers(splits, speakers, seed)


def _groups(utterances: Iterable[Utterance], splits: int) -> Groups:
    """Utterances that must stay together: a speaker's. One without a speaker is a group of its own."""
    groups: Groups = {}
    for u in utterances:
        groups.setdefault(u.speaker or _single_group(u), []).append(u)
    if len(groups) > splits:
        return groups
    log.warning(
        "%d speaker(s) cannot be kept apart in %d splits: single utterances are held out",
        len(groups),
        splits + 1,
    )
    return {_single_group(u): [u] for group in groups.values() for u in group}


def _single_group(utterance: Utterance) -> str:
    return "\n" + utterance.id  # no speaker's name holds a line break


def _draw_groups(groups: Groups, target: int, leave: int, seed: int) -> list[str]:
    """Drawn groups that together come near `target` utterances, all but `leave`; the smallest if all are large."""
    taken: list[str] = []
    count = 0
    for key in _shuffle(groups, seed):
        size = len(groups[key])
        if count < target and count + size <= 1.25 * target and len(groups) - len(taken) > leave:
            taken.append(key)
            count += size
    return taken or [min(_shuffle(groups, seed), key=lambda key: len(groups[key]))]


def _shuffle(keys: Iterable[str], seed: int) -> list[str]:
    """In an order that depends on nothing but the keys and the seed."""
    return sorted(keys, key=lambda key: hashlib.sha256(f"{seed}:{key}".encode()).digest())
