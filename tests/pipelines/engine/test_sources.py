"""Which files a spec may name: attacks with paths, links and special files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipelines.engine.sources import SourceError, open_source


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "a.csv").write_text("inside")
    (root / "sub" / "b.csv").write_text("deeper")
    (tmp_path / "secret.txt").write_text("outside")
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "c.csv").write_text("outside too")
    return root


@pytest.mark.parametrize(("given", "text"), [("a.csv", b"inside"), ("sub/b.csv", b"deeper"), ("./a.csv", b"inside")])
def test_a_file_below_the_root_is_read(root: Path, given: str, text: bytes):
    with open_source(given, [root]) as file:
        assert file.read() == text


def test_an_absolute_path_inside_a_root_is_read(root: Path):
    with open_source(str(root / "a.csv"), [root]) as file:
        assert file.read() == b"inside"


def test_the_first_root_that_has_the_file_wins(root: Path, tmp_path: Path):
    with open_source("c.csv", [root, tmp_path / "private"]) as file:
        assert file.read() == b"outside too"


@pytest.mark.parametrize(
    "given", ["../secret.txt", "sub/../../secret.txt", "/etc/passwd", "..", "/", "a.csv/../../secret.txt"]
)
def test_a_path_out_of_the_roots_is_refused(root: Path, given: str):
    with pytest.raises(SourceError, match="outside the allowed roots"):
        open_source(given, [root])


def test_a_symlinked_file_is_refused(root: Path):
    (root / "link.csv").symlink_to(root.parent / "secret.txt")
    with pytest.raises(SourceError, match="symbolic link"):
        open_source("link.csv", [root])


def test_a_symlinked_folder_is_refused(root: Path):
    (root / "folder").symlink_to(root.parent / "private")
    with pytest.raises(SourceError, match="symbolic link"):
        open_source("folder/c.csv", [root])


def test_a_folder_a_pipe_and_a_missing_file_are_refused(root: Path):
    os.mkfifo(root / "pipe")
    for given, reason in (
        ("sub", "not a regular file"),
        ("pipe", "not a regular file"),
        ("no.csv", "There is no file"),
    ):
        with pytest.raises(SourceError, match=reason):
            open_source(given, [root])


@pytest.mark.parametrize("given", ["", "  ", "a\0.csv"])
def test_an_empty_path_or_one_with_nul_is_refused(root: Path, given: str):
    with pytest.raises(SourceError, match="NUL byte"):
        open_source(given, [root])


def test_without_roots_everything_is_refused(root: Path):
    with pytest.raises(SourceError, match="outside"):
        open_source("a.csv", [])
