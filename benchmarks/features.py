"""Feature extraction: python -m benchmarks.features --help.

The whole feature extraction (pre-emphasis, 80 log-mel, normalisation) against the bare mel spectrograms of torchaudio
and librosa, on the same synthetic audio, in turns within one run. On a GPU the wall clock counts; librosa is for CPUs
alone.
"""

import argparse
import warnings
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

from asrattn.features import FeatureConfig
from asrattn.features.extraction import FeatureExtractor
from benchmarks.clock import clock

RATE = 16000
Extractor = Callable[[torch.Tensor], object]


def main(argv: Sequence[str] | None = None) -> None:
    """Print a line for each extractor: hours of audio in a CPU-minute, and the ratio to ours."""
    parser = argparse.ArgumentParser(description="hours of audio turned into features in a CPU-minute")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each utterance")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=10, help="the median counts")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu", help="CPU time on cpu, wall time elsewhere")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    extractors = {"asrattn": asrattn_extractor(args.device), "torchaudio": torchaudio_extractor(args.device)}
    if args.device == "cpu":
        extractors["librosa"] = librosa_extractor()
    speed = hours_per_second(extractors, args.batch, args.seconds, args.rounds, args.device)
    unit = "h/CPU-min" if args.device == "cpu" else "h/min"
    for name, hours in speed.items():
        print(f"{name:12} {60 * hours:6.1f} {unit}   {hours / speed['asrattn']:5.2f} × ours")


def hours_per_second(
    extractors: Mapping[str, Extractor], batch: int, seconds: float, rounds: int, device: str
) -> dict[str, float]:
    """Hours of audio in a second of the device's clock, the median of so many rounds in turns, after one to warm up."""
    generator = torch.Generator().manual_seed(0)
    wave = (0.1 * torch.randn(batch, int(seconds * RATE), generator=generator)).to(device)
    spent: dict[str, list[float]] = {name: [] for name in extractors}
    now = clock(device)
    for _ in range(rounds + 1):
        for name, extract in extractors.items():
            start = now()
            extract(wave)
            spent[name].append(now() - start)
    return {name: batch * seconds / 3600 / sorted(times[1:])[rounds // 2] for name, times in spent.items()}


def asrattn_extractor(device: str = "cpu") -> Extractor:
    frontend = FeatureExtractor(FeatureConfig(rate=RATE)).eval().to(device)
    return lambda wave: frontend(wave, torch.full((len(wave),), wave.shape[1], device=device))


def torchaudio_extractor(device: str = "cpu") -> Extractor:
    import torchaudio

    extract = torchaudio.transforms.MelSpectrogram(RATE, 512, 400, 160, n_mels=80, center=False).to(device)
    return lambda wave: extract(wave).clamp(min=1e-8).log()


def librosa_extractor() -> Extractor:
    import librosa

    def extract(wave: torch.Tensor) -> object:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            mel = librosa.feature.melspectrogram(
                y=wave.numpy(),
                sr=RATE,
                n_fft=512,
                win_length=400,
                hop_length=160,
                n_mels=80,
                htk=True,
                center=False,
            )
        return np.log(mel.clip(1e-8))

    return extract


if __name__ == "__main__":
    main()
