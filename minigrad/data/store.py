"""Where the files of a data set lie on this machine, and whether they are what they should be."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from minigrad.data.catalog import CATALOG, File, Source, source
from minigrad.data.errors import DatasetError
from minigrad.data.idx import uncompress
from minigrad.files import expand, user_cache

FilePath = str | os.PathLike[str]
VARIABLE = "MINIGRAD_DATA"


@dataclass(frozen=True)
class Place:
    """A folder in which a data set may lie, and who says so."""

    folder: Path
    origin: str

    def __str__(self) -> str:
        return f"{self.folder} ({self.origin})"


@dataclass(frozen=True)
class FileCheck:
    """What `verify` found out about one file: `problem` is empty if the content is right."""

    path: Path
    dataset: str
    problem: str

    @property
    def ok(self) -> bool:
        """Whether the content is right."""
        return not self.problem


def where(name: str, root: FilePath | None = None) -> list[tuple[Place, bool]]:
    """Return the places to look for a data set, in order, each with whether all its files are there.

    Arguments:
        name: of the data set, as in `CATALOG`.
        root: a folder to look in first, itself or its sub-folder `name`.
    """
    return [(place, not why_not(source(name), place)) for place in places(source(name), root)]


def find(name: str, root: FilePath | None = None) -> Path | None:
    """Return the first folder of `where` that holds the data set, or None. The content is not looked at here."""
    return next((place.folder for place, found in where(name, root) if found), None)


def verify(name_or_folder: FilePath) -> list[FileCheck]:
    """Check the content of every file of a data set against its sha256.

    Arguments:
        name_or_folder: a data set, looked for as by `find`; or a folder, which is held against the data set that it
            fits best.

    Raises:
        DatasetError: if the data set is not found, or there is no such folder.
    """
    if name_or_folder in CATALOG:
        wanted = source(os.fspath(name_or_folder))
        folder = find(wanted.name)
        if folder is None:
            raise DatasetError(not_found(wanted))
        return _check_all(wanted, folder)
    folder = _expand(name_or_folder)
    if not folder.is_dir():
        raise DatasetError(f"{folder}: neither a folder nor one of the data sets {', '.join(CATALOG)}")
    return max(
        (_check_all(wanted, folder) for wanted in CATALOG.values()), key=lambda checks: sum(c.ok for c in checks)
    )


def cache_folder(wanted: Source) -> Path:
    """Return where downloaded files of a data set are kept. Raises OSError where no home folder is known."""
    return user_cache() / "data" / wanted.name


def places(wanted: Source, root: FilePath | None = None) -> list[Place]:
    """Return the folders to look in, in order."""
    bases = [(root, "the folder given"), (os.environ.get(VARIABLE), VARIABLE)]
    result = [
        Place(folder, origin)
        for base, origin in bases
        if base
        for folder in (_expand(base), _expand(base) / wanted.name)
    ]
    try:
        result.append(Place(cache_folder(wanted), "the cache"))
    except OSError as error:
        result.append(Place(Path(error.filename), f"the cache: {error.strerror}"))
    if wanted.debian_folder:
        result.append(Place(Path(wanted.debian_folder), f"Debian's package {wanted.debian_package}"))
    return result


def _expand(path: FilePath) -> Path:
    try:
        return expand(path)
    except OSError as error:
        raise DatasetError(f"{path}: {error.strerror}") from None


def why_not(wanted: Source, place: Place) -> str:
    """Return why the data set is not in this place, or an empty string if it is there."""
    if not place.folder.is_dir():
        return "no such folder"
    lacking = [file.name for file in wanted.files if locate(place.folder, file) is None]
    if lacking:
        return f"lacks {', '.join(lacking)}"
    # The files of MNIST and of its successors have the same names, and the variable speaks for all data sets.
    other = _whose(wanted.files[-1], place.folder) if place.origin == VARIABLE else ""
    return f"holds {other}" if other not in ("", wanted.name) else ""


def locate(folder: Path, file: File) -> Path | None:
    """Return the path of a file of a data set in a folder, gzipped or plain, or None."""
    candidates = (folder / f"{file.name}.gz", folder / file.name)
    return next((path for path in candidates if path.is_file()), None)


def read_verified(wanted: Source, folder: Path, file: File) -> bytes:
    """Return the uncompressed bytes of a file of a data set.

    Raises:
        DatasetError: if it is missing, damaged, or not what it should be; the message says what to do.
    """
    path = locate(folder, file)
    try:
        if path is None:
            raise DatasetError(f"{folder / file.name}[.gz]: no such file")
        content = uncompress(path.read_bytes(), path)
        check_content(wanted, file, content, path)
    except DatasetError as error:
        advice = f"Remove the file; `minigrad data fetch {wanted.name}` obtains the right one."
        raise DatasetError(f"{error}\n{advice}") from error
    return content


def check_content(wanted: Source, file: File, content: bytes, origin: FilePath) -> None:
    """Raise a DatasetError unless `content` is that of the file. `origin`, a path or an address, is for the message."""
    digest = hashlib.sha256(content).hexdigest()
    if digest != file.sha256:
        owner = _owner(digest)
        raise DatasetError(
            f"{origin}: not the {file.name} of {wanted.name}{f' but of {owner}' if owner else ''}: "
            f"the sha256 of the uncompressed bytes is {digest}, want {file.sha256}"
        )


def not_found(wanted: Source, root: FilePath | None = None, downloads: str = "") -> str:
    """Return the message for a data set that is nowhere: every place tried, and what to do."""
    looked = "\n".join(f"  {place}: {why_not(wanted, place)}" for place in places(wanted, root))
    tried = f"Tried to download:\n{downloads}\n" if downloads else ""
    names = ", ".join(file.name for file in wanted.files)
    package = f"  - on Debian, as root: apt-get install {wanted.debian_package}\n" if wanted.debian_package else ""
    return (
        f"{wanted.name} was not found. Looked in:\n{looked}\n{tried}What to do, one of:\n{package}"
        f"  - put {names} (gzipped or not) into a folder and set {VARIABLE} to it\n"
        f"  - where there is a network: minigrad data fetch {wanted.name}"
    )


def _check_all(wanted: Source, folder: Path) -> list[FileCheck]:
    return [_check(wanted, folder, file) for file in wanted.files]


def _check(wanted: Source, folder: Path, file: File) -> FileCheck:
    path = locate(folder, file) or folder / file.name
    try:
        check_content(wanted, file, uncompress(path.read_bytes(), path), path)
    except (DatasetError, OSError) as error:
        return FileCheck(path, wanted.name, str(error))
    return FileCheck(path, wanted.name, "")


def _whose(file: File, folder: Path) -> str:
    path = locate(folder, file)
    try:
        return _owner(hashlib.sha256(uncompress(path.read_bytes(), path)).hexdigest()) if path else ""
    except DatasetError:
        return ""


def _owner(digest: str) -> str:
    owners = (known.name for known in CATALOG.values() if digest in {file.sha256 for file in known.files})
    return next(owners, "")
