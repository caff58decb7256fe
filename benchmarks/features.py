"""How fast waves become features: python -m benchmarks.features --help.

The whole front-end (pre-emphasis, 80 log-mel, normalisation) beside the bare mel spectrograms of torchaudio and
librosa, on the same made sound, in turns within one run.
"""

import argparse
import time
import warnings
from collections.abc import Callable, Sequence

import numpy as np
import torch

from asrattn.frontend import FrontendConfig
from asrattn.frontend.extraction import Frontend

RATE = 16000


def main(argv: Sequence[str] | None = None) -> None:
    """Print a line for each extractor: hours of audio in a CPU-minute, and the ratio to ours."""
    parser = argparse.ArgumentParser(description="hours of audio turned into features in a CPU-minute")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each utterance")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=10, help="the median counts")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    generator = torch.Generator().manual_seed(0)
    wave = 0.1 * torch.randn(args.batch, int(args.seconds * RATE), generator=generator)
    extractors = {"asrattn": ours(), "torchaudio": theirs(), "librosa": librosas()}
    spent: dict[str, list[float]] = {name: [] for name in extractors}
    for _ in range(args.rounds + 1):
        for name, extract in extractors.items():
            start = time.process_time()
            extract(wave)
            spent[name].append(time.process_time() - start)
    hours = args.batch * args.seconds / 3600
    speed = {name: 60 * hours / sorted(times[1:])[args.rounds // 2] for name, times in spent.items()}
    for name in extractors:
        print(f"{name:12} {speed[name]:6.1f} h/CPU-min   {speed[name] / speed['asrattn']:5.2f} × ours")


def ours() -> Callable[[torch.Tensor], object]:
    frontend = Frontend(FrontendConfig(rate=RATE)).eval()
    return lambda wave: frontend(wave, torch.full((len(wave),), wave.shape[1]))


def theirs() -> Callable[[torch.Tensor], object]:
    import torchaudio

    extract = torchaudio.transforms.MelSpectrogram(RATE, 512, 400, 160, n_mels=80, center=False)
    return lambda wave: extract(wave).clamp(min=1e-8).log()


def librosas() -> Callable[[torch.Tensor], object]:
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
