"""A training step of models of 10 and 100 million parameters: speed, share of the matrix rate, memory, forecast."""

import gc
import time
from dataclasses import dataclass

import torch
from torch import nn

from asrattn.augment import AugmentConfig
from asrattn.decoders import RecurrentDecoderConfig, TransformerDecoderConfig
from asrattn.encoders import ConformerConfig, LSTMEncoderConfig, TransformerEncoderConfig
from asrattn.model import LossConfig, ModelConfig
from asrattn.model.speech_model import SpeechModel
from asrattn.training.forecast import PIECES_PER_SECOND, Forecast, forecast_step
from asrattn.training.recipe import Precision, Recipe, TrainConfig
from benchmarks import matmul
from benchmarks.clock import mean
from benchmarks.gpu import tables
from benchmarks.training import PRECISIONS, TrainingStep, peak_memory_gb

MEMORY_SHARE = 0.6  # of the device's memory that a step may need by the forecast
VOCABULARY = 500
COLUMNS = [
    "model",
    "parameters",
    "precision",
    "audio a step",
    "ms/step",
    "audio-s/s",
    "TFLOP/s",
    "of the matrix rate",
    "peak GB",
    "forecast GB",
    "peak by forecast",
]


@dataclass(frozen=True)
class Sizes:
    """models  by name
    audio   seconds in a step at most, in utterances of so many
    width   of the square matrices that tell the matrix rate
    warm    steps before the clock starts
    steps   that are timed at most, and seconds after which no more are
    """

    models: dict[str, ModelConfig]
    audio: float
    utterance: float
    width: int
    warm: int
    steps: int
    seconds: float


def transformer(dim: int, layers: int, heads: int) -> TransformerDecoderConfig:
    return TransformerDecoderConfig(dim=dim, layers=layers, heads=heads, ffn_dim=4 * dim)


def model(
    encoder: LSTMEncoderConfig | TransformerEncoderConfig | ConformerConfig,
    decoder: RecurrentDecoderConfig | TransformerDecoderConfig,
) -> ModelConfig:
    return ModelConfig(encoder=encoder, decoder=decoder, vocabulary=VOCABULARY)


SMALL = Sizes(
    {
        "LSTM": model(LSTMEncoderConfig(dim=32, layers=1, channels=4), RecurrentDecoderConfig(dim=32)),
        "Transformer": model(
            TransformerEncoderConfig(dim=32, layers=1, ffn_dim=64, channels=4), transformer(32, 1, 4)
        ),
        "Conformer": model(ConformerConfig(dim=32, layers=1, ffn_dim=64, channels=4), transformer(32, 1, 4)),
    },
    audio=2.0,
    utterance=1.0,
    width=128,
    warm=1,
    steps=1,
    seconds=0.5,
)
LARGE = Sizes(
    {
        "LSTM 10 M": model(LSTMEncoderConfig(dim=288, layers=4), RecurrentDecoderConfig(dim=288)),
        "Transformer 10 M": model(TransformerEncoderConfig(dim=256, layers=8), transformer(256, 2, 4)),
        "Conformer 10 M": model(
            ConformerConfig(dim=192, layers=8, ffn_dim=768, kernel=31), transformer(192, 4, 4)
        ),
        "LSTM 100 M": model(LSTMEncoderConfig(dim=896, layers=5), RecurrentDecoderConfig(dim=896)),
        "Transformer 100 M": model(
            TransformerEncoderConfig(dim=512, layers=24, heads=8, ffn_dim=2048), transformer(512, 6, 8)
        ),
        "Conformer 100 M": model(
            ConformerConfig(dim=512, layers=12, heads=8, ffn_dim=2048, kernel=31), transformer(512, 6, 8)
        ),
    },
    audio=640.0,
    utterance=10.0,
    width=8192,
    warm=8,
    steps=30,
    seconds=3.0,
)


def measure(device: str, small: bool, budget: float) -> None:
    """Print a row for each model and precision; those that the budget of seconds does not hold are named as such."""
    end = time.monotonic() + budget
    sizes = SMALL if small else LARGE
    rates = {precision: matrix_rate(precision, device, sizes.width) for precision in ("bf16", "fp16")}
    told = ", ".join(f"{precision} {rate / 1e12:.3g}" for precision, rate in rates.items())
    tables.begin(
        "Training steps",
        f"Utterances of {sizes.utterance:g} s of made sound, {PIECES_PER_SECOND:g} tokens a second of {VOCABULARY}, "
        "CTC 0.3; augmentation, forward, backward, clipping, AdamW, moving average. "
        "Matrix rate in TFLOP/s, of a linear layer "
        f"{sizes.width} × {sizes.width} forward and backward: {told}.",
        COLUMNS,
        device,
    )
    for name, config in sizes.models.items():
        model = SpeechModel(config)
        count = f"{sum(p.numel() for p in model.parameters()) / 1e6:.1f} M"
        needed: Forecast | None = None
        for precision in ("bf16", "fp16"):
            if time.monotonic() > end:
                tables.row([name, count, precision, "not measured: out of time", *[""] * 7])
                continue
            train = TrainConfig(precision=precision)
            recipe = Recipe(name, config, augment=STILL, loss=LossConfig(ctc=0.3), train=train)
            needed = needed or forecast_step(recipe, model)
            tables.row([name, count, precision, *cells(recipe, needed, device, sizes, rates[precision])])


STILL = AugmentConfig(stretch=0.0)  # every step has as many frames as the forecast


def cells(recipe: Recipe, needed: Forecast, device: str, sizes: Sizes, rate: float) -> list[str]:
    """The rest of a row."""
    audio = batch_seconds(needed, device, sizes)
    batch = [sizes.utterance] * round(audio / sizes.utterance)
    try:
        wall, top = timed(recipe, device, sizes, batch)
    except torch.OutOfMemoryError:
        return [f"{audio:.0f} s", "out of memory", *[""] * 6]
    flops, expected = needed.flops(audio, sizes.utterance), needed.memory(audio, sizes.utterance) / 1e9
    return [
        f"{audio:.0f} s",
        f"{1000 * wall:.1f}",
        f"{audio / wall:.0f}",
        f"{flops / wall / 1e12:.3g}",
        f"{flops / wall / rate:.1%}",
        *([f"{top:.2f}", f"{expected:.2f}", f"{top / expected:.2f}"] if on_gpu(device) else ["–"] * 3),
    ]


def timed(recipe: Recipe, device: str, sizes: Sizes, batch: list[float]) -> tuple[float, float]:
    """Seconds of a step on the wall clock, and the peak of memory in GB."""
    torch.manual_seed(tables.SEED)
    release(device)
    step = TrainingStep(recipe, SpeechModel(recipe.model).to(device), device, PIECES_PER_SECOND)
    for _ in range(sizes.warm):
        step(batch)
    if on_gpu(device):
        torch.cuda.reset_peak_memory_stats(device)
    wall = mean(lambda: step(batch), device, sizes.seconds, sizes.steps).wall
    return wall, peak_memory_gb(device)


def batch_seconds(needed: Forecast, device: str, sizes: Sizes) -> float:
    """Of audio in a step: what is asked for, or what the device has the memory for; whole utterances."""
    if not on_gpu(device):
        return sizes.audio
    memory = MEMORY_SHARE * torch.cuda.get_device_properties(device).total_memory
    audio = min(sizes.audio, needed.max_batch_seconds(memory, sizes.utterance))
    return max(1, int(audio / sizes.utterance)) * sizes.utterance


def matrix_rate(precision: Precision, device: str, width: int) -> float:
    """Operations a second."""
    layer = nn.Linear(width, width, device=device, dtype=PRECISIONS[precision])
    return 1e9 * matmul.measure_gflops(layer, width, repeats=10)


def release(device: str) -> None:
    """Give back what earlier models held."""
    gc.collect()
    if on_gpu(device):
        torch.cuda.empty_cache()


def on_gpu(device: str) -> bool:
    return torch.device(device).type == "cuda"
