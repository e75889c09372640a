"""Cases of the layers of images that Hypothesis draws, with any of their options."""

import math
from functools import partial
from typing import Any

from hypothesis import strategies as st

from minigrad import nn
from tests.cases.case import ModuleCase
from tests.cases.drawn import Draw, numbers, same, shapes
from tests.cases.image import conv_same, dropout2d_reference

LARGEST = 8
Numbers = tuple[int, ...]


def each(draw: Draw, rank: int, least: int, most: int) -> Numbers:
    """A number for each axis of pixels."""
    return tuple(draw(st.integers(least, most)) for _ in range(rank))


def images(draw: Draw, channels: int, lengths: Numbers) -> tuple[Numbers, dict[str, Any]]:
    """The shape of some images, or of one without a batch, whose first axis are the channels then."""
    batch = draw(st.none() | st.integers(1, 3))
    flags = {"couples_batch": batch is None, "skips": True}
    return (channels, *lengths) if batch is None else (batch, channels, *lengths), flags


def options(given: Numbers) -> Any:
    """Numbers for each axis as a user gives them: one alone, where there is one axis."""
    return given[0] if len(given) == 1 else given


@st.composite
def conv(draw: Draw, rank: int) -> ModuleCase:
    kernel, dilation, lengths = each(draw, rank, 1, 4), each(draw, rank, 1, 3), each(draw, rank, 1, LARGEST)
    mode = draw(st.sampled_from(["zeros", "reflect", "replicate", "circular"]))
    padding: Any = draw(st.sampled_from(["same", "valid", "numbers"]))
    stride = (1,) * rank if padding == "same" else each(draw, rank, 1, 3)
    if padding == "numbers":
        padding = each(draw, rank, 0, 3)
    if mode in ("reflect", "circular"):  # which add fewer pixels than there are
        added = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)] if padding == "same" else padding
        added = [0] * rank if padding == "valid" else added
        lengths = tuple(max(n, p + 1) for n, p in zip(lengths, added, strict=True))
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    lengths = tuple(map(max, lengths, spans))
    groups, C, K = (draw(st.integers(1, 3)) for _ in range(3))
    shape, flags = images(draw, groups * C, lengths)
    return same(
        f"Conv{rank}d",
        shape,
        groups * C,
        groups * K,
        options(kernel),
        stride=options(stride),
        padding=padding if isinstance(padding, str) else options(padding),
        dilation=options(dilation),
        groups=groups,
        bias=draw(st.booleans()),
        padding_mode=mode,
        flags=flags,
    )


@st.composite
def conv_2d_same(draw: Draw) -> ModuleCase:
    groups, C, K = (draw(st.integers(1, 3)) for _ in range(3))
    shape, flags = images(draw, groups * C, each(draw, 2, 1, LARGEST))
    kernel, stride, dilation = each(draw, 2, 1, 4), each(draw, 2, 1, 3), each(draw, 2, 1, 3)
    channels = groups * C, groups * K
    return conv_same("", shape, *channels, kernel, stride, dilation=dilation, groups=groups, flags=flags)


@st.composite
def conv_transpose(draw: Draw) -> ModuleCase:
    kernel, stride, dilation = each(draw, 2, 1, 4), each(draw, 2, 1, 3), each(draw, 2, 1, 3)
    more = tuple(draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True))
    lengths = each(draw, 2, 1, 5)
    large = [
        (n - 1) * s + d * (k - 1) + o + 1 for n, s, d, k, o in zip(lengths, stride, dilation, kernel, more, strict=True)
    ]
    padding = tuple(draw(st.integers(0, (n - 1) // 2)) for n in large)
    groups, C, K = (draw(st.integers(1, 3)) for _ in range(3))
    shape, flags = images(draw, groups * C, lengths)
    return same(
        "ConvTranspose2d",
        shape,
        groups * C,
        groups * K,
        kernel,
        stride,
        padding,
        more,
        groups,
        draw(st.booleans()),
        dilation,
        flags=flags,
    )


@st.composite
def max_pool(draw: Draw, rank: int) -> ModuleCase:
    kernel, dilation = each(draw, rank, 1, 4), each(draw, rank, 1, 3)
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    lengths = tuple(map(max, each(draw, rank, 1, LARGEST), spans))
    stride = draw(st.none() | st.just(each(draw, rank, 1, 4)))
    shape, flags = images(draw, draw(st.integers(1, 4)), lengths)
    given = [None if value is None else options(value) for value in (kernel, stride, padding, dilation)]
    flags["compares"] = True
    return same(f"MaxPool{rank}d", shape, *given, ceil_mode=draw(st.booleans()), flags=flags)


@st.composite
def avg_pool(draw: Draw, rank: int) -> ModuleCase:
    kernel = each(draw, rank, 1, 4)
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    lengths = tuple(map(max, each(draw, rank, 1, LARGEST), kernel))
    stride = draw(st.none() | st.just(each(draw, rank, 1, 4)))
    shape, flags = images(draw, draw(st.integers(1, 4)), lengths)
    given: list[Any] = [None if value is None else options(value) for value in (kernel, stride, padding)]
    given += [draw(st.booleans()), draw(st.booleans())]
    if rank == 2:
        given.append(draw(st.none() | st.integers(1, 9)))
    return same(f"AvgPool{rank}d", shape, *given, flags=flags)


@st.composite
def adaptive(draw: Draw, rank: int) -> ModuleCase:
    shape, flags = images(draw, draw(st.integers(1, 4)), each(draw, rank, 1, LARGEST))
    size = each(draw, rank, 1, LARGEST)
    return same(f"AdaptiveAvgPool{rank}d", shape, options(size), flags=flags)


@st.composite
def batch_norm_2d(draw: Draw) -> ModuleCase:
    shape = draw(shapes(4, 4).filter(lambda shape: shape[0] * shape[2] * shape[3] > 1))
    tracked = draw(st.booleans())
    return same(
        "BatchNorm2d",
        shape,
        shape[1],
        eps=draw(numbers(1e-5, 0.1)),
        momentum=draw(st.none() | numbers(0, 1)),
        affine=draw(st.booleans()),
        track_running_stats=tracked,
        flags={"couples_batch": True, "differs_in_eval": tracked, "normalises": (0, 2, 3)},
    )


@st.composite
def group_norm(draw: Draw) -> ModuleCase:
    groups, width = draw(st.integers(1, 4)), draw(st.integers(2, 4))
    shape = (draw(st.integers(1, 3)), groups * width, *draw(shapes(0, 2)))
    options = {"eps": draw(numbers(1e-5, 0.1)), "affine": draw(st.booleans())}
    return same("GroupNorm", shape, groups, groups * width, **options, flags={"groups": groups})


@st.composite
def instance_norm(draw: Draw) -> ModuleCase:
    lengths = draw(shapes(2, 2).filter(lambda lengths: lengths[0] * lengths[1] > 1))
    C = draw(st.integers(1, 4))
    shape, flags = images(draw, C, lengths)
    tracked = draw(st.booleans()) and len(shape) == 4
    flags |= {"normalises": (-2, -1), "differs_in_eval": tracked}
    options = {"eps": draw(numbers(1e-5, 0.1)), "momentum": draw(numbers(0, 1)), "affine": draw(st.booleans())}
    flags["couples_batch"] |= tracked
    return same("InstanceNorm2d", shape, C, **options, track_running_stats=tracked, flags=flags)


@st.composite
def dropout_2d(draw: Draw) -> ModuleCase:
    p, seed = draw(numbers(0, 0.99)), draw(st.integers(0, 2**32 - 1))
    flags = {"reference": dropout2d_reference, "returns_view": True, "couples_batch": True, "differs_in_eval": True}
    shape = draw(shapes(3, 4))
    return ModuleCase(f"Dropout2d({p}, rng={seed}) on {shape}", partial(nn.Dropout2d, p, rng=seed), shape, **flags)


def scale_factors(length: int, is_linear: bool) -> st.SearchStrategy[float]:
    """Factors for an axis. Where the size stays, or doubles, by another factor than 1 or 2, PyTorch's nearest takes one
    pixel in the forward and another in the backward (pytorch/pytorch#97770).
    """
    factors = [0.5, 0.75, 1.0, 1.3, 1.5, 2.0, 2.2, 3.0]
    return st.sampled_from([f for f in factors if is_linear or int(length * f) / length not in {1.0, 2.0} - {f}])


@st.composite
def upsample(draw: Draw) -> ModuleCase:
    rank, is_linear = draw(st.integers(1, 2)), draw(st.booleans())
    mode = ({1: "linear", 2: "bilinear"}[rank]) if is_linear else "nearest"
    shape = (draw(st.integers(1, 3)), draw(st.integers(1, 4)), *each(draw, rank, 2, LARGEST))
    given: dict[str, Any] = {"mode": mode}
    if draw(st.booleans()):
        given["size"] = each(draw, rank, 1, 12)
    else:
        given["scale_factor"] = tuple(draw(scale_factors(length, is_linear)) for length in shape[2:])
        given["recompute_scale_factor"] = draw(st.sampled_from([None, True, False]))
    if is_linear:
        given["align_corners"] = draw(st.sampled_from([None, True, False]))
    return same("Upsample", shape, **given, flags={"skips": True})


@st.composite
def pixel_shuffle(draw: Draw) -> ModuleCase:
    r = draw(st.integers(1, 3))
    before, C, H, W = draw(shapes(0, 2)), *(draw(st.integers(1, 4)) for _ in range(3))
    return same("PixelShuffle", (*before, C * r**2, H, W), r, flags={"couples_batch": not before})


@st.composite
def zero_pad(draw: Draw) -> ModuleCase:
    shape, flags = images(draw, draw(st.integers(1, 4)), each(draw, 2, 3, LARGEST))
    padding = draw(st.integers(0, 3) | st.just(tuple(draw(st.integers(-1, 3)) for _ in range(4))))
    return same("ZeroPad2d", shape, padding, flags=flags)


@st.composite
def unflatten(draw: Draw) -> ModuleCase:
    before, sizes, behind = draw(shapes(0, 2)), draw(shapes(1, 3)), draw(shapes(0, 2))
    shape = (*before, math.prod(sizes), *behind)
    dim = len(before) - draw(st.sampled_from([0, len(shape)]))
    given = list(sizes)
    if draw(st.booleans()):
        given[draw(st.integers(0, len(given) - 1))] = -1
    flags = {"returns_view": True, "couples_batch": not before}
    return same("Unflatten", shape, dim, tuple(given), flags=flags)


DRAWN: dict[type[nn.Module], st.SearchStrategy[ModuleCase]] = {
    nn.AdaptiveAvgPool1d: adaptive(1),
    nn.AdaptiveAvgPool2d: adaptive(2),
    nn.AvgPool1d: avg_pool(1),
    nn.AvgPool2d: avg_pool(2),
    nn.BatchNorm2d: batch_norm_2d(),
    nn.Conv1d: conv(1),
    nn.Conv2d: conv(2),
    nn.Conv2dSame: conv_2d_same(),
    nn.ConvTranspose2d: conv_transpose(),
    nn.Dropout2d: dropout_2d(),
    nn.GroupNorm: group_norm(),
    nn.InstanceNorm2d: instance_norm(),
    nn.MaxPool1d: max_pool(1),
    nn.MaxPool2d: max_pool(2),
    nn.PixelShuffle: pixel_shuffle(),
    nn.Unflatten: unflatten(),
    nn.Upsample: upsample(),
    nn.ZeroPad2d: zero_pad(),
}
