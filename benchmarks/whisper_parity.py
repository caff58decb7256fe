"""A Whisper here beside transformers: features, encoder outputs, logits, and the greedy text of every utterance.

    python -m benchmarks.whisper_parity FOLDER --manifest data/commonvoice/test.jsonl

FOLDER: of Hugging Face. Both in float32, one utterance at a time, with 30 s of padding. The logits are those of the
text that transformers writes.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from asrattn import audio
from asrattn.convert import huggingface, whisper
from asrattn.data import manifest
from asrattn.decoders import WhisperDecoderConfig
from asrattn.decoding.beam_search import beam_search
from asrattn.text import EOS, WhisperTokenizer

RATE = 16000
MAX_NEW_TOKENS = 200


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--limit", type=int)
    args = parser.parse_args()
    from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration

    theirs: Any = WhisperForConditionalGeneration.from_pretrained(args.folder, dtype=torch.float32)
    theirs.eval()
    extract = WhisperFeatureExtractor.from_pretrained(args.folder)
    ours = whisper.to_native(huggingface.read(args.folder))
    config = ours.model.config.decoder
    assert isinstance(ours.tokenizer, WhisperTokenizer)
    assert isinstance(config, WhisperDecoderConfig)
    worst = torch.zeros(3)
    equal = count = 0
    for utterance in list(manifest.read(args.manifest))[: args.limit]:
        wave = audio.read(Path(utterance.audio), RATE, utterance.start)
        inputs: Tensor = extract(wave, sampling_rate=RATE, return_tensors="pt").input_features
        feats, lens = ours.model.frontend(torch.from_numpy(wave)[None], torch.tensor([len(wave)]))
        enc = ours.model.encoder(feats, lens)
        known = theirs.model.encoder(inputs).last_hidden_state
        tokens = theirs.generate(inputs, num_beams=1, do_sample=False, max_new_tokens=MAX_NEW_TOKENS)[
            0
        ].tolist()
        prompt = [ours.tokenizer.to_whisper(token) for token in config.prompt]
        said = [token for token in tokens if token not in (*prompt, ours.tokenizer.to_whisper(EOS))]
        mine = [EOS, *(ours.tokenizer.from_whisper(token) for token in said)]
        logits = ours.model.decoder(torch.tensor([mine]), enc.output, enc.lens).logits[0]
        reference = theirs(input_features=inputs, decoder_input_ids=torch.tensor([[*prompt, *said]])).logits[
            0
        ]
        order = [ours.tokenizer.from_whisper(i) for i in range(ours.tokenizer.count)]
        found = (
            (feats[0] - inputs[0].T[: feats.shape[1]]).abs().max(),
            (enc.output - known).abs().max(),
            (logits[:, order] - reference[len(prompt) - 1 :]).abs().max(),
        )
        worst = torch.maximum(worst, torch.stack(found))
        decoding = replace(ours.decoding, beam_size=1, max_length=MAX_NEW_TOKENS / int(enc.lens))
        (best, *_), *_ = beam_search(ours.model.stepwise_decoder(), enc.output, enc.lens, None, decoding)
        text, wanted = (
            ours.tokenizer.decode(best.tokens),
            ours.tokenizer.decode([t for t in mine if t != EOS]),
        )
        count += 1
        equal += text == wanted
        if text != wanted:
            print(f"{utterance.id}: {text!r} instead of {wanted!r}", flush=True)
    features, encoder, scores = worst.tolist()
    print(f"features {features:.1e}   encoder {encoder:.1e}   logits {scores:.1e}   texts {equal} of {count}")


if __name__ == "__main__":
    main()
