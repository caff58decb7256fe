"""Checks of a corpus before training (the data doctor). Each family of checks has its file."""

from collections.abc import Sequence

from asrattn.corpus_check import audio_quality, duration, splits, texts
from asrattn.corpus_check.finding import CheckedUtterance, Finding
from asrattn.text import Tokenizer


def check_corpus(
    cases: Sequence[CheckedUtterance], has_recipe: bool = False, tokenizer: Tokenizer | None = None
) -> list[Finding]:
    """Findings of every family on audio, texts and splits.

    has_recipe: the recipe reports itself what it drops; tokenizer: of the pre-trained decoder that it takes.
    """
    return [
        *audio_quality.check_audio(cases),
        *texts.check_texts(cases, tokenizer),
        *duration.check_durations(cases, has_recipe),
        *splits.check_splits(cases),
    ]
