"""What setup.cfg cannot say: relative links lead nowhere on a package's page, so the README's become absolute."""

import re
from configparser import ConfigParser
from pathlib import Path

from setuptools import setup

HERE = Path(__file__).parent
# ![picture](path) and [text](path), but for addresses and places in the page itself
LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!\w+:|#)([^)\s]+)\)")


def with_absolute_links(text: str, source: str) -> str:
    """Return a page whose links lead into the repository at `source`."""
    return LINK.sub(lambda m: f"{m[1]}[{m[2]}]({source}/{'raw' if m[1] else 'blob'}/main/{m[3]})", text)


def source() -> str:
    """Return the repository's address, from setup.cfg."""
    config = ConfigParser()
    config.read(HERE / "setup.cfg", encoding="utf-8")
    lines = config["metadata"]["project_urls"].split("\n")
    return dict(line.split(" = ") for line in lines if line)["Source"]


if __name__ == "__main__":
    setup(long_description=with_absolute_links((HERE / "README.md").read_text(encoding="utf-8"), source()))
