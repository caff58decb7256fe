"""What a recipe will make of a corpus: what it drops, how much is padding, how much memory a step takes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch

from asrattn import text
from asrattn.checking.finding import Case, Finding, Kind, Severity, of, parted
from asrattn.errors import DataError, TextError
from asrattn.model.speech_model import SpeechModel
from asrattn.training import corpus as corpora
from asrattn.training import forecast
from asrattn.training.corpus import Corpus
from asrattn.training.data import SpeechData
from asrattn.training.recipe import Recipe
from asrattn.training.sources import Item, Kept, Outcome, tokenised, within
from asrattn.training.sources import parted as sorted_out

DROPPED = Kind("dropped by the recipe", Severity.BREAKS, "mend the utterances, or change the recipe's bounds")
NO_TOKENS = Kind("no tokenizer", Severity.BREAKS, "mend the texts, or ask for fewer tokens")
SHORT = Kind("too short for the model", Severity.BREAKS, "take it out; training stops over it")
UPSAMPLED = Kind("rate below the model's", Severity.SUSPICIOUS, "lower model.frontend.rate: the top is empty")

Facts = Mapping[str, str]


def examine(cases: Sequence[Case], recipe: Recipe) -> tuple[list[Finding], Facts]:
    """Findings, and what there is to know of the training: dropped is what training drops, for its reasons."""
    usable = (case for case in cases if case.utterance.text.strip() and not isinstance(case.heard, str))
    train, others = parted(usable)  # what else is wrong is told already
    by_id = {case.utterance.id: case for case in train}
    items, dropped = sorted_out(_bounded(case, recipe) for case in train)
    try:
        tokenizer = text.train(recipe.data.tokens, (item.utterance.text for item in items))
    except TextError as error:
        return [Finding(NO_TOKENS, "train", str(error))], {}
    items, unknown = sorted_out(tokenised(item, tokenizer) for item in items)
    rate = recipe.model.frontend.rate
    torch.manual_seed(0)
    model = SpeechModel(replace(recipe.model, vocabulary=tokenizer.size))
    findings = [*_slow(cases, rate), *_short(others, model)]
    corpus = Corpus(Kept(items, rate), Kept([], rate), [*dropped, *unknown], tokenizer)
    try:
        corpus = corpora.fitting(corpus, model, recipe.augment.shortest)
    except DataError as error:
        return [*findings, Finding(DROPPED, "train", str(error))], {}
    findings += [of(DROPPED, by_id[d.id], f"{d.reason}: {d.detail}") for d in corpus.dropped]
    return findings, _facts(corpus, recipe, model)


def _bounded(case: Case, recipe: Recipe) -> Outcome:
    return within(Item(replace(case.utterance, seconds=case.seconds)), recipe.data)


def _slow(cases: Sequence[Case], rate: int) -> list[Finding]:
    low = [case for case in cases if case.look and case.look.rate < rate]
    rates = ", ".join(f"{found} Hz" for found in sorted({case.look.rate for case in low if case.look}))
    what = f"{len(low)} of {len(cases)} sounds have {rates}, the model {rate} Hz; the first: "
    return [Finding(UPSAMPLED, "all", what + low[0].name)] if low else []


def _short(cases: Sequence[Case], model: SpeechModel) -> list[Finding]:
    if not cases:
        return []
    seconds = torch.tensor([case.seconds for case in cases], dtype=torch.float64).numpy()
    frames = corpora.encoder_frames(model, seconds, 1.0)
    return [of(SHORT, case, f"{case.seconds:.3f} s") for case, n in zip(cases, frames, strict=True) if not n]


def _facts(corpus: Corpus, recipe: Recipe, model: SpeechModel) -> dict[str, str]:
    data = replace(recipe.data, join=0.0)  # joining needs the sound, and changes little here
    served = SpeechData(corpus, data, recipe.model.frontend.rate, recipe.augment.stretch, 0)
    longest = float(corpus.train.seconds.max())
    audio = max(1, int(served.bound / longest)) * longest
    memory = forecast.forecast(recipe, model).memory(audio, longest)
    hours = corpus.train.seconds.sum(dtype=float) / 3600
    return {
        "recipe": recipe.name,
        "tokens": f"{corpus.tokenizer.size}, 3 of them reserved",
        "left to train on": f"{len(corpus.train)} utterances, {hours:.2f} h",
        "steps an epoch": f"{len(served.train_batches(0))} of at most {data.batch_seconds:g} s",
        "padding": f"{100 * served.padding():.1f} %",
        "memory of a step": f"{memory / 1e9:.1f} GB (estimate), for {audio:.0f} s in utterances of {longest:.1f} s",
    }
