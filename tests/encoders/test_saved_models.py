"""Model files of earlier versions: they load, and give the numbers they gave.

Written by the code of commit 45999a9, with weights and waves drawn from a seed.
"""

from pathlib import Path

import pytest
import safetensors.torch
import torch

from asrattn import checkpoint

SAVED = Path(__file__).parent / "saved"


@pytest.mark.parametrize("name", ["lstm", "pyramid", "transformer", "conformer"])
def test_a_saved_model_gives_what_it_gave(name):
    expected = safetensors.torch.load_file(SAVED / "expected.safetensors")
    model = checkpoint.load(SAVED / f"{name}.safetensors").model
    with torch.inference_mode():
        output, _, middle = model.encode(expected["wave"], expected["lens"])
    torch.testing.assert_close(output, expected[f"{name}.output"])
    torch.testing.assert_close(middle, expected[f"{name}.middle"])
