"""Import of pretrained encoders: tiny random models that transformers has saved, and folders that are broken."""

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from asrattn import checkpoint
from asrattn.augment import AugmentConfig
from asrattn.convert import weight_files
from asrattn.convert.pretrained import encoder_config, import_encoder
from asrattn.encoders import PretrainedEncoderConfig
from asrattn.errors import CheckpointError, ConfigError
from asrattn.features import FeatureConfig
from asrattn.model import LossConfig, ModelConfig
from asrattn.training import finetune
from asrattn.training.recipe import Recipe

transformers = pytest.importorskip("transformers", reason="the extra hf is not installed")

SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 40,
    "vocab_size": 9,
}
CONVOLUTIONS = {"conv_dim": [16, 16], "conv_kernel": [10, 4], "conv_stride": [5, 4]}
POSITIONS = {"num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2}
WAVE = SIZES | CONVOLUTIONS | POSITIONS
BERT = SIZES | {"feature_projection_input_dim": 40, "conv_depthwise_kernel_size": 5}
DATA2VEC = SIZES | CONVOLUTIONS | {"conv_pos_kernel_size": 5, "num_conv_pos_embedding_groups": 2}
MODELS: dict[str, tuple[str, str, str, dict[str, Any]]] = {
    "wav2vec2": ("Wav2Vec2Config", "Wav2Vec2ForCTC", "wav2vec2", WAVE),
    "hubert": ("HubertConfig", "HubertModel", "", WAVE),
    "wavlm": ("WavLMConfig", "WavLMForCTC", "wavlm", WAVE | {"mask_time_prob": 0.0}),
    "data2vec-audio": ("Data2VecAudioConfig", "Data2VecAudioModel", "", DATA2VEC),
    "wav2vec2-bert": ("Wav2Vec2BertConfig", "Wav2Vec2BertForCTC", "wav2vec2_bert", BERT),
}
PREPROCESSOR = {"sampling_rate": 16000, "do_normalize": True, "num_mel_bins": 20}


def write_folder(folder: Path, family: str, **more: Any) -> Any:
    """As `save_pretrained` writes it; the model that is in it."""
    config, model, _, settings = MODELS[family]
    torch.manual_seed(0)
    made = getattr(transformers, model)(getattr(transformers, config)(**settings | more)).eval()
    made.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(PREPROCESSOR))
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("wav2vec2-tiny")
    write_folder(made, "wav2vec2")
    return made


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Path:
    """One to break."""
    return Path(shutil.copytree(folder, tmp_path / "model"))


def inputs(family: str, wave: torch.Tensor) -> torch.Tensor:
    """(1, S) -> what transformers' own extractor makes of it."""
    kind = (
        transformers.SeamlessM4TFeatureExtractor
        if family == "wav2vec2-bert"
        else transformers.Wav2Vec2FeatureExtractor
    )
    extractor = kind(**(PREPROCESSOR | {"feature_size": 20 if family == "wav2vec2-bert" else 1}))
    found = extractor(wave[0].numpy(), sampling_rate=16000, return_tensors="pt")
    values: torch.Tensor = found[extractor.model_input_names[0]]
    return values


@pytest.mark.parametrize("family", MODELS)
@torch.no_grad()
def test_imported_encoder_computes_what_transformers_does(tmp_path: Path, family: str) -> None:
    made = write_folder(tmp_path / "their", family)
    import_encoder(tmp_path / "their", tmp_path / "model.safetensors")
    shutil.rmtree(tmp_path / "their")  # the file needs no folder
    model = checkpoint.load(tmp_path / "model.safetensors").model
    model.encoder.config = PretrainedEncoderConfig(weighted_layers=False)  # type: ignore[attr-defined]
    wave = 0.1 * torch.randn(1, 5360)  # an even number of frames
    output = model.encode(wave, torch.tensor([5360])).output
    base = getattr(made, MODELS[family][2]) if MODELS[family][2] else made
    expected = base(inputs(family, wave)).last_hidden_state
    torch.testing.assert_close(output, expected, atol=3e-4, rtol=1e-3)


@torch.no_grad()
def test_whisper_without_its_decoder(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sizes = {"d_model": 16, "num_mel_bins": 80, "vocab_size": 60, "pad_token_id": 0, "bos_token_id": 0}
    sizes |= {"eos_token_id": 0, "decoder_start_token_id": 0}
    sizes |= {
        f"{side}_{name}": 2 for side in ("encoder", "decoder") for name in ("layers", "attention_heads")
    }
    config = transformers.WhisperConfig(**sizes, encoder_ffn_dim=20, decoder_ffn_dim=20)
    torch.manual_seed(0)
    made = transformers.WhisperForConditionalGeneration(config).eval()
    made.save_pretrained(tmp_path / "their")
    extractor = transformers.WhisperFeatureExtractor()
    extractor.save_pretrained(tmp_path / "their")
    with caplog.at_level(logging.INFO):
        import_encoder(tmp_path / "their", tmp_path / "model.safetensors")
    assert "weights do not belong to the encoder: model.decoder." in caplog.text
    model = checkpoint.load(tmp_path / "model.safetensors").model
    wave = 0.1 * torch.randn(1, 16000)
    output = model.encode(wave, torch.tensor([16000])).output
    features = extractor(wave[0].numpy(), sampling_rate=16000, return_tensors="pt")["input_features"]
    states = made.model.encoder(features, output_hidden_states=True).hidden_states
    expected = torch.stack(states).mean(0)[:, : output.shape[1]]
    torch.testing.assert_close(output, expected, atol=1e-4, rtol=1e-3)


def test_card_says_what_is_untrained(folder: Path, tmp_path: Path) -> None:
    import_encoder(folder, tmp_path / "a.safetensors")
    import_encoder(folder, tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    saved = checkpoint.load(tmp_path / "a.safetensors")
    assert saved.card["untrained"] == ["decoder", "ctc"]
    assert (saved.card["origin"], saved.card["licence"]) == (folder.name, "unknown")
    assert saved.tokenizer.decode(saved.tokenizer.encode("it's a test")) == "it's a test"


def test_imported_model_trains_and_is_fine_tuned(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "model.safetensors"
    import_encoder(folder, out)
    saved = checkpoint.load(out)
    wanted = ModelConfig(saved.model.config.frontend, saved.model.config.encoder, saved.model.config.decoder)
    base = finetune.load(out, Recipe("r", wanted, augment=AugmentConfig.off()))
    model = saved.model.train()
    before = model.state_dict()["encoder.network.convolutions.conv_layers.0.conv.weight"].clone()
    tokens = torch.tensor([saved.tokenizer.encode("ab"), saved.tokenizer.encode("it")])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    feats, lens = model.frontend(torch.randn(2, 4000), torch.tensor([4000, 3000]))
    model.loss(feats, lens, tokens, torch.tensor([2, 2]), LossConfig(inter_ctc=0.3)).total.backward()
    optimizer.step()
    assert not torch.equal(
        model.state_dict()["encoder.network.convolutions.conv_layers.0.conv.weight"], before
    )
    finetune.copy_weights(model, saved.tokenizer, base, out)
    assert torch.equal(model.state_dict()["encoder.network.convolutions.conv_layers.0.conv.weight"], before)


def test_configuration_follows_the_folder(copied: Path) -> None:
    features, encoder = encoder_config(copied)
    assert features == FeatureConfig(kind="wave", rate=16000, normalize="utterance")
    assert (encoder.family, encoder.mask_time_prob, encoder.dropout) == ("wav2vec2", 0.05, 0.1)
    assert "hidden_size" in encoder.settings
    assert "architectures" not in encoder.settings
    change(copied / "preprocessor_config.json", do_normalize=False)
    change(copied / "config.json", apply_spec_augment=False, hidden_dropout=0.2)
    features, encoder = encoder_config(copied)
    assert (features.normalize, encoder.mask_time_prob, encoder.dropout) == ("none", 0.0, 0.2)


def test_weights_that_are_not_of_the_encoder_are_logged(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        import_encoder(folder, tmp_path / "model.safetensors")
    assert "2 weights do not belong to the encoder: lm_head.bias, lm_head.weight" in caplog.text


def test_pickle_of_weights_is_read_as_weights(copied: Path, tmp_path: Path) -> None:
    import_encoder(copied, tmp_path / "a.safetensors")
    weights = weight_files.read(copied / "model.safetensors")
    # Weight norm as torch before 2.0 named it.
    renamed = {
        "parametrizations.weight.original0": "weight_g",
        "parametrizations.weight.original1": "weight_v",
    }
    old = {}
    for name, weight in weights.items():
        ending = next((new for new in renamed if name.endswith(new)), "")
        old[name.removesuffix(ending) + renamed.get(ending, "")] = weight.half()
    assert any(name.endswith("weight_g") for name in old)
    (copied / "model.safetensors").unlink()
    torch.save(old, copied / "pytorch_model.bin")
    import_encoder(copied, tmp_path / "b.safetensors")
    a, b = (checkpoint.load(tmp_path / f"{name}.safetensors").model.state_dict() for name in "ab")
    assert all(torch.allclose(a[name], b[name], atol=2e-3) for name in a)


def test_several_files_are_read(copied: Path, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    whole = weight_files.read(copied / "model.safetensors")
    names = sorted(whole)
    save_file({n: whole[n] for n in names[::2]}, copied / "model-00001-of-00002.safetensors")
    save_file({n: whole[n] for n in names[1::2]}, copied / "model-00002-of-00002.safetensors")
    places = {n: f"model-0000{1 + i % 2}-of-00002.safetensors" for i, n in enumerate(names)}
    (copied / "model.safetensors").unlink()
    index = copied / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": places}))
    import_encoder(copied, tmp_path / "model.safetensors")
    index.write_text(json.dumps({"weight_map": {"a": "../other/model.safetensors"}}))
    refused(copied, "has no weight_map of files in the same folder")
    index.write_text(json.dumps({"weight_map": {"a": "model-3.safetensors"}}))
    refused(copied, "model-3.safetensors")


class Harmful:
    """A pickle of it would write a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def test_pickle_with_code_is_refused_and_not_run(copied: Path, tmp_path: Path) -> None:
    (copied / "model.safetensors").unlink()
    torch.save({"a": Harmful(tmp_path / "ran")}, copied / "pytorch_model.bin")
    refused(copied, "holds code, or objects other than tensors, and is not loaded")
    assert not (tmp_path / "ran").exists()
    torch.save({"step": 3}, copied / "pytorch_model.bin")
    refused(copied, "holds no table of weights")
    (copied / "pytorch_model.bin").write_bytes(b"PK")
    refused(copied, "truncated")


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json", "model.safetensors"])
def test_missing_file_is_named(copied: Path, name: str) -> None:
    (copied / name).unlink()
    refused(copied, name)


def test_broken_folders_are_refused(copied: Path) -> None:
    config = (copied / "config.json").read_text()
    for text, told in [
        ("{", "is no JSON"),
        ("[]", "is no JSON object"),
        ('{"model_type": "bert"}', "model_type 'bert' is no encoder known here; known are wav2vec2, hubert"),
        ("{}", "model_type 'None'"),
        (edited(config, add_adapter=True), "add_adapter"),
        (edited(config, hidden_dropout="much"), "dropout"),
        (edited(config, num_attention_heads=5), "make no wav2vec2 encoder"),
        (edited(config, intermediate_size=41), "intermediate_dense.weight has shape"),
        (edited(config, num_hidden_layers=3), "layers.2.* is missing"),
    ]:
        (copied / "config.json").write_text(text)
        refused(copied, told)
    (copied / "config.json").write_text(config)
    whole = (copied / "model.safetensors").read_bytes()
    for size in (len(whole) - 9, 30, 0):
        (copied / "model.safetensors").write_bytes(whole[:size])
        refused(copied, "model.safetensors: is truncated or damaged")


def test_sources_that_are_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    refused(tmp_path / "missing", "does not exist; name a folder")
    refused("missing", "does not exist; name a folder")
    (tmp_path / "file").touch()
    refused(tmp_path / "file", "is not a folder")
    refused("no-one-at-all/no-model", "hub cannot be reached; check name and network")


def refused(source: Path | str, told: str) -> None:
    """Importing raises one line, and leaves no file."""
    out = Path(source).parent / "never.safetensors"
    with pytest.raises((CheckpointError, ConfigError), match=told) as caught:
        import_encoder(source, out)
    assert "\n" not in str(caught.value)
    assert not out.exists()


def edited(text: str, **settings: Any) -> str:
    return json.dumps(json.loads(text) | settings)


def change(path: Path, **settings: Any) -> None:
    path.write_text(edited(path.read_text(), **settings))
