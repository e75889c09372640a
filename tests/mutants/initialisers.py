"""Wrong initialisers."""

from minigrad.nn import init
from tests.checks import initialiser as checks
from tests.mutants.mutant import Mutant, edit

SAMPLES = [
    Mutant(
        "uniform_: from 0, whatever is asked for",
        init.uniform_,
        "law",
        edit(init, "uniform_", "uniform(a, b,", "uniform(0, b,"),
    ),
    Mutant(
        "uniform_: fills a copy where the memory is strided",
        init.uniform_,
        "memory",
        edit(
            init,
            "uniform_",
            "array[...] = generator(rng).uniform(a, b, array.shape)",
            "array.reshape(-1)[:] = generator(rng).uniform(a, b, array.size)",
        ),
    ),
    Mutant(
        "normal_: the variance for the standard deviation",
        init.normal_,
        "law",
        edit(init, "normal_", "normal(mean, std,", "normal(mean, std**2,"),
    ),
    Mutant(
        "normal_: its own generator, whatever is given",
        init.normal_,
        "seed",
        edit(init, "normal_", "generator(rng)", "np.random.default_rng(0)"),
    ),
    Mutant(
        "trunc_normal_: not truncated",
        init.trunc_normal_,
        "law",
        edit(init, "trunc_normal_", "law.cdf(a), law.cdf(b)", "0.0, 1.0"),
    ),
    Mutant(
        "trunc_normal_: bounds in standard deviations",
        init.trunc_normal_,
        "law",
        edit(init, "trunc_normal_", "array, law =", "a, b = mean + std * a, mean + std * b; array, law ="),
    ),
    Mutant(
        "xavier_uniform_: the standard deviation for the bound",
        init.xavier_uniform_,
        "law",
        edit(init, "xavier_uniform_", "6.0 /", "2.0 /"),
    ),
    Mutant(
        "xavier_uniform_: no gain",
        init.xavier_uniform_,
        "law",
        edit(init, "xavier_uniform_", "gain *", ""),
    ),
    Mutant(
        "xavier_normal_: fan-in alone",
        init.xavier_normal_,
        "law",
        edit(init, "xavier_normal_", "sum(_fans(_array(tensor)))", "(2 * _fans(_array(tensor))[0])"),
    ),
    Mutant(
        "kaiming_uniform_: without √3",
        init.kaiming_uniform_,
        "law",
        edit(init, "kaiming_uniform_", "math.sqrt(3.0) *", ""),
    ),
    Mutant(
        "kaiming_uniform_: fan-in and fan-out in each other's place",
        init.kaiming_uniform_,
        "law",
        edit(init, "_kaiming_std", '"fan_out"]', '"fan_in"]'),
    ),
    Mutant(
        "kaiming_normal_: a fan without the kernel's size",
        init.kaiming_normal_,
        "law",
        edit(init, "_fans", "math.prod(array.shape[2:])", "1"),
    ),
    Mutant(
        "kaiming_normal_: no gain for the slope",
        init.kaiming_normal_,
        "law",
        edit(init, "calculate_gain", "1 + slope**2", "1"),
    ),
    Mutant(
        "The law in the tests: a uniform one as wide as its standard deviation",
        init.kaiming_uniform_,
        "torch's law",
        edit(checks, "law_of", "math.sqrt(3) * std", "std"),
    ),
]

MATRICES = [
    Mutant(
        "orthogonal_: one sign of each column is preferred",
        init.orthogonal_,
        "orthogonal",
        edit(init, "orthogonal_", "q *= np.sign(np.diag(r))", "pass"),
    ),
    Mutant(
        "orthogonal_: not orthogonal",
        init.orthogonal_,
        "orthogonal",
        edit(init, "orthogonal_", "gain * (q.T", "gain * (q.T * 1.0005"),
    ),
    Mutant(
        "sparse_: zeros in the same rows of all columns",
        init.sparse_,
        "sparse",
        edit(init, "sparse_", "rng.permutation(array.shape[0])", "np.arange(array.shape[0])"),
    ),
    Mutant(
        "sparse_: the share that is not zero",
        init.sparse_,
        "sparse",
        edit(init, "sparse_", "sparsity * array", "(1 - sparsity) * array"),
    ),
    Mutant(
        "constant_: adds to what was there",
        init.constant_,
        "exact",
        edit(init, "constant_", "_array(tensor)[...] = val", "_array(tensor)[...] += val"),
    ),
    Mutant(
        "ones_: wrong by 0.05 %",
        init.ones_,
        "exact",
        edit(init, "ones_", "1.0", "1.0005"),
    ),
    Mutant(
        "zeros_: not quite",
        init.zeros_,
        "exact",
        edit(init, "zeros_", "0.0", "1e-30"),
    ),
    Mutant(
        "eye_: one place off the diagonal",
        init.eye_,
        "exact",
        edit(init, "eye_", "np.eye(*array.shape)", "np.eye(*array.shape, 1)"),
    ),
    Mutant(
        "dirac_: the centre of an even kernel one place too early",
        init.dirac_,
        "exact",
        edit(init, "dirac_", "size // 2", "(size - 1) // 2"),
    ),
    Mutant(
        "dirac_: all groups in the place of the first",
        init.dirac_,
        "exact",
        edit(init, "dirac_", "group * per_group + channel", "channel"),
    ),
]

MUTANTS = [*SAMPLES, *MATRICES]
