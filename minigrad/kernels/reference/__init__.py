"""The kernels in plain NumPy: what each one means."""
