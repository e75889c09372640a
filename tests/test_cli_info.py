"""`minigrad info` and `minigrad data`."""

import gzip
import math
import os
import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from minigrad import __version__, kernels
from minigrad.cli import info, main
from minigrad.data import CATALOG, download
from tests.backend import HAS_NUMBA
from tests.cli_toy import one_line, toy_in_catalog


@pytest.fixture
def toy(tmp_path):
    with toy_in_catalog(tmp_path) as patch:
        patch.setenv("MINIGRAD_CACHE", str(tmp_path / "cache"))
        yield patch


def said(capsys):
    """Return what `info` prints, by name."""
    lines = capsys.readouterr().out.splitlines()
    return {line[:24].strip(): line[24:].strip() for line in lines if line.startswith("  ")}


# ---------------------------------------------------------------------------------------------------------- info


def test_info(toy, tmp_path, capsys):
    toy.setenv("OMP_NUM_THREADS", "3")
    assert main(["info"]) == 0
    facts = said(capsys)
    assert facts["minigrad"] == __version__
    assert facts["numpy"] == np.__version__
    assert facts["numba"] == (version("numba") if HAS_NUMBA else "not installed")
    assert facts["processors"] == str(os.cpu_count())
    assert facts["OMP_NUM_THREADS"] == "3"
    assert facts["in use"].startswith(kernels.backend())
    assert facts["cache"] == f"{tmp_path / 'cache'}, 0 files of compiled kernels, 0.0 MB"
    assert facts["toy"] == str(tmp_path / "data")
    assert {"python", "system", "processor", "instructions", "BLAS", "this process may use"} <= facts.keys()
    assert all(facts.values())


@pytest.mark.filterwarnings("ignore:cannot use ~/.cache")  # for kernels
def test_info_without_a_home(toy, capsys, homeless):
    if kernels.backend() == "jit":
        cache_directory = import_module("minigrad.kernels.jit._jit").cache_directory
        cache_directory.cache_clear()
    assert main(["info"]) == 0
    assert said(capsys)["cache"].startswith("none: ~/.cache: no home folder is known")
    if kernels.backend() == "jit":
        cache_directory.cache_clear()


def test_info_without_numba():
    code = "import sys; sys.modules['numba'] = None; from minigrad.cli import main; sys.exit(main(['info']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert "in use                  reference (NumPy)" in done.stdout


def test_what_is_not_installed_is_said(toy, capsys):
    toy.setattr(info, "version", lambda name: raise_missing(name) if name in ("numba", "pillow") else "1")
    assert main(["info"]) == 0
    facts = said(capsys)
    assert (facts["numba"], facts["pillow"]) == ("not installed", "not installed (extra: image)")


def raise_missing(name):
    raise info.PackageNotFoundError(name)


@pytest.mark.parametrize(("quota", "said_quota"), [(1.5, "1.5 processors"), (math.inf, "none")])
def test_the_quota_of_a_container(quota, said_quota, toy):
    toy.setattr(info, "cgroup_quota", lambda: quota)
    assert info.threads()["control group's quota"] == said_quota


def test_a_processor_without_a_name(toy):
    def read(path):
        raise FileNotFoundError(path)

    toy.setattr(Path, "read_text", read)
    assert info.machine()["processor"]


@pytest.mark.parametrize(
    ("wanted", "said_threads"),
    [
        ("3", "3 (decided by MINIGRAD_NUM_THREADS)"),
        ("many", "MINIGRAD_NUM_THREADS='many': want a whole number, at least 1 and at most 1024"),
    ],
)
def test_threads(wanted, said_threads, toy):
    toy.setattr("minigrad.engine.threads._chosen", None)
    toy.setenv("MINIGRAD_NUM_THREADS", wanted)
    assert info.threads()["a compiled step uses"] == said_threads
    assert info.threads()["MINIGRAD_NUM_THREADS"] == wanted


# ---------------------------------------------------------------------------------------------------------- data


def test_where(toy, tmp_path, capsys):
    assert main(["data", "where", "toy"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "toy",
        f"  taken  {tmp_path / 'data'} (MINIGRAD_DATA)",
        f"  -      {tmp_path / 'data' / 'toy'} (MINIGRAD_DATA)",
        f"  -      {tmp_path / 'cache' / 'data' / 'toy'} (the cache)",
    ]
    assert main(["data", "where"]) == 0
    assert set(CATALOG) <= set(capsys.readouterr().out.splitlines())


def test_verify(toy, tmp_path, capsys):
    assert main(["data", "verify", "toy"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"ok     toy  {tmp_path / 'data' / name}" for name in ("train-x", "train-y", "test-x", "test-y")]

    (tmp_path / "data" / "test-x").write_bytes(b"something else")
    assert main(["data", "verify", "toy"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["ok", "ok", "WRONG", "ok"]
    assert "test-x: not the test-x of toy: the sha256" in lines[2]


def test_verify_takes_all_that_are_found(toy, capsys):
    toy.setattr("minigrad.cli.data.CATALOG", {"toy": CATALOG["toy"]})
    assert main(["data", "verify"]) == 0
    assert capsys.readouterr().out.count("ok     toy") == 4


def test_verify_where_there_is_nothing(toy, tmp_path, capsys):
    toy.setenv("MINIGRAD_DATA", str(tmp_path / "nowhere"))
    toy.setattr("minigrad.cli.data.CATALOG", {"toy": CATALOG["toy"]})
    assert main(["data", "verify"]) == 1
    assert "no data set was found" in one_line(capsys.readouterr().err)
    assert main(["data", "verify", "cifar"]) == 1
    assert "minigrad data verify: error: cifar: neither a folder nor one of" in one_line(capsys.readouterr().err)


@pytest.mark.parametrize("options", [[], ["--to", "here"]])
def test_fetch(options, toy, tmp_path, capsys):
    toy.setitem(CATALOG, "toy", replace(CATALOG["toy"], mirrors=("https://example.org/",)))
    toy.chdir(tmp_path)

    def retrieve(url, path):
        name = url.removeprefix("https://example.org/").removesuffix(".gz")
        path.write_bytes(gzip.compress((tmp_path / "data" / name).read_bytes()))

    toy.setattr(download, "retrieve", retrieve)
    assert main(["data", "fetch", "toy", *options]) == 0
    folder = Path("here") if options else tmp_path / "cache" / "data" / "toy"
    assert capsys.readouterr().out == f"toy is in {folder}\n"
    assert len(list(folder.iterdir())) == 4


def test_fetch_without_a_network(toy, capsys):
    toy.setitem(CATALOG, "toy", replace(CATALOG["toy"], mirrors=("https://example.org/",)))

    def retrieve(url, path):
        raise ConnectionError("no network in this test")

    toy.setattr(download, "retrieve", retrieve)
    assert main(["data", "fetch", "toy"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("minigrad data fetch: error: ")
    assert "train-x.gz: no network in this test" in err
    assert "Traceback" not in err
