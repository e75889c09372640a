"""torchvision beside a CPU build of torch: its import asks for two operators that only its own build registers."""

import importlib
import sys
from types import ModuleType

import torch


def import_torchvision() -> ModuleType:
    """Return torchvision, with `nms` and `qnms` declared first where the plain import fails for want of them."""
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::nms does not exist" not in str(error):
            raise
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]  # half imported
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    torchvision = importlib.import_module("torchvision")
    torchvision._library = library  # the declarations live as long as this object
    return torchvision
