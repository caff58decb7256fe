"""Joint CTC/attention beam search: python -m benchmarks.beam_search --help.

Untrained decoders over frames whose CTC is sure of a random text of the requested length: there are as many steps as in
real speech, and the arithmetic does not care about words. `CTC` is the share of the prefix scores; `recursion` is how
much longer one scoring step takes by the explicit recursion over frames, itself vectorised over hypotheses and tokens.

With --lm MANIFEST the search is timed with n-grams of its texts too: characters of order 6, and words of order 3 with
an open vocabulary. Every search then takes as many steps as the text has tokens, and one.
"""

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from asrattn import lm
from asrattn.data import manifest
from asrattn.decoders import DecoderConfig, RecurrentDecoderConfig, TransformerDecoderConfig
from asrattn.decoders.interface import build
from asrattn.decoding import DecodingConfig
from asrattn.decoding.beam_search import beam_search
from asrattn.decoding.ctc_prefix import CTCPrefixScorer
from asrattn.decoding.scorers import WeightedScorer, select_rows
from asrattn.lm import automaton
from asrattn.lm.scorers import build_scorer
from asrattn.text import BLANK, EOS, CharTokenizer
from benchmarks.clock import clock, fastest

DECODERS: dict[str, DecoderConfig | None] = {
    "lstm": RecurrentDecoderConfig(),
    "transformer": TransformerDecoderConfig(layers=1, dim=128, ffn_dim=512),
    "none": None,
}
HEAD = (
    f"{'decoder':12} {'batch':>5} {'steps':>5} {'ms/step':>8} {'s/audio-s':>10} {'CTC':>5} {'recursion':>9}"
)


def main(argv: Sequence[str] | None = None) -> None:
    """Print one line for each decoder and batch size."""
    parser = argparse.ArgumentParser(
        description="the cost of beam search", formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--decoders", nargs="+", choices=DECODERS, default=list(DECODERS), metavar="KIND")
    parser.add_argument("--batch", nargs="+", type=int, default=[1, 8], help="utterances")
    parser.add_argument("--beam", type=int, default=10)
    parser.add_argument("--ctc-pre-beam", type=int, default=0)
    parser.add_argument("--ctc", type=float, default=0.5)
    parser.add_argument("--seconds", type=float, default=2.8, help="of audio in each utterance")
    parser.add_argument("--frames", type=int, default=70, help="of the encoder in each utterance")
    parser.add_argument("--tokens", type=int, default=19)
    parser.add_argument("--vocabulary", type=int, default=35)
    parser.add_argument(
        "--lm", type=Path, metavar="MANIFEST", help="time the search with n-grams of its texts"
    )
    parser.add_argument(
        "--walk", action="store_true", help="back-off is walked, as in models too large for tables"
    )
    parser.add_argument("--dim", type=int, default=256, help="of the encoder")
    parser.add_argument("--repeats", type=int, default=10, help="the fastest counts")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu", help="CPU time on cpu, wall time elsewhere")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    if args.lm:
        compare_lms(args)
        return
    print(HEAD)
    for kind in args.decoders:
        for batch in args.batch:
            print(measure_decoder(kind, batch, args), flush=True)


def measure_decoder(kind: str, batch: int, args: argparse.Namespace) -> str:
    """Measure one decoder with one batch size."""
    enc, lens, ctc = random_utterances(batch, args)
    config = DECODERS[kind]
    decoder: Any = None
    if config is not None:
        decoder = build(config, args.dim, args.vocabulary)
        decoder.to(args.device).eval()
    share = 1.0 if decoder is None else args.ctc
    search = DecodingConfig(beam_size=args.beam, ctc=share, ctc_pre_beam=args.ctc_pre_beam)
    steps = 1 + max(len(h[0].tokens) for h in beam_search(decoder, enc, lens, ctc, search))
    now = clock(args.device)
    total = fastest(lambda: beam_search(decoder, enc, lens, ctc, search), args.repeats, now)
    with torch.inference_mode():
        prefix, naive = scoring_step(ctc, lens, args.beam)
        closed = fastest(prefix, args.repeats, now)
        ratio = fastest(naive, args.repeats, now) / closed
    cost = total / (batch * args.seconds)
    return (
        f"{kind:12} {batch:5} {steps:5} {1e3 * total / steps:8.3f} {cost:10.5f} "
        f"{steps * closed / total:5.0%} {ratio:8.1f}×"
    )


def compare_lms(args: argparse.Namespace) -> None:
    """Time each decoder without a language model and with each, in turns."""
    if args.walk:
        automaton.MAX_DENSE_ENTRIES = 0
    texts = [utterance.text for utterance in manifest.read(args.lm)]
    tokenizer = CharTokenizer.train(texts)
    args.vocabulary = tokenizer.size
    scorers: dict[str, tuple[WeightedScorer, ...]] = {"none": ()}
    for units, order in (("char", 6), ("word", 3)):
        model = lm.estimate(
            lm.count_ngrams((lm.split_units(text, units) for text in texts), order), units=units
        )
        scorers[units] = (WeightedScorer("lm", build_scorer(model, tokenizer, args.device), 0.3),)
    print(f"{'decoder':12} {'batch':>5} {'lm':>5} {'ms/step':>8} {'times':>6}")
    now = clock(args.device)
    for kind in args.decoders:
        config = DECODERS[kind]
        decoder: Any = None
        if config is not None:
            decoder = build(config, args.dim, args.vocabulary)
            decoder.to(args.device).eval()
        share = 1.0 if decoder is None else args.ctc
        limits = {"min_length": args.tokens, "max_length": (args.tokens + 0.5) / args.frames}
        search = DecodingConfig(args.beam, ctc=share, **limits)
        for batch in args.batch:
            parts = (decoder, *random_utterances(batch, args), search)
            each = {name: partial(beam_search, *parts, fused) for name, fused in scorers.items()}
            best = dict.fromkeys(each, float("inf"))
            for _ in range(args.repeats):
                best |= {name: min(best[name], fastest(work, 1, now)) for name, work in each.items()}
            for name, seconds in best.items():
                cost = 1e3 * seconds / (args.tokens + 1)
                print(f"{kind:12} {batch:5} {name:>5} {cost:8.3f} {seconds / best['none']:5.2f}×", flush=True)


def random_utterances(batch: int, args: argparse.Namespace) -> tuple[Tensor, Tensor, Tensor]:
    """enc (B, T, D), lens (B,), CTC log-probabilities (B, T, V) that are sure of a random text."""
    draw = torch.Generator().manual_seed(0)
    T, V = args.frames, args.vocabulary
    logits = torch.randn(batch, T, V, generator=draw)
    logits[:, :, BLANK] += 8.0
    for row in logits:
        at = torch.randperm(T, generator=draw)[: args.tokens]
        row[at, BLANK] -= 8.0
        row[at, torch.randint(3, V, (len(at),), generator=draw)] += 8.0
    enc = torch.randn(batch, T, args.dim, generator=draw)
    lens = torch.full((batch,), T)
    return enc.to(args.device), lens.to(args.device), logits.log_softmax(-1).to(args.device)


def scoring_step(ctc: Tensor, lens: Tensor, beam: int) -> tuple[Callable[[], object], Callable[[], object]]:
    """One scoring step in the midst of a search, in closed form and by the recursion over frames."""
    B, V = len(ctc), ctc.shape[2]
    scorer = CTCPrefixScorer.from_log_probs(ctc, lens)
    _, state = scorer.score(scorer.start(B), lens.new_full((B,), EOS))
    rows = torch.arange(B, device=ctc.device).repeat_interleave(beam)
    state = select_rows(state, rows)
    tokens = 3 + torch.arange(len(rows), device=ctc.device) % (V - 3)
    frames = ctc.double().transpose(0, 1).repeat_interleave(beam, 1)
    paths = state.forward_log_probs[:, 3:].T.contiguous()
    return lambda: scorer.score(state, tokens), lambda: prefix_recursion(frames, paths)


def prefix_recursion(frames: Tensor, paths: Tensor) -> Tensor:
    """frames (T, N, V), paths (T, N): φ of the prefix -> ψ of every continuation (N, V), frame by frame."""
    label = torch.full_like(frames[0], -torch.inf)
    blank = label
    psi = label
    for frame, path in zip(frames[1:], paths[:-1, :, None], strict=True):
        entered = path + frame
        psi = torch.logaddexp(psi, entered)
        blank, label = (
            torch.logaddexp(label, blank) + frame[:, BLANK, None],
            torch.logaddexp(label + frame, entered),
        )
    return psi


if __name__ == "__main__":
    main()
