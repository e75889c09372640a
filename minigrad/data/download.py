"""Obtaining a data set over the network: from any of its mirrors, checked, whole or not at all."""

from importlib.util import find_spec
from pathlib import Path

from minigrad.data.catalog import File, Source, source
from minigrad.data.errors import DatasetError
from minigrad.data.idx import uncompress
from minigrad.data.store import FilePath, cache_folder, check_content, read_verified
from minigrad.files import atomic_path, expand

SECONDS_TO_CONNECT, SECONDS_TO_ANSWER = 10, 60


def fetch(name: str, folder: FilePath | None = None) -> Path:
    """Download the files of a data set that are not there yet, or are not right, and return their folder.

    Arguments:
        name: of the data set, as in `CATALOG`.
        folder: where to put the files, made if need be. By default the user's cache, where `find` looks.

    Raises:
        DatasetError: if no mirror gives one of the files, with what each mirror answered. Nothing incomplete remains.
        OSError: if the folder cannot be written, or is in a home folder that is not known.
    """
    wanted = source(name)
    folder = cache_folder(wanted) if folder is None else expand(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for file in wanted.files:
        if not _is_there(wanted, folder, file):
            if find_spec("pooch") is None:
                raise DatasetError("downloading needs the package pooch: pip install pooch")
            _download(wanted, file, folder / f"{file.name}.gz")
    return folder


def retrieve(url: str, path: Path) -> None:
    """Download one address into a file."""
    from pooch import HTTPDownloader

    get = HTTPDownloader(chunk_size=2**16, timeout=(SECONDS_TO_CONNECT, SECONDS_TO_ANSWER))
    get(url, str(path), None)


def _is_there(wanted: Source, folder: Path, file: File) -> bool:
    try:
        return bool(read_verified(wanted, folder, file))
    except DatasetError:
        return False


def _download(wanted: Source, file: File, target: Path) -> None:
    failures = []
    with atomic_path(target) as temporary:
        for mirror in wanted.mirrors:
            url = f"{mirror}{file.name}.gz"
            try:
                retrieve(url, temporary)
                check_content(wanted, file, uncompress(temporary.read_bytes(), url), url)
                return
            except DatasetError as error:
                failures.append(f"  {error}")
            except OSError as error:  # what requests raises is one too
                failures.append(f"  {url}: {reason(error)}")
        raise DatasetError("\n".join([f"no mirror gave {file.name}.gz of {wanted.name}:", *failures]))


def reason(error: OSError) -> object:
    """Return what is wrong with a connection, without the list of who wrapped it in what."""
    return getattr(error.args[0], "reason", error) if error.args else error
