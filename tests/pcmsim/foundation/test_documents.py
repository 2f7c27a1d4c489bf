"""Documents in YAML and JSON: texts stay texts, and what would change a document in silence is refused by line."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from pcmsim.errors import FileError
from pcmsim.foundation.documents import DEEPEST, LARGEST, DocumentError, parse_json, parse_yaml, read_mapping
from pcmsim.foundation.texts import Text

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9)
)
"""An alias of aliases, nine times nine: 4e8 values."""


@pytest.mark.parametrize("written", ["010", "1:30", "yes", "2024-01-01", "1_000", "0x10", "none", "~", ".nan", "1e-4"])
def test_what_stands_without_quotes_is_the_text_as_it_is_written(written: str) -> None:
    content = parse_yaml(f"a: {written}\nb: [{written}]\n{written}: c\nd: '{written}'")
    assert content == {"a": written, "b": [written], written: "c", "d": written}
    assert [type(content["a"]), type(content["b"][0]), type(content["d"])] == [Text, Text, str]


def test_an_empty_document_holds_nothing_and_an_empty_value_is_an_empty_text() -> None:
    assert parse_yaml("# nothing") is None
    assert parse_yaml("a:\nb: ''") == {"a": "", "b": ""}


REFUSED = {
    "learning:\n  lr_input: 0.5\nscheme: sign\nlearning:\n  lr_output: 0.25\n": "'learning' stands twice, in line 1 "
    "and in line 4; expected once",
    "a: {b: 1,\n  b: 2}": "'b' stands twice, in line 1 and in line 2",
    "a: &here 1": "line 1: the anchor &here is not read",
    "a: 1\nb: *here": "line 2: the alias [*]here is not read",
    "*here : 1": "line 1: the alias [*]here is not read",
    BOMB: "line 1: the anchor &a0 is not read; expected all written out",
    "a: !!timestamp 2024-13-45": "line 1: the tag 'tag:yaml.org,2002:timestamp' is not read",
    "a: !!python/object/apply:os.getcwd []": "line 1: the tag 'tag:yaml.org,2002:python/object/apply:os.getcwd'",
    "a: 1\n<<: {b: 2}": "line 2: the merge key << is not read",
    "a: 1\n? [b]\n: 2": "line 2: expected a name before the colon, got a mapping or a list",
    "a: 1\n---\nb: 2": "line 2: begins a second document; expected one",
    "[" * 5000: f"line 1: is nested more than {DEEPEST} deep",
    "a: b: c": "is not valid YAML [(]mapping values are not allowed",
    "a: \x00": "is not valid YAML",
    "a: \ud800": "is not valid YAML",
    "x" * (LARGEST + 1): f"has {LARGEST + 1} characters; at most {LARGEST} are read",
}


@pytest.mark.parametrize("text", REFUSED, ids=range(len(REFUSED)))
def test_what_would_change_a_document_in_silence_is_refused_by_line(text: str) -> None:
    began = time.perf_counter()
    with pytest.raises(DocumentError, match=REFUSED[text]) as caught:
        parse_yaml(text)
    assert len(str(caught.value)) < 500
    assert time.perf_counter() - began < 5.0


JSON = {
    '{"seed": 1, "seed": 2}': "'seed' stands twice, in line 1 and in line 1; expected once",
    '{\n"a": {"b": 1,\n\t"b": 2}}': "'b' stands twice, in line 2 and in line 3",
    "{'a': 3}": "is not valid JSON",
    "[" * 100_000: "is not valid JSON",
    '{"a": ' + "1" * 5000 + "}": "is not valid JSON",
    "1" * (LARGEST + 1): "at most 1048576 are read",
}


@pytest.mark.parametrize("text", JSON, ids=range(len(JSON)))
def test_json_is_held_to_the_same(text: str) -> None:
    with pytest.raises(DocumentError, match=JSON[text]):
        parse_json(text)


def test_a_large_document_is_read_at_once() -> None:
    text = "cases:\n" + "".join(f"  case{n}: {{learning.lr_input: 1e-5}}\n" for n in range(20_000))
    began = time.perf_counter()
    assert len(parse_yaml(text)["cases"]) == 20_000
    assert time.perf_counter() - began < 10.0


def test_pipes_and_files_beyond_measure_are_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(FileError, match=r"pipe\.yaml: is not a file$"):
        read_mapping(tmp_path / "pipe.yaml")
    with (tmp_path / "large.yaml").open("wb") as file:
        file.truncate(2**33)
    with pytest.raises(FileError, match=r"large\.yaml: is too large, 8589934592 bytes; at most"):
        read_mapping(tmp_path / "large.yaml")
    with pytest.raises(FileError, match=r"a\\0\.yaml: is not a file name; expected one without null characters$"):
        read_mapping("a\x00.yaml")
