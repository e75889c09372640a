"""Wrong schedules."""

from minigrad import optim
from minigrad.optim import LRScheduler
from tests.mutants.mutant import Mutant, edit

BY_STEPS = [
    Mutant(
        "StepLR: one step early",
        optim.StepLR,
        "torch parity",
        edit(optim.StepLR, "_lr", "step // self", "(step + 1) // self"),
    ),
    Mutant(
        "MultiStepLR: one step late",
        optim.MultiStepLR,
        "torch parity",
        edit(optim.MultiStepLR, "_lr", "self.milestones, step", "self.milestones, step - 1"),
    ),
    Mutant(
        "MultiStepLR: a milestone that comes twice counts once",
        optim.MultiStepLR,
        "torch parity",
        edit(optim.MultiStepLR, "_lr", "self.milestones, step", "sorted(set(self.milestones)), step"),
    ),
    Mutant(
        "ExponentialLR: γ squared",
        optim.ExponentialLR,
        "torch parity",
        edit(optim.ExponentialLR, "_lr", "self.gamma**step", "self.gamma**(2 * step)"),
    ),
    Mutant(
        "LinearLR: one step short of its end",
        optim.LinearLR,
        "torch parity",
        edit(optim.LinearLR, "_lr", "min(step, self.total_iters)", "min(step, self.total_iters - 1)"),
    ),
    Mutant(
        "CosineAnnealingLR: down to 0, not to eta_min",
        optim.CosineAnnealingLR,
        "torch parity",
        edit(optim.CosineAnnealingLR, "_lr", "self.eta_min + (base_lr - self.eta_min)", "base_lr"),
    ),
    Mutant(
        "CosineAnnealingLR: reaches the lowest rate one step late",
        optim.CosineAnnealingLR,
        "torch parity",
        edit(optim.CosineAnnealingLR, "_lr", "/ self.T_max", "/ (self.T_max + 1)"),
    ),
    Mutant(
        "SequentialLR: a schedule does not begin at its own step 0",
        optim.SequentialLR,
        "torch parity",
        edit(optim.SequentialLR, "_at", "step - [0, *self.milestones][i]", "step"),
    ),
    Mutant(
        "SequentialLR: milestones one step late",
        optim.SequentialLR,
        "torch parity",
        edit(optim.SequentialLR, "_at", "(self.milestones, step)", "(self.milestones, step - 1)"),
    ),
    Mutant(
        "OneCycleLR: the highest rate one step late",
        optim.OneCycleLR,
        "torch parity",
        edit(optim.OneCycleLR, "__init__", "rise = pct_start * total_steps", "rise = pct_start * total_steps + 1"),
    ),
    Mutant(
        "OneCycleLR: momentum goes the same way as the rate",
        optim.OneCycleLR,
        "torch parity",
        edit(optim.OneCycleLR, "_momentum", "[high, low, high, high]", "[low, high, low, low]"),
    ),
    Mutant(
        "OneCycleLR: the last rate is a part of the highest",
        optim.OneCycleLR,
        "torch parity",
        edit(
            optim.OneCycleLR,
            "_lr",
            "base_lr / self.final_div_factor",
            "base_lr * self.div_factor / self.final_div_factor",
        ),
    ),
    Mutant(
        "OneCycleLR: three phases by two",
        optim.OneCycleLR,
        "torch parity",
        edit(optim.OneCycleLR, "_lr", "[base_lr, top, base_lr, last]", "[base_lr, top, last, last]"),
    ),
]

PLATEAU = [
    Mutant(
        "ReduceLROnPlateau: any improvement counts, however small",
        optim.ReduceLROnPlateau,
        "torch parity",
        edit(optim.ReduceLROnPlateau, "_is_better", "sign * self.threshold", "0"),
    ),
    Mutant(
        "ReduceLROnPlateau: the threshold is a part of the best one, whatever is asked for",
        optim.ReduceLROnPlateau,
        "torch parity",
        edit(optim.ReduceLROnPlateau, "_is_better", "else self.best + margin", "else self.best * (1 + margin)"),
    ),
    Mutant(
        "ReduceLROnPlateau: patience is one step short",
        optim.ReduceLROnPlateau,
        "torch parity",
        edit(optim.ReduceLROnPlateau, "step", "> self.patience", ">= self.patience"),
    ),
    Mutant(
        "ReduceLROnPlateau: NaN is an improvement",
        optim.ReduceLROnPlateau,
        "torch parity",
        edit(
            optim.ReduceLROnPlateau, "_is_better", "sign * metric > sign * bound", "not sign * metric <= sign * bound"
        ),
    ),
    Mutant(
        "ReduceLROnPlateau: counts while it cools down",
        optim.ReduceLROnPlateau,
        "torch parity",
        edit(
            optim.ReduceLROnPlateau,
            "step",
            "self.cooldown_counter - 1, 0",
            "self.cooldown_counter - 1, self.num_bad_epochs",
        ),
    ),
    Mutant(
        "ReduceLROnPlateau: goes below min_lr",
        optim.ReduceLROnPlateau,
        "torch parity",
        edit(optim.ReduceLROnPlateau, "_reduce", "max(lr * self.factor, low)", "lr * self.factor"),
    ),
    Mutant(
        "ReduceLROnPlateau: makes changes smaller than eps",
        optim.ReduceLROnPlateau,
        "torch parity",
        edit(optim.ReduceLROnPlateau, "_reduce", "if old - new > self.eps else old", ""),
    ),
    Mutant(
        "ReduceLROnPlateau: forgets how long it has been patient",
        optim.ReduceLROnPlateau,
        "resume",
        edit(optim.ReduceLROnPlateau, "state_dict", ": self.num_bad_epochs", ": 0"),
    ),
]

# Of what all schedules inherit, shown on one of them.
BASE = [
    Mutant(
        "LRScheduler: continues one step behind",
        optim.StepLR,
        "torch's state",
        edit(LRScheduler, "_load", 'int(state_dict["last_epoch"])', 'state_dict["last_epoch"] - 1'),
    ),
    Mutant(
        "LRScheduler: a state undoes what was set by hand",
        optim.CosineAnnealingLR,
        "resume with optimizer",
        edit(LRScheduler, "load_state_dict", 'set_lrs(self, self.optimizer, state_dict["_last_lr"])', "pass"),
    ),
    Mutant(
        "LRScheduler: last_epoch is the next step, not the last",
        optim.LinearLR,
        "last epoch",
        edit(LRScheduler, "__init__", "self.last_epoch = last_epoch + 1", "self.last_epoch = max(last_epoch, 0)"),
    ),
    Mutant(
        "LRScheduler: takes the rate of now for its base, whatever another schedule did to it",
        optim.SequentialLR,
        "torch parity",
        edit(LRScheduler, "__init__", '[group["initial_lr"] for', '[group["lr"] for'),
    ),
]

MUTANTS = [*BY_STEPS, *PLATEAU, *BASE]
