"""The data sets that minigrad knows. Another one is another entry of `CATALOG`."""

from dataclasses import dataclass

from minigrad.data.augmentation import Augmentation
from minigrad.data.errors import DatasetError


@dataclass(frozen=True)
class File:
    """One file of a data set.

    Arguments:
        name: its name without `.gz`.
        sha256: of the uncompressed bytes; the same content is gzipped differently in different places.
    """

    name: str
    sha256: str


@dataclass(frozen=True)
class Source:
    """What a data set consists of and where it comes from.

    Arguments:
        name: as on the command line; also the name of its folder.
        classes: the names of the labels 0, 1, ...
        train: the files of the images and the labels to train on.
        test: the same to test on.
        mirrors: addresses of folders that hold the files, gzipped, in the order to try them.
        debian_package: Debian's package with the files, and
        debian_folder: where it puts them.
        augmentation: what may be done to its images at random and leaves them what they are.
    """

    name: str
    classes: tuple[str, ...]
    train: tuple[File, File]
    test: tuple[File, File]
    mirrors: tuple[str, ...]
    debian_package: str | None = None
    debian_folder: str | None = None
    augmentation: Augmentation | None = None

    @property
    def files(self) -> tuple[File, ...]:
        """All files."""
        return self.train + self.test


FASHION_MNIST = Source(
    name="fashion-mnist",
    classes=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    train=(
        File("train-images-idx3-ubyte", "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"),
        File("train-labels-idx1-ubyte", "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"),
    ),
    test=(
        File("t10k-images-idx3-ubyte", "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"),
        File("t10k-labels-idx1-ubyte", "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"),
    ),
    mirrors=(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
    debian_package="dataset-fashion-mnist",
    debian_folder="/usr/share/datasets/fashion-mnist",
    augmentation=Augmentation(flip=0.5, crop=2, erasing=0.5),
)

MNIST = Source(
    name="mnist",
    classes=tuple("0123456789"),
    train=(
        File("train-images-idx3-ubyte", "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
        File("train-labels-idx1-ubyte", "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    ),
    test=(
        File("t10k-images-idx3-ubyte", "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
        File("t10k-labels-idx1-ubyte", "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
    ),
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    augmentation=Augmentation(crop=2, rotation=10),  # never flipped: most digits would be none
)

CATALOG = {source.name: source for source in (FASHION_MNIST, MNIST)}


def source(name: str) -> Source:
    """Return the entry of a data set.

    Raises:
        DatasetError: if there is none of that name; the message lists those that there are.
    """
    if name not in CATALOG:
        raise DatasetError(f"no data set is called {name!r}; known are {', '.join(CATALOG)}")
    return CATALOG[name]
