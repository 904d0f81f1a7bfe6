"""Names and paths as text: folders that every file system takes, arguments that every shell takes."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.paths import DICT, LONGEST, RESERVED, argument, file_name, run_command, submit_command

NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", fullmatch=True)
ANY = st.text(max_size=300)


@pytest.mark.parametrize("name", ["digits", "Digits", "digits-cnn", "a.b_c", "7", "console", "com10"])
def test_an_ordinary_name_is_its_folders(name: str) -> None:
    assert file_name(name) == name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("CON", "_CON_"),
        ("nul.v2", "_nul.v2_"),
        ("lpt1", "_lpt1_"),
        ("x.", "_x._"),
        ("a:b", "_a%3ab_"),
        ("x ", "_x%20_"),
        ("../x", "_..%2fx_"),
        ("..", "_.._"),
        ("", "__"),
        ("über", "_%c3%bcber_"),
        ("-x", "_-x_"),
    ],
)
def test_a_name_that_some_file_system_refuses_stands_between_underscores(name: str, expected: str) -> None:
    assert file_name(name) == expected


@given(ANY | NAMES)
def test_every_file_system_takes_it(name: str) -> None:
    folder = file_name(name)
    assert 0 < len(folder) <= LONGEST
    assert folder.isascii()
    assert not set(folder) & set('/\\:*?"<>| \0')
    assert folder not in (".", "..")
    assert folder[-1] != "."
    assert folder.partition(".")[0].lower() not in RESERVED


@given(ANY | NAMES, ANY | NAMES)
def test_two_studies_share_no_folder(one: str, other: str) -> None:
    assert (file_name(one) == file_name(other)) == (one == other)


@given(st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), min_size=1))
def test_a_shell_reads_an_argument_as_it_was(text: str) -> None:
    [read] = shlex.split(argument(text))
    assert read == (f"./{text}" if text.startswith("-") else text)


def test_a_study_of_a_dict_is_not_told_to_be_a_file() -> None:
    assert run_command("my studies/a.toml", trials=True) == "hpo run 'my studies/a.toml' --trials N"
    assert submit_command("-a.toml") == "hpo submit ./-a.toml"
    assert (run_command(f"/home/me/{DICT}"), run_command(DICT, trials=True)) == (
        "hpo.run(STUDY)",
        "hpo.run(STUDY, trials=N)",
    )
    assert submit_command(f"/home/me/{DICT}") == "hpo submit FILE"
