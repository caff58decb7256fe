"""The data doctor: what is wrong with a corpus, told before training. Each family of examinations has its file."""

from collections.abc import Sequence

from asrattn.checking import pace, sound, splits, texts
from asrattn.checking.finding import Case, Finding


def examine(cases: Sequence[Case], planned: bool = False) -> list[Finding]:
    """What every family finds in sounds, texts and splits. planned: a recipe says itself what it drops."""
    return [
        *sound.examine(cases),
        *texts.examine(cases),
        *pace.examine(cases, planned),
        *splits.examine(cases),
    ]
