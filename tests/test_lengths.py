import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from asrattn import lengths

COUNTS = st.lists(st.integers(0, 12), min_size=1, max_size=5)


@given(COUNTS, st.integers(0, 14))
def test_mask_is_true_on_the_first_places(counts: list[int], size: int) -> None:
    mask = lengths.mask(torch.tensor(counts), size)
    assert mask.dtype is torch.bool
    assert mask.tolist() == [[place < count for place in range(size)] for count in counts]


@given(st.integers(1, 20), st.integers(1, 7), st.integers(1, 4), st.data())
def test_strided_counts_what_a_convolution_gives(
    size: int, kernel: int, stride: int, data: st.DataObject
) -> None:
    padding = data.draw(st.integers(0, kernel // 2))
    counted = lengths.conv_output_lens(torch.tensor([size]), kernel, stride, padding)
    assert counted.dtype is torch.int64
    if size + 2 * padding < kernel:
        assert counted.item() == 0
    else:
        wave, weight = torch.zeros(1, 1, size), torch.zeros(1, 1, kernel)
        assert counted.item() == F.conv1d(wave, weight, stride=stride, padding=padding).shape[2]


def test_strided_is_never_below_zero() -> None:
    assert lengths.conv_output_lens(torch.tensor([0, 1, 399, 400, 560]), kernel=400, stride=160).tolist() == [
        0,
        0,
        0,
        1,
        2,
    ]


@given(COUNTS, st.sampled_from([(), (1,), (3,), (2, 2)]))
def test_reverse_turns_each_within_its_own_length(counts: list[int], inner: tuple[int, ...]) -> None:
    lens = torch.tensor(counts)
    x = torch.arange(len(counts) * 12 * max(1, torch.Size(inner).numel())).reshape(12, len(counts), *inner)
    turned = lengths.reverse(x, lens)
    for b, count in enumerate(counts):
        assert torch.equal(turned[:count, b], x[:count, b].flip(0))
        assert torch.equal(turned[count:, b], x[count:, b])
    assert torch.equal(lengths.reverse(turned, lens), x)


def test_the_gradient_of_reverse_is_turned_around_too() -> None:
    lens = torch.tensor([5, 3, 0])
    x, grad = torch.randn(5, 3, 2, requires_grad=True), torch.randn(5, 3, 2)
    lengths.reverse(x, lens).backward(grad)
    assert torch.equal(x.grad, lengths.reverse(grad, lens))
    double = torch.randn(5, 3, 2, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: lengths.reverse(x, lens), double)
