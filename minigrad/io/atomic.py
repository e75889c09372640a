"""`atomic_path`, where writers of model files look for it. It lies at the bottom, for the data sets use it too."""

from minigrad.files import atomic_path

__all__ = ["atomic_path"]
