"""Checks of a corpus with a recipe: dropped utterances, padding, memory of the largest step."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch

from asrattn import text
from asrattn.corpus_check.finding import (
    CheckedUtterance,
    Finding,
    FindingKind,
    Severity,
    make_finding,
    partition_train,
)
from asrattn.errors import DataError, TextError
from asrattn.model.speech_model import SpeechModel
from asrattn.text import Tokenizer
from asrattn.training import forecast
from asrattn.training.data import corpus as corpora
from asrattn.training.data.corpus import Corpus
from asrattn.training.data.datamodule import SpeechDataModule
from asrattn.training.data.dataset import Example, InMemoryDataset, LoadResult, add_tokens, check_duration
from asrattn.training.data.dataset import partition_dropped as sorted_out
from asrattn.training.data_scaling import scale_to_data, updates_to_epochs
from asrattn.training.recipe import Recipe

DROPPED = FindingKind(
    "dropped by the recipe", Severity.BREAKS, "fix the utterances, or change the recipe's bounds"
)
NO_TOKENIZER = FindingKind("no tokenizer", Severity.BREAKS, "fix the texts, or set fewer tokens")
TOO_SHORT = FindingKind("too short for the model", Severity.BREAKS, "take it out; training stops over it")
UPSAMPLED = FindingKind(
    "rate below the model's", Severity.SUSPICIOUS, "lower model.frontend.rate: the top is empty"
)

Facts = Mapping[str, str]


def check_with_recipe(
    cases: Sequence[CheckedUtterance], recipe: Recipe, tokenizer: Tokenizer | None = None
) -> tuple[list[Finding], Facts]:
    """Findings, and what there is to know of the training: dropped is what training drops, for its reasons.

    tokenizer: of the decoder that the recipe takes from another model; None: it is trained on the texts.
    """
    usable = (
        case for case in cases if case.utterance.text.strip() and not isinstance(case.audio_result, str)
    )
    train, others = partition_train(usable)  # other errors are reported already
    by_id = {case.utterance.id: case for case in train}
    items, dropped = sorted_out(_bounded(case, recipe) for case in train)
    try:
        texts = corpora.vocabulary_texts((item.utterance.text for item in items), recipe.data)
        tokenizer = tokenizer or text.train(recipe.data.tokens, texts)
    except TextError as error:
        return [Finding(NO_TOKENIZER, "train", str(error))], {}
    items, unknown = sorted_out(add_tokens(item, tokenizer) for item in items)
    rate = recipe.model.frontend.rate
    torch.manual_seed(0)
    model = SpeechModel(replace(recipe.model, vocabulary=tokenizer.size))
    model.spell_with(tokenizer)
    findings = [*_upsampled(cases, rate), *_too_short(others, model)]
    corpus = Corpus(InMemoryDataset(items, rate), InMemoryDataset([], rate), [*dropped, *unknown], tokenizer)
    try:
        corpus = corpora.filter_by_length(corpus, model, recipe.augment.min_length_factor, recipe.loss)
    except DataError as error:
        return [*findings, Finding(DROPPED, "train", str(error))], {}
    findings += [make_finding(DROPPED, by_id[d.id], f"{d.reason}: {d.detail}") for d in corpus.dropped]
    return findings, _facts(corpus, recipe, model)


def _bounded(case: CheckedUtterance, recipe: Recipe) -> LoadResult:
    return check_duration(Example(replace(case.utterance, seconds=case.seconds)), recipe.data)


def _upsampled(cases: Sequence[CheckedUtterance], rate: int) -> list[Finding]:
    low = [case for case in cases if case.stats and case.stats.rate < rate]
    rates = ", ".join(f"{found} Hz" for found in sorted({case.stats.rate for case in low if case.stats}))
    what = f"{len(low)} of {len(cases)} audio files have {rates}, the model {rate} Hz; the first: "
    return [Finding(UPSAMPLED, "all", what + low[0].name)] if low else []


def _too_short(cases: Sequence[CheckedUtterance], model: SpeechModel) -> list[Finding]:
    if not cases:
        return []
    seconds = torch.tensor([case.seconds for case in cases], dtype=torch.float64).numpy()
    frames = corpora.encoder_frames(model, seconds, 1.0)
    return [
        make_finding(TOO_SHORT, case, f"{case.seconds:.3f} s")
        for case, n in zip(cases, frames, strict=True)
        if not n
    ]


def _facts(corpus: Corpus, recipe: Recipe, model: SpeechModel) -> dict[str, str]:
    hours = corpus.train.seconds.sum(dtype=float) / 3600
    if recipe.train.scale_to_data:
        recipe = scale_to_data(recipe, len(corpus.train), 3600 * hours)
    data = replace(recipe.data, concat_prob=0.0)  # concatenation needs the audio, and changes little here
    served = SpeechDataModule(corpus, data, recipe.model.frontend.rate, recipe.augment.stretch, 0)
    recipe = updates_to_epochs(recipe, len(served.epoch_plan(0)))
    longest = float(corpus.train.seconds.max())
    audio = served.max_utterances(longest) * longest
    memory = forecast.forecast_step(recipe, model).memory(audio, longest)
    alone = corpora.count_without_ctc(corpus.train)
    without_ctc = (
        f"{alone} utterances: too few frames; set model.encoder.factor=2 or a lower model.frontend.hop"
    )
    most = f"{data.batch_utterances} utterances, " if data.batch_utterances else ""
    return {
        "recipe": recipe.name,
        "tokens": f"{corpus.tokenizer.size}, 3 of them reserved",
        "left to train on": f"{len(corpus.train)} utterances, {hours:.2f} h",
        **({"without CTC": without_ctc} if alone else {}),
        "steps an epoch": f"{len(served.epoch_plan(0))} of at most {most}{data.batch_seconds:g} s",
        "epochs": f"{recipe.train.epochs}",
        "padding": f"{100 * served.padding_ratio():.1f} %",
        "memory of a step": f"{memory / 1e9:.1f} GB (estimate), for {audio:.0f} s in utterances of {longest:.1f} s",
    }
