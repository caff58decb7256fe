"""Whisper models with random weights, of Whisper's vocabularies and little else."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tokenizers.pre_tokenizers import ByteLevel

from asrattn import checkpoint
from asrattn.checkpoint import Checkpoint
from asrattn.convert import whisper
from asrattn.convert.source import WhisperDims, WhisperRules, WhisperSource, weight_shapes
from asrattn.encoders.whisper import whisper_sinusoids

REAL = Path(__file__).resolve().parents[2] / "shared" / "models" / "whisper-tiny.en"
LANGUAGES = 99  # 100 from large-v3 on
TIMESTAMPS = 1501
DIMS = WhisperDims(
    mels=80,
    audio_context=1500,
    text_context=448,
    dim=8,
    vocabulary=0,
    encoder_layers=2,
    encoder_heads=2,
    encoder_ffn_dim=32,
    decoder_layers=2,
    decoder_heads=2,
    decoder_ffn_dim=32,
)
SIZES = {  # the layers of half the models, the vocabularies and features of all
    "tiny": replace(DIMS, vocabulary=51865),
    "tiny.en": replace(DIMS, vocabulary=51864),
    "large-v2": replace(DIMS, vocabulary=51865, encoder_layers=4, decoder_layers=4),
    "large-v3": replace(DIMS, vocabulary=51866, mels=128),
    "large-v3-turbo": replace(DIMS, vocabulary=51866, mels=128, encoder_layers=4),
    "distil-large-v3": replace(DIMS, vocabulary=51866, mels=128, encoder_layers=3, decoder_layers=1),
}
SMALL_TEXT_TOKENS = 300  # for tests that are about other things than the size of the vocabulary


def real_folder() -> Path:
    """The folder of tiny.en, or a skip that says why."""
    if not REAL.is_dir():
        pytest.skip("no Whisper at ../shared/models/whisper-tiny.en; random models serve")
    return REAL


def tokenizer(text_tokens: int, languages: int = LANGUAGES, multilingual: bool = True) -> str:
    """A tokenizer.json of bytes, with a few merges and Whisper's special tokens; multilingual ones have
    an empty token, and count the end of text among the BPE's tokens."""
    alphabet = sorted(ByteLevel.alphabet())
    vocab = {token: i for i, token in enumerate([*alphabet, "Ġa", "he", "Ġhe"])}
    vocab |= {f"<word-{i}>": i for i in range(len(vocab), text_tokens)}
    names = [
        "endoftext",
        "startoftranscript",
        *(f"l{i:02}" if i else "en" for i in range(languages)),
        *("translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps"),
    ]
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    added = [{"id": text_tokens + i, "content": f"<|{name}|>", **flags} for i, name in enumerate(names)]
    if multilingual:
        vocab[""] = vocab.pop(f"<word-{text_tokens - 1}>")
        vocab["<|endoftext|>"] = text_tokens
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    model = {"type": "BPE", "vocab": vocab, "merges": ["Ġ a", "h e", "Ġ he"]}
    plain = {"version": "1.0", "added_tokens": added, "pre_tokenizer": byte_level, "decoder": byte_level}
    return json.dumps(plain | {"model": model})


def tokenizer_of_vocabulary(vocabulary: int) -> str:
    """With the ids of OpenAI's models."""
    multilingual = vocabulary >= 51865
    return tokenizer(50257 if multilingual else 50256, LANGUAGES + (vocabulary == 51866), multilingual)


def source(
    dims: WhisperDims | None = None, dtype: torch.dtype = torch.float16, audio_context: int = 50
) -> WhisperSource:
    """Without sizes, a model of few tokens; its encoder has `audio_context` frames, 50 a second."""
    if dims is None:
        text = tokenizer(SMALL_TEXT_TOKENS)
        dims = replace(
            DIMS, vocabulary=SMALL_TEXT_TOKENS + LANGUAGES + 8 + TIMESTAMPS, audio_context=audio_context
        )
    else:
        text = tokenizer_of_vocabulary(dims.vocabulary)
    generator = torch.Generator().manual_seed(1)
    weights = {
        name: (torch.randn(shape, generator=generator) * 0.3).to(dtype)
        for name, shape in weight_shapes(dims).items()
    }
    if text == tokenizer(SMALL_TEXT_TOKENS):  # it writes text rather than special tokens, which are more
        weights["model.decoder.embed_tokens.weight"][SMALL_TEXT_TOKENS:] *= 0.1
    weights["model.encoder.embed_positions.weight"] = whisper_sinusoids(dims.audio_context, dims.dim).to(
        dtype
    )
    rules = WhisperRules((1, 2, 7), (4, 301), ((dims.decoder_layers - 1, 1),))
    return WhisperSource(dims, weights, text, rules, "tiny-random", "mit")


def native(
    made: WhisperSource | None = None, language: str | None = None, silence_samples: int | None = None
) -> Checkpoint:
    """Our model of a Whisper; without one, of a random one for 30 s and few tokens."""
    return whisper.to_native(made or source(audio_context=1500), language, silence_samples=silence_samples)


def model_file(folder: Path, saved: Checkpoint | None = None) -> Path:
    """The file of a model, of `native()` without one."""
    path = folder / "whisper.safetensors"
    checkpoint.save(path, *(saved or native()))
    return path


def assert_same_weights(a: WhisperSource, b: WhisperSource) -> None:
    """To the bit, types included."""
    assert a.weights.keys() == b.weights.keys()
    for name, weight in a.weights.items():
        assert weight.dtype == b.weights[name].dtype, name
        assert torch.equal(weight, b.weights[name]), name
