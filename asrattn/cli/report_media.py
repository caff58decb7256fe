"""Media of utterances for the report: audio, plots of features and attention, estimated SNR."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from asrattn.cli import options

if TYPE_CHECKING:
    from asrattn.data.manifest import Utterance
    from asrattn.inference.recognizer import Recognizer
    from asrattn.report import UtteranceMedia


def load_media(recognizer: "Recognizer", utterance: "Utterance", text: str) -> "UtteranceMedia | None":
    """The audio at the model's rate, and features and attention weights for the text; None if the audio cannot be
    used, or is so long that it is recognised in segments, and for a text that is too long for the decoder."""
    from asrattn import audio
    from asrattn.errors import AudioError, TextError
    from asrattn.inference.segmentation import read_waves
    from asrattn.report import UtteranceMedia
    from asrattn.report.plots import UtterancePlot

    try:
        wave, *more = read_waves(utterance, recognizer.rate)
        if more:
            return None
        tokens = recognizer.tokenizer.encode_lossy(text)
        found = recognizer.compute_attention(wave, tokens)
        words = [(word.text, word.start, word.end) for word in recognizer.align([wave], [tokens])[0]]
        flac = bytes(audio.encode(Path(f"{utterance.id}.flac"), wave, recognizer.rate))
    except (AudioError, TextError):
        return None
    seconds = len(wave) / recognizer.rate
    plot = UtterancePlot(seconds, found.features, found.weights, found.pieces, wave=wave, words=words)
    return UtteranceMedia(plot, flac)


def add_snr_tags(utterances: Sequence["Utterance"], rate: int) -> list["Utterance"]:
    """The utterances with an estimated tag snr; unchanged if the audio cannot be used."""
    return [
        replace(u, tags={**u.tags, "snr": found}) if (found := _snr(u, rate)) is not None else u
        for u in options.progress_bar(utterances, len(utterances), "utterance", "SNR")
    ]


def _snr(utterance: "Utterance", rate: int) -> float | None:
    from asrattn.audio import snr
    from asrattn.errors import AudioError
    from asrattn.inference.segmentation import read_waves

    try:
        return snr.estimate(read_waves(utterance, rate), rate)
    except AudioError:
        return None
