"""Wrong layers of images: convolutions, poolings, resampling, GroupNorm and InstanceNorm2d."""

from minigrad import nn
from minigrad.nn import windows
from tests.mutants.mutant import Mutant, edit, edit_kernel

CONVOLUTION = [
    Mutant(
        "Conv2d: a true convolution, the kernel turned around",
        nn.Conv2d,
        "torch parity",
        edit(
            nn.Conv2d,
            "packed",
            "self.weight.data.reshape(G, small * large, T)",
            "self.weight.data.reshape(G, small * large, T)[..., ::-1]",
        ),
    ),
    Mutant(
        "Conv2d: `=` for `+=` in the gradient of the weight",
        nn.Conv2d,
        "gradients add",
        edit(nn.Conv2d, "_add_gradients", "self.weight.grad += ", "self.weight.grad[...] = "),
    ),
    Mutant(
        "Conv2d: the gradient of the weight turned around",
        nn.Conv2d,
        "derivative",
        edit(nn.Conv2d, "_weight_gradient", "gradient.reshape(self", "gradient[..., ::-1].reshape(self"),
    ),
    Mutant(
        "Conv2d: no gradient of the bias",
        nn.Conv2d,
        "derivative",
        edit(nn.Conv2d, "_add_gradients", "if self.bias is not None", "if False"),
    ),
    Mutant(
        "Conv2d: the bias gets the sum of what it had and twice the rest",
        nn.Conv2d,
        "torch parity",
        edit(nn.Conv2d, "_add_gradients", "True, self.bias.grad)", "True, self.bias.grad); self.bias.grad *= 2"),
    ),
    Mutant(
        "Conv2d: 'same' puts the odd pixel before the image",
        nn.Conv2d,
        "torch parity",
        edit(
            nn.Conv2d,
            "margins",
            "tuple(n // 2 for n in whole), tuple(n - n // 2 for n in whole)",
            "tuple(n - n // 2 for n in whole), tuple(n // 2 for n in whole)",
        ),
    ),
    Mutant(
        "Conv2d: a depthwise gradient of the weight, its taps and channels exchanged",
        nn.Conv2d,
        "torch parity",
        edit(nn.Conv2d, "_weight_gradient", "by_tap.T.reshape", "by_tap.reshape"),
    ),
    Mutant(
        "Conv2dSame: as if the stride were 1",
        nn.Conv2dSame,
        "torch parity",
        edit(nn.Conv2dSame, "_whole_padding", "(-(-n // s) - 1) * s", "n - 1"),
    ),
    Mutant(
        "Conv2d: the pixels that padding copies give no gradient back",
        nn.Conv2d,
        "derivative",
        edit(
            nn.Conv2d,
            "_unpadded",
            "*turned(table, np.ones(table.shape), math.prod(lengths))",
            "*(part[:, :1] for part in turned(table, np.ones(table.shape), math.prod(lengths)))",
        ),
    ),
    Mutant(
        "Conv2d: taps side by side, whatever the dilation",
        nn.Conv2d,
        "torch parity",
        edit(nn.Conv2d, "windows", "self.stride, start, self.dilation", "self.stride, start, (1,) * self.rank"),
    ),
    Mutant(
        "Conv1d: dx of the windows' own table",
        nn.Conv1d,
        "derivative",
        edit(
            nn.Conv1d,
            "tables",
            "return table_of(windows), inverse_of(windows), windows.outputs",
            "return table_of(windows), np.roll(inverse_of(windows), 1, axis=0), windows.outputs",
        ),
    ),
    Mutant(
        "ConvTranspose2d: the weights of the other direction",
        nn.ConvTranspose2d,
        "torch parity",
        edit(
            nn.ConvTranspose2d,
            "packed",
            "by_tap = _swapped(self.weight.data.reshape(G, small * large, T))",
            "by_tap = _swapped(self.weight.data.reshape(G, small * large, T)[..., ::-1])",
        ),
    ),
    Mutant(
        "ConvTranspose2d: output_padding before the image",
        nn.ConvTranspose2d,
        "torch parity",
        edit(
            nn.ConvTranspose2d,
            "windows",
            "tuple(-p for p in self.padding)",
            "tuple(m - p for p, m in zip(self.padding, self.output_padding))",
        ),
    ),
]

POOLING = [
    Mutant(
        "MaxPool2d: zeros around the image",
        nn.MaxPool2d,
        "torch parity",
        edit_kernel(
            "max_pool_forward",
            "y[...], index[...] = -np.inf, ",
            "y[...], index[...] = np.where((table < 0).any(axis=1)[:, None, None], 0, -np.inf), ",
        ),
    ),
    Mutant(
        "MaxPool2d: `=` for `+=` where windows overlap",
        nn.MaxPool2d,
        "derivative",
        edit_kernel(
            "max_pool_backward",
            "dx += np.where(has_given, dy[outputs], 0)",
            "dx[has_given] = dy[outputs][has_given]",
        ),
    ),
    Mutant(
        "MaxPool2d: NaN is not larger than a number",
        nn.MaxPool2d,
        "NaN stays",
        edit_kernel("max_pool_forward", "((values > y) | np.isnan(values))", "(values > y)"),
    ),
    Mutant(
        "MaxPool1d: windows begin a pixel late",
        nn.MaxPool1d,
        "torch parity",
        edit(nn.MaxPool1d, "windows", "tuple(-p for", "tuple(1 - p for"),
    ),
    Mutant(
        "AvgPool2d: the divisor counts pixels of the image only",
        nn.AvgPool2d,
        "torch parity",
        edit(nn.AvgPool2d, "plan", "elif self.count_include_pad:", "elif False:"),
    ),
    Mutant(
        "AvgPool1d: a window that ends behind the padding is divided by the whole kernel",
        nn.AvgPool1d,
        "torch parity",
        edit(nn.AvgPool1d, "plan", "np.minimum(np.arange(o) * s + start + k, n + p)", "(np.arange(o) * s + start + k)"),
    ),
    Mutant(
        "AvgPool2d: dx not divided",
        nn.AvgPool2d,
        "derivative",
        edit(nn.AvgPool2d, "_backward", "*turned(table, weight,", "*turned(table, np.ones(table.shape),"),
    ),
    Mutant(
        "AdaptiveAvgPool2d: windows that do not overlap",
        nn.AdaptiveAvgPool2d,
        "torch parity",
        lambda patch: patch.setattr(
            "minigrad.nn.pool.adaptive_table",
            lambda lengths, outputs: windows.adaptive_table(lengths, outputs)[:, :1],
        ),
    ),
]

OTHERS = [
    Mutant(
        "Upsample: half a pixel to the side",
        nn.Upsample,
        "torch parity",
        edit(nn.Upsample, "_axis", "np.maximum((output + 0.5) * step - 0.5, 0)", "output * step"),
    ),
    Mutant(
        "Upsample: reads the shares the wrong way round",
        nn.Upsample,
        "torch parity",
        edit(nn.Upsample, "_axis", "np.stack([1 - share, share], axis=1)", "np.stack([share, 1 - share], axis=1)"),
    ),
    Mutant(
        "ZeroPad2d: top and left exchanged",
        nn.ZeroPad2d,
        "torch parity",
        edit(
            nn.ZeroPad2d, "plan", "left, right, top, bottom = self.padding", "top, bottom, left, right = self.padding"
        ),
    ),
    Mutant(
        "PixelShuffle: rows and columns of a block exchanged",
        nn.PixelShuffle,
        "torch parity",
        edit(nn.PixelShuffle, "moved", "transpose(0, 1, 4, 2, 5, 3)", "transpose(0, 1, 4, 3, 5, 2)"),
    ),
    Mutant(
        "PixelShuffle: dx in the order of y",
        nn.PixelShuffle,
        "derivative",
        edit(nn.PixelShuffle, "_backward", 'np.array(parts, order="C")', "dy"),
    ),
    Mutant(
        "Dropout2d: a mask for each pixel",
        nn.Dropout2d,
        "reference",
        edit(nn.Dropout2d, "_apply", "np.ones(x.shape[:-2], x.dtype))", "np.ones(x.shape, x.dtype))[..., 0, 0]"),
    ),
    Mutant(
        "Dropout2d: a new mask in the backward",
        nn.Dropout2d,
        "derivative",
        edit(nn.Dropout2d, "_backward", "self._apply(saved, dy)", "self._apply((saved[0], saved[1] + 1), dy)"),
    ),
    Mutant(
        "BatchNorm2d: statistics of each image",
        nn.BatchNorm2d,
        "torch parity",
        edit(
            nn.BatchNorm2d,
            "_batch_statistics",
            "kernels.batch_norm_statistics(rows,",
            "kernels.batch_norm_statistics(rows[: M // 2 + 1],",
        ),
    ),
    Mutant(
        "GroupNorm: without the x̂ term",
        nn.GroupNorm,
        "derivative",
        edit_kernel("group_norm_backward", " - x_hat * slope", ""),
    ),
    Mutant(
        "GroupNorm: the unbiased variance",
        nn.GroupNorm,
        "torch parity",
        edit_kernel(
            "group_norm_statistics",
            "1 / np.sqrt(wide.var(axis=(0, 3)) + eps)",
            "1 / np.sqrt(wide.var(axis=(0, 3), ddof=1) + eps)",
        ),
    ),
    Mutant(
        "GroupNorm: neighbouring channels in different groups",
        nn.GroupNorm,
        "torch parity",
        edit(
            nn.GroupNorm,
            "_forward",
            "to_pixels(x.reshape(len(x), C, -1), 1)",
            "to_pixels(x.reshape(len(x), C, -1)[:, ::-1], 1)",
        ),
    ),
    Mutant(
        "InstanceNorm2d: tracks the biased variance",
        nn.InstanceNorm2d,
        "torch parity",
        edit(nn.InstanceNorm2d, "_statistics", "S / (S - 1)", "1.0"),
    ),
    Mutant(
        "InstanceNorm2d: uses the image's statistics in evaluation too",
        nn.InstanceNorm2d,
        "torch parity",
        edit(nn.InstanceNorm2d, "_forward", "(fixed := self.fixed) is not None", "False"),
    ),
    Mutant(
        "Unflatten: dx in reverse order",
        nn.Unflatten,
        "derivative",
        edit(nn.Unflatten, "_backward", "dy.reshape(saved)", "dy[..., ::-1].reshape(saved)"),
    ),
    Mutant(
        "Hardswish: without the second half of the product's derivative",
        nn.Hardswish,
        "derivative",
        edit_kernel("hardswish_backward", "x / 3 + 0.5", "x / 6 + 0.5"),
    ),
    Mutant(
        "ReLU6: begins at 0.5",
        nn.ReLU6,
        "torch parity",
        edit(nn.ReLU6, "__init__", "0.0, 6.0", "0.5, 6.0"),
    ),
]

MUTANTS = [*CONVOLUTION, *POOLING, *OTHERS]
