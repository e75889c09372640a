"""Mutants: wrong versions of everything. One that no check catches is a defect, and so is a check that catches none."""

from tests.mutants import (
    activations,
    base,
    clipping,
    containers,
    images,
    initialisers,
    kernels,
    layers,
    losses,
    norm,
    optimizers,
    scaled,
    schedules,
)
from tests.mutants.catch import catchers
from tests.mutants.mutant import Mutant

FAMILIES = (
    base,
    layers,
    activations,
    norm,
    containers,
    images,
    losses,
    optimizers,
    schedules,
    clipping,
    initialisers,
    kernels,
    scaled,
)
MUTANTS = [mutant for family in FAMILIES for mutant in family.MUTANTS]

__all__ = ["MUTANTS", "Mutant", "catchers"]
