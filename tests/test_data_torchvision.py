"""A data set of torchvision in our Loader, with and without its transforms."""

import numpy as np

from minigrad.data import Loader
from tests.torchvision_import import import_torchvision

torchvision = import_torchvision()


def test_images_as_torchvision_gives_them() -> None:
    images = torchvision.datasets.FakeData(size=7, image_size=(3, 5, 6), num_classes=4)
    batches = list(Loader(images, batch_size=4))
    assert [x.shape for x, _ in batches] == [(4, 3, 5, 6), (3, 3, 5, 6)]
    np.testing.assert_allclose(
        batches[1][0][0], np.asarray(images[4][0]).transpose(2, 0, 1) / np.float32(255), rtol=1e-6
    )
    assert batches[1][1].tolist() == [int(images[i][1]) for i in (4, 5, 6)]


def test_tensors_from_transforms() -> None:
    images = torchvision.datasets.FakeData(
        size=5, image_size=(3, 5, 6), num_classes=4, transform=torchvision.transforms.ToTensor()
    )
    ((x, y),) = Loader(images, batch_size=5)
    assert x.shape == (5, 3, 5, 6)
    assert x.dtype == np.float32
    np.testing.assert_allclose(x[2], images[2][0].numpy(), rtol=1e-6)
    assert y.dtype.kind == "i"
