"""Layer-wise learning-rate decay: lower layers learn more slowly (Howard & Ruder 2018; Bao et al. 2022).

The depth of a weight is the number of layers between it and the outputs of its stack, found from the names:

    0                 output layers: the CTC head, and of the decoder what lies above its layers
    1, 2, …           decoder layers from the last to the first; then the embedding
    1, 2, …           encoder layers from the last to the first; then the front-end before them

Encoder and decoder are counted apart, since every decoder layer reads the last encoder layer.
"""

import re
from collections.abc import Iterable, Iterator

from torch import nn

LAYER = re.compile(r"(?:^|\.)layers\.(\d+)\.")
EMBEDDING = re.compile(r"(?:^|[._])embed")
ENCODER, DECODER = "encoder.", "decoder."


def layer_depths(model: nn.Module) -> dict[str, int]:
    """The depth of every weight by its name; 0 for weights in neither encoder nor decoder."""
    names = [name for name, _ in model.named_parameters()]
    found = dict.fromkeys(names, 0)
    found.update(_encoder_depths([name for name in names if name.startswith(ENCODER)]))
    found.update(_decoder_depths([name for name in names if name.startswith(DECODER)]))
    return found


def _encoder_depths(names: list[str]) -> Iterator[tuple[str, int]]:
    """In the order of the model: what comes before the first layer is the front-end, what comes after it the top."""
    count = _count_layers(names)
    lowest = True
    for name in names:
        number = _layer_number(name)
        lowest = lowest and number is None
        yield name, count - number if number is not None else count + 1 if lowest else 1


def _decoder_depths(names: list[str]) -> Iterator[tuple[str, int]]:
    """A recurrent decoder is one layer, that of its outputs."""
    count = _count_layers(names)
    for name in names:
        number = _layer_number(name)
        yield name, count - number if number is not None else count + 1 if EMBEDDING.search(name) else 0


def _count_layers(names: Iterable[str]) -> int:
    return max((number + 1 for name in names if (number := _layer_number(name)) is not None), default=0)


def _layer_number(name: str) -> int | None:
    found = LAYER.search(name)
    return int(found[1]) if found else None
