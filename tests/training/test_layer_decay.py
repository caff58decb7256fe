"""Depths of weights, from their names."""

from dataclasses import replace

import pytest
import tones
from torch import nn

from asrattn.decoders import TransformerDecoderConfig
from asrattn.encoders import CNNEncoderConfig, ConformerConfig, TransformerEncoderConfig
from asrattn.model.speech_model import SpeechModel
from asrattn.training.layer_decay import layer_depths

TRANSFORMER = TransformerDecoderConfig(dim=16, layers=3, heads=2, ffn_dim=32)


def depths(encoder: object = None, decoder: object = None) -> dict[str, int]:
    config = replace(tones.recipe().model, vocabulary=9)
    config = replace(config, encoder=encoder or config.encoder, decoder=decoder or config.decoder)
    return layer_depths(SpeechModel(config))


@pytest.mark.parametrize(
    "encoder",
    [
        ConformerConfig(dim=16, layers=2, heads=2, ffn_dim=32, kernel=3, channels=4),
        TransformerEncoderConfig(dim=16, layers=2, heads=2, ffn_dim=32, channels=4),
        CNNEncoderConfig(dim=16, layers=2, channels=4),
        replace(tones.recipe().model.encoder, layers=2),
    ],
    ids=lambda encoder: encoder.kind,
)
def test_encoder_layers_lie_below_each_other(encoder: object) -> None:
    found = depths(encoder, TRANSFORMER)
    expected = {"encoder.front.": 3, "encoder.layers.0.": 2, "encoder.layers.1.": 1, "ctc.": 0}
    for prefix, depth in expected.items():
        assert {d for name, d in found.items() if name.startswith(prefix)} == {depth}, prefix


def test_decoder_layers_lie_below_the_output() -> None:
    found = depths(decoder=TRANSFORMER)
    expected = {"embed": 4, "layers.0": 3, "layers.1": 2, "layers.2": 1, "norm": 0, "out": 0}
    for prefix, depth in expected.items():
        names = [name for name in found if name.startswith(f"decoder.{prefix}.")]
        assert names
        assert {found[name] for name in names} == {depth}, prefix


def test_recurrent_decoder_is_one_layer_above_its_embedding() -> None:
    found = {name: d for name, d in depths().items() if name.startswith("decoder.")}
    assert {name for name, depth in found.items() if depth} == {"decoder.embed.weight"}
    assert found["decoder.embed.weight"] == 1


def test_encoder_of_another_library_has_its_layers_further_down() -> None:
    inner = nn.ModuleDict({"pos_conv": nn.Conv1d(2, 2, 1)})
    inner["layers"] = nn.ModuleList(nn.Linear(2, 2) for _ in range(3))
    inner["layer_norm"] = nn.LayerNorm(2)
    model = nn.ModuleDict({"feature_extractor": nn.Linear(2, 2), "encoder": inner})
    found = layer_depths(nn.ModuleDict({"encoder": nn.ModuleDict({"model": model})}))
    for name, depth in {
        "feature_extractor": 4,
        "encoder.pos_conv": 4,
        "encoder.layers.0": 3,
        "encoder.layers.2": 1,
        "encoder.layer_norm": 1,
    }.items():
        assert found[f"encoder.model.{name}.weight"] == depth, name
