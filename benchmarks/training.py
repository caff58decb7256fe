"""Training step: python -m benchmarks.training RECIPE.py --help.

Noise with the lengths of short read speech, random texts; forward, backward, clipping, optimizer and the moving
average of the weights, with the recipe's own augmentation and precision. The first steps, in which kernels are built,
do not count.
"""

import argparse
import random
import resource
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from torch.amp.grad_scaler import GradScaler

from asrattn.augment.transforms import Augment
from asrattn.model.speech_model import SpeechModel
from asrattn.training.data.sampler import bucket_by_duration
from asrattn.training.optimizers.factory import build as build_optimizer
from asrattn.training.recipe import Recipe
from benchmarks.clock import finish

CHARACTERS_PER_SECOND = 7.0
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def main(argv: Sequence[str] | None = None) -> None:
    """Print one line for the recipe."""
    parser = argparse.ArgumentParser(
        description="audio-seconds trained on per second, and the memory it takes"
    )
    parser.add_argument("recipe", type=Path, metavar="RECIPE.py")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--warm", type=int, default=10, help="steps before the clock starts")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    recipe = Recipe.load(args.recipe)
    model = SpeechModel(replace(recipe.model, vocabulary=32)).to(args.device)
    step = TrainingStep(recipe, model, args.device)
    batches = batch_lengths(recipe.data.batch_seconds, args.steps + args.warm)
    for seconds in batches[: args.warm]:
        step(seconds)
    finish(args.device)
    wall, cpu = time.perf_counter(), time.process_time()
    for seconds in batches[args.warm :]:
        step(seconds)
    finish(args.device)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    audio = sum(sum(seconds) for seconds in batches[args.warm :])
    print(
        f"{recipe.name:18} {sum(p.numel() for p in model.parameters()) / 1e6:6.2f} M   {recipe.train.precision}   "
        f"{args.threads} threads   {audio / wall:6.0f} audio-s/s   {audio / cpu:6.0f} audio-s/CPU-s   "
        f"{1000 * wall / args.steps:5.0f} ms/step   peak {peak_memory_gb(args.device):.1f} GB"
    )


class TrainingStep:
    """One optimizer step on synthetic audio of the given lengths, drawn on the device."""

    def __init__(
        self,
        recipe: Recipe,
        model: SpeechModel,
        device: str,
        tokens_per_second: float = CHARACTERS_PER_SECOND,
    ) -> None:
        self.recipe, self.model, self.device = recipe, model.train(), device
        self.tokens_per_second = tokens_per_second
        self.average = [p.detach().clone() for p in model.parameters()]
        self.augment = Augment(recipe.augment, recipe.model.frontend.rate).to(device)
        half = recipe.train.precision == "fp16"
        self.optimizer = build_optimizer(recipe.train.optimizer, model, fused=not half)
        self.scaler = GradScaler(device, enabled=half)
        self.generator = torch.Generator().manual_seed(0)
        self.noise = torch.Generator(device).manual_seed(0)

    def __call__(self, seconds: Sequence[float]) -> None:
        torch.autograd.backward(self.scaler.scale(self.loss(seconds)))
        self.scaler.unscale_(self.optimizer)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.train.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            torch._foreach_lerp_(self.average, list(self.model.parameters()), 1 - self.recipe.train.ema)

    def loss(self, seconds: Sequence[float]) -> Tensor:
        """Of a pass forward."""
        feats, lens = self.features(seconds)
        token_lens = torch.tensor([max(1, int(s * self.tokens_per_second)) for s in seconds])
        shape, V = (len(seconds), int(token_lens.max())), self.model.config.vocabulary
        tokens = torch.randint(3, V, shape, generator=self.generator)
        tokens, token_lens = tokens.to(self.device), token_lens.to(self.device)
        if self.recipe.loss.consistency:
            feats, lens, tokens, token_lens = (torch.cat((x, x)) for x in (feats, lens, tokens, token_lens))
        feats = self.augment.mask_features(feats, lens, self.generator)
        precision = PRECISIONS[self.recipe.train.precision]
        with torch.autocast(self.device, dtype=precision, enabled=precision != torch.float32):
            return self.model.loss(feats, lens, tokens, token_lens, self.recipe.loss).total

    @torch.no_grad()
    def features(self, seconds: Sequence[float]) -> tuple[Tensor, Tensor]:
        rate = self.recipe.model.frontend.rate
        lens = torch.tensor([int(s * rate) for s in seconds])
        shape = (len(seconds), int(lens.max()))
        wave = 0.1 * torch.randn(shape, generator=self.noise, device=self.device)
        wave, lens = self.augment.augment_wave(wave, lens.to(self.device), self.generator)
        feats, feat_lens = self.model.frontend(wave, lens)
        return self.augment.warp_features(feats, feat_lens, self.generator)


def batch_lengths(batch_seconds: float, n: int) -> list[list[float]]:
    """n batches of like lengths: log-normal around 2.5 s, as in AN4; the same for every call."""
    draw = random.Random(0)
    seconds = [min(max(draw.lognormvariate(0.9, 0.5), 0.6), 8.0) for _ in range(40 * n)]
    batches = [[seconds[i] for i in batch] for batch in bucket_by_duration(seconds, batch_seconds)]
    return draw.sample(batches, n)


def peak_memory_gb(device: str) -> float:
    """Gigabytes."""
    if device != "cpu":
        return torch.cuda.max_memory_allocated() / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


if __name__ == "__main__":
    main()
