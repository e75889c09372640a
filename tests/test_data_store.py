"""Where data sets are found, verified and fetched; with a small data set of the test's own, then the real ones."""

import gzip
import hashlib
import http.server
import os
import re
import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest

from minigrad import data
from minigrad.data import CATALOG, DatasetError, File, Source, download, write_idx
from tests.datasets import require

RNG = np.random.default_rng(0)
ARRAYS = {
    "train-x": RNG.integers(0, 256, (5, 4, 3), np.uint8),
    "train-y": np.array([0, 1, 1, 0, 1], np.uint8),
    "test-x": RNG.integers(0, 256, (2, 4, 3), np.uint8),
    "test-y": np.array([1, 0], np.uint8),
}


def idx_bytes(array, folder):
    write_idx(folder / "scratch", array)
    return (folder / "scratch").read_bytes()


@pytest.fixture
def contents(tmp_path):
    return {name: idx_bytes(array, tmp_path) for name, array in ARRAYS.items()}


@pytest.fixture
def toy(tmp_path, contents, monkeypatch):
    """A data set in the catalog that lies nowhere yet, in an environment that names folders of the test's own."""
    files = [File(name, hashlib.sha256(content).hexdigest()) for name, content in contents.items()]
    source = Source("toy", ("a", "b"), (files[0], files[1]), (files[2], files[3]), (), "dataset-toy", "")
    source = replace(source, debian_folder=str(tmp_path / "debian"))
    monkeypatch.setitem(CATALOG, "toy", source)
    monkeypatch.setenv("MINIGRAD_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MINIGRAD_DATA", raising=False)
    monkeypatch.setattr(download, "retrieve", refuse)
    return source


def refuse(url, path):
    raise ConnectionError("no network in this test")


def put(folder, contents, zipped=False):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        if zipped:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / name).write_bytes(content)
    return folder


def tree(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# ------------------------------------------------------------------------------------------------------- finding


def test_the_order_of_search(toy, contents, tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGRAD_DATA", str(tmp_path / "variable"))
    root = tmp_path / "root"
    in_order = [
        root,
        root / "toy",
        tmp_path / "variable",
        tmp_path / "variable" / "toy",
        tmp_path / "cache" / "data" / "toy",
        tmp_path / "debian",
    ]
    assert [place.folder for place, _ in data.where("toy", root)] == in_order
    for folder in reversed(in_order):
        put(folder, contents)
        assert data.find("toy", root) == folder
    assert all(found for _, found in data.where("toy", root))
    assert data.find("toy") == tmp_path / "variable"


def test_the_cache_of_the_user(toy, contents, tmp_path, monkeypatch):
    monkeypatch.delenv("MINIGRAD_CACHE")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert data.where("toy")[0][0].folder == tmp_path / "xdg" / "minigrad" / "data" / "toy"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert data.where("toy")[0][0].folder == tmp_path / ".cache" / "minigrad" / "data" / "toy"


def test_without_a_home_there_is_no_cache_and_all_else_goes_on(toy, contents, tmp_path, homeless):
    (place, found), *_ = data.where("toy")
    assert str(place).startswith("~/.cache (the cache: no home folder is known")
    assert not found
    with pytest.raises(DatasetError, match=r"toy was not found[\s\S]*the cache: no home folder is known"):
        data.load("toy", tmp_path)
    with pytest.raises(FileNotFoundError, match="no home folder is known"):
        data.fetch("toy")
    assert len(data.load("toy", put(tmp_path / "here", contents))[0]) == 5


@pytest.mark.skipif(os.name != "posix", reason="homes of others")
def test_the_home_of_nobody(toy, monkeypatch):
    path = "~nosuchuser/x"
    message = "~nosuchuser/x: no home folder is known for it"
    for call in (lambda: data.where("toy", path), lambda: data.load("toy", path), lambda: data.verify(path)):
        with pytest.raises(DatasetError, match=message):
            call()
    with pytest.raises(FileNotFoundError, match="no home folder is known for it"):
        data.fetch("toy", path)
    monkeypatch.setenv("MINIGRAD_DATA", path)
    with pytest.raises(DatasetError, match=message):
        data.find("toy")


@pytest.mark.parametrize("zipped", [False, True])
def test_load(toy, contents, tmp_path, zipped):
    train, test = data.load("toy", put(tmp_path / "here", contents, zipped))
    np.testing.assert_array_equal(train.x, ARRAYS["train-x"][:, None])
    np.testing.assert_array_equal(train.y, ARRAYS["train-y"])
    np.testing.assert_array_equal(test.x, ARRAYS["test-x"][:, None])
    assert (train.x.dtype, train.y.dtype, train.classes) == (np.uint8, np.int64, ("a", "b"))


def test_an_incomplete_folder_is_passed_over(toy, contents, tmp_path):
    root = put(tmp_path / "root", contents)
    (root / "test-y").unlink()
    debian = put(tmp_path / "debian", contents)
    assert data.find("toy", root) == debian
    assert len(data.load("toy", root)[0]) == 5


def test_nothing_found_says_where_and_what_to_do(toy, tmp_path, monkeypatch):
    source = replace(toy, mirrors=("http://one.invalid/", "http://two.invalid/"))
    monkeypatch.setitem(CATALOG, "toy", source)
    monkeypatch.setenv("MINIGRAD_DATA", str(tmp_path / "variable"))
    put(tmp_path / "root", {"train-x": b""})
    with pytest.raises(DatasetError) as caught:
        data.load("toy", tmp_path / "root")
    message = str(caught.value)
    for place, found in data.where("toy", tmp_path / "root"):
        assert not found
        assert str(place) in message
    for part in (
        "lacks train-y, test-x, test-y",
        "no such folder",
        "http://one.invalid/train-x.gz: no network in this test",
        "http://two.invalid/train-x.gz: no network in this test",
        "apt-get install dataset-toy",
        "MINIGRAD_DATA",
        "minigrad data fetch toy",
    ):
        assert part in message


def test_a_data_set_that_is_unknown():
    with pytest.raises(DatasetError, match=r"'imagenet'; known are fashion-mnist, mnist"):
        data.load("imagenet")


def test_the_variable_may_name_the_folder_of_another_data_set(toy, contents, tmp_path, monkeypatch):
    other = {name: content[:-1] + b"\x07" for name, content in contents.items()}
    files = [File(name, hashlib.sha256(content).hexdigest()) for name, content in other.items()]
    twin = Source("twin", ("a",), (files[0], files[1]), (files[2], files[3]), ())
    monkeypatch.setitem(CATALOG, "twin", twin)
    monkeypatch.setenv("MINIGRAD_DATA", str(put(tmp_path / "variable", other)))
    debian = put(tmp_path / "debian", contents)
    assert data.find("twin") == tmp_path / "variable"
    assert data.find("toy") == debian
    with pytest.raises(DatasetError, match="not the train-x of toy but of twin"):
        data.load("toy", tmp_path / "variable")


# ----------------------------------------------------------------------------------------------------- verifying


def test_wrong_content_names_file_hashes_and_remedy(toy, contents, tmp_path):
    wrong = contents["test-x"][:-1] + bytes([contents["test-x"][-1] ^ 1])
    root = put(tmp_path / "root", contents | {"test-x": wrong}, zipped=True)
    with pytest.raises(DatasetError) as caught:
        data.load("toy", root)
    for part in (
        str(root / "test-x.gz"),
        hashlib.sha256(wrong).hexdigest(),
        toy.test[0].sha256,
        "Remove the file; `minigrad data fetch toy`",
    ):
        assert part in str(caught.value)


def test_damaged_gzip_says_what_to_do(toy, contents, tmp_path):
    root = put(tmp_path / "root", contents, zipped=True)
    path = root / "train-x.gz"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DatasetError, match=r"(?s)train-x\.gz: damaged gzip file.*minigrad data fetch toy"):
        data.load("toy", root)


def test_damaged_labels_where_the_variable_points_are_reported_not_passed_over(toy, contents, tmp_path, monkeypatch):
    folder = put(tmp_path / "variable", contents, zipped=True)
    (folder / "test-y.gz").write_bytes(b"\x1f\x8b")
    monkeypatch.setenv("MINIGRAD_DATA", str(folder))
    assert data.find("toy") == folder
    with pytest.raises(DatasetError, match=r"test-y\.gz: damaged gzip file"):
        data.load("toy")


def test_verify_a_folder_file_by_file(toy, contents, tmp_path):
    folder = put(tmp_path / "root", contents)
    assert [check.ok for check in data.verify(folder)] == [True] * 4
    (folder / "train-y").write_bytes(b"no")
    (folder / "test-y").unlink()
    checks = {check.path.name: check for check in data.verify(folder)}
    assert [name for name, check in checks.items() if check.ok] == ["train-x", "test-x"]
    assert "want " + toy.train[1].sha256 in checks["train-y"].problem
    assert "No such file" in checks["test-y"].problem
    assert {check.dataset for check in checks.values()} == {"toy"}


def test_verify_by_name(toy, contents, tmp_path):
    with pytest.raises(DatasetError, match="toy was not found"):
        data.verify("toy")
    put(tmp_path / "debian", contents, zipped=True)
    assert [check.path.parent for check in data.verify("toy") if check.ok] == [tmp_path / "debian"] * 4
    with pytest.raises(DatasetError, match="neither a folder nor one of the data sets"):
        data.verify("toys")


# ------------------------------------------------------------------------------------------------------ fetching


class Mirrors(http.server.BaseHTTPRequestHandler):
    """/good/ has the files, /cut/ breaks off, /wrong/ has others, /page/ answers with HTML, the rest with 404."""

    contents: dict[str, bytes]
    asked: list[str]

    def do_GET(self):
        self.asked.append(self.path)
        mirror, name = self.path.strip("/").split("/")
        content = gzip.compress(self.contents[name.removesuffix(".gz")])
        if mirror == "wrong":
            content = gzip.compress(b"something else")
        if mirror == "page":
            content = b"<html>Please log in</html>"
        self.send_response(200 if mirror in ("good", "cut", "wrong", "page") else 404)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if mirror == "cut" else content)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(toy, contents, monkeypatch):
    """A server on the loopback; `server(mirror, ...)` makes these the mirrors of the toy data set."""
    monkeypatch.setattr(download, "retrieve", RETRIEVE)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    handler = type("Handler", (Mirrors,), {"contents": contents, "asked": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()

        def use(*mirrors):
            addresses = tuple(f"http://127.0.0.1:{running.server_port}/{mirror}/" for mirror in mirrors)
            monkeypatch.setitem(CATALOG, "toy", replace(toy, mirrors=addresses))
            return handler.asked

        yield use
        running.shutdown()
        thread.join()


RETRIEVE = download.retrieve
CACHED = ["test-x.gz", "test-y.gz", "train-x.gz", "train-y.gz"]


def test_fetch_from_the_first_mirror_that_has_it_right(server, tmp_path):
    asked = server("missing", "cut", "wrong", "page", "good", "never")
    train, _ = data.load("toy")
    np.testing.assert_array_equal(train.x, ARRAYS["train-x"][:, None])
    assert tree(tmp_path / "cache" / "data" / "toy") == CACHED
    assert {path.split("/")[1] for path in asked} == {"missing", "cut", "wrong", "page", "good"}
    asked.clear()
    data.load("toy")
    data.fetch("toy")
    assert asked == []


def test_fetch_that_fails_everywhere_leaves_nothing(server, tmp_path):
    server("missing", "cut", "wrong", "page")
    with pytest.raises(DatasetError) as caught:
        data.fetch("toy", tmp_path / "new")
    for mirror, reason in (
        ("missing", "404"),
        ("cut", "(?i)incomplete"),
        ("wrong", "not the train-x of toy"),
        ("page", "not the train-x of toy"),
    ):
        assert re.search(rf"/{mirror}/train-x\.gz: .*{reason.removeprefix('(?i)')}", str(caught.value), re.I)
    assert list((tmp_path / "new").iterdir()) == []


def test_fetch_goes_on_where_it_stopped_and_replaces_what_is_wrong(server, contents, tmp_path):
    asked = server("good")
    folder = put(tmp_path / "new", {"train-x": contents["train-x"], "train-y": b"wrong", "test-x": b""})
    assert data.fetch("toy", folder) == folder
    assert asked == ["/good/train-y.gz", "/good/test-x.gz", "/good/test-y.gz"]
    assert all(check.ok for check in data.verify(folder))


def test_interrupted_fetch_leaves_nothing(toy, tmp_path, monkeypatch):
    def interrupted(url, path):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setitem(CATALOG, "toy", replace(toy, mirrors=("http://one.invalid/",)))
    monkeypatch.setattr(download, "retrieve", interrupted)
    with pytest.raises(KeyboardInterrupt):
        data.fetch("toy", tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []


def test_a_cache_that_cannot_be_written(toy, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MINIGRAD_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(NotADirectoryError):
        data.fetch("toy")
    with pytest.raises(DatasetError, match=r"(?s)toy was not found.*Not a directory"):
        data.load("toy")


# ------------------------------------------------------------------------------------------------- the real ones


@pytest.mark.parametrize("name", list(CATALOG))
def test_catalog_entries_are_whole(name):
    source = CATALOG[name]
    assert source.name == name
    assert len(source.mirrors) >= 2
    assert all(mirror.startswith("http") and mirror.endswith("/") for mirror in source.mirrors)
    assert len({file.sha256 for file in source.files}) == len(source.files)
    assert all(re.fullmatch("[0-9a-f]{64}", file.sha256) for file in source.files)
    assert (source.debian_package is None) == (source.debian_folder is None)


@pytest.mark.parametrize(
    ("name", "load", "first"), [("fashion-mnist", data.fashion_mnist, "Ankle boot"), ("mnist", data.mnist, "5")]
)
def test_the_data_sets(name, load, first):
    require(name)
    folder = data.find(name)
    train, test = load(folder)
    assert train.x.shape == (60000, 1, 28, 28)
    assert test.x.shape == (10000, 1, 28, 28)
    assert (train.x.dtype, train.y.dtype) == (np.uint8, np.int64)
    assert train.classes is not None
    assert len(train.classes) == 10
    assert train.classes[train.y[0]] == first
    assert test.y.min() == 0
    assert test.y.max() == 9
    assert all(check.ok and check.dataset == name for check in data.verify(folder))


def test_importing_loads_nothing_heavy():
    code = "import sys, minigrad.data, minigrad.io; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert not {"pooch", "requests", "numba", "safetensors", "scipy", "torch"} & set(run.stdout.split())
