"""Features and batched beam search on the device."""

import argparse

import torch
from torch import Tensor

from asrattn.decoders import DecoderConfig, RecurrentDecoderConfig, TransformerDecoderConfig
from asrattn.decoders.interface import build as build_decoder
from asrattn.decoding import DecodingConfig
from asrattn.decoding.beam_search import beam_search
from benchmarks import beam_search as search_benchmark
from benchmarks import features
from benchmarks.clock import mean
from benchmarks.gpu import tables

SECONDS = 10.0  # of each utterance
FRAMES_PER_SECOND, TOKENS_PER_SECOND = 25, 4
VOCABULARY, DIM = 500, 256
BEAM, CTC = 10, 0.3
DECODERS: dict[str, DecoderConfig] = {
    "LSTM, 1 layer of 256": RecurrentDecoderConfig(),
    "Transformer, 6 layers of 256": TransformerDecoderConfig(),
}


def measure_features(device: str, small: bool) -> None:
    """Hours of audio a second by batch size, of ours and of torchaudio's bare mel spectrogram."""
    batches, rounds = ((1, 4), 2) if small else ((1, 16, 64, 256), 20)
    tables.begin(
        "Features",
        f"80 log-mel with normalisation; utterances of {SECONDS:g} s that are on the device already; the median of "
        f"{rounds} rounds.",
        ["utterances at once", "hours of audio a second", "torchaudio, mel alone"],
        device,
    )
    extractors = {
        "ours": features.asrattn_extractor(device),
        "torchaudio": features.torchaudio_extractor(device),
    }
    for batch in batches:
        speed = features.hours_per_second(extractors, batch, SECONDS, rounds, device)
        tables.row([batch, f"{speed['ours']:.3g}", f"{speed['torchaudio']:.3g}"])


def measure_decoding(device: str, small: bool) -> None:
    """Seconds of the wall clock and of the CPU for a second of audio, by decoder, precision and batch size."""
    batches, seconds, utterance = ((1, 2), 0.1, 1.0) if small else ((1, 8, 32, 128), 2.0, SECONDS)
    tables.begin(
        "Batched decoding",
        f"The search alone, beam {BEAM}, CTC {CTC}; utterances of {utterance:g} s with {FRAMES_PER_SECOND} frames and "
        f"{TOKENS_PER_SECOND} tokens of {VOCABULARY} a second, untrained decoders, CTC that is sure of a random text. "
        "The CPU waits for a GPU by spinning.",
        ["decoder", "precision", "utterances at once", "wall-s a second of audio", "CPU-s a second of audio"],
        device,
    )
    for name, config in DECODERS.items():
        for precision in ("fp32",) if small else ("fp32", "bf16"):
            for batch in batches:
                made = utterances(batch, utterance, device)
                wall, cpu = cost(config, precision, made, device, seconds)
                audio = batch * utterance
                tables.row([name, precision, batch, f"{wall / audio:.5f}", f"{cpu / audio:.5f}"])


def utterances(batch: int, seconds: float, device: str) -> tuple[Tensor, Tensor, Tensor]:
    """See benchmarks.beam_search."""
    frames, tokens = round(FRAMES_PER_SECOND * seconds), round(TOKENS_PER_SECOND * seconds)
    sizes = argparse.Namespace(frames=frames, tokens=tokens, vocabulary=VOCABULARY, dim=DIM, device=device)
    return search_benchmark.random_utterances(batch, sizes)


def cost(
    config: DecoderConfig, precision: str, made: tuple[Tensor, Tensor, Tensor], device: str, seconds: float
) -> tuple[float, float]:
    """Of one search, by the wall clock and in CPU-seconds."""
    torch.manual_seed(tables.SEED)
    decoder = build_decoder(config, DIM, VOCABULARY)
    decoder.to(device).eval()  # type: ignore[attr-defined]
    asked = DecodingConfig(beam_size=BEAM, ctc=CTC)

    def work() -> object:
        with torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"):
            return beam_search(decoder, *made, asked)

    work()
    return mean(work, device, seconds, most=20)
