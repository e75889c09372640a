"""The kernels compiled by Numba, each at its first call."""
