"""Cutting files into conversations: whatever the chunks are that they are read in."""

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatkeep.entrypoints.formats import json_stream as module
from chatkeep.entrypoints.formats.json_stream import BrokenFileError, Element, elements

TRICKY = st.text(st.sampled_from('"\\[]{},: \n\u2028é\x00\t/')) | st.text()
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TRICKY,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TRICKY, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(TRICKY, VALUES, max_size=3)


class Dribbling:
    """A file that gives little at a time, as a pipe may."""

    def __init__(self, data: bytes, most: int) -> None:
        self._file = io.BytesIO(data)
        self._most = most

    def read1(self, size: int, /) -> bytes:
        return self._file.read(min(size, self._most))


def cut(
    data: bytes | str, *, most: int = 1 << 20, max_bytes: int = 0, lines: bool = False
) -> list[Element]:
    encoded = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    return list(elements(Dribbling(encoded, most), max_bytes=max_bytes, lines=lines))


def values(found: list[Element]) -> list[Any]:
    assert all(element.data is not None for element in found)
    return [json.loads(element.data or b"") for element in found]


def broken(data: bytes | str) -> str:
    with pytest.raises(BrokenFileError) as caught:
        cut(data)
    return str(caught.value)


@given(st.lists(VALUES | OBJECTS, max_size=5), st.integers(1, 7), st.sampled_from([None, 1]))
def test_an_array_is_cut_into_what_is_in_it(all_: list[Any], most: int, indent: int | None) -> None:
    for text in (json.dumps(all_, indent=indent), json.dumps(all_, ensure_ascii=False)):
        found = cut(f" \n{text}\n ", most=most)
        assert values(found) == all_
        assert [each.place for each in found] == [
            f"conversation {n}" for n in range(1, len(all_) + 1)
        ]


@given(st.lists(OBJECTS, min_size=1, max_size=5), st.integers(1, 7))
def test_lines_are_cut_whatever_stands_in_them(all_: list[Any], most: int) -> None:
    lines = [json.dumps(each, ensure_ascii=False) for each in all_]
    found = cut("\n".join(lines), most=most)
    assert values(found) == all_
    assert [each.place for each in found] == [str(n) for n in range(1, len(all_) + 1)]


@given(st.lists(OBJECTS.filter(bool), min_size=1, max_size=4), st.integers(1, 7))
def test_objects_over_several_lines_are_cut_where_they_end(all_: list[Any], most: int) -> None:
    text = "\n".join(json.dumps(each, indent=2) for each in all_)
    assert values(cut(text, most=most)) == all_


def test_empty_lines_and_a_byte_order_mark_are_passed_over_and_counted() -> None:
    found = cut(b'\xef\xbb\xbf\n{"a": 1}\r\n\r\n  \n{"a": 2}')
    assert [element.place for element in found] == ["2", "5"]
    assert values(found) == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize("data", [b"", b"\n \n", b"\xef\xbb\xbf", b"[]", b" [ ] "])
def test_a_file_with_nothing_in_it_has_no_elements(data: bytes) -> None:
    assert cut(data) == []


def test_a_bad_line_leaves_the_others() -> None:
    found = cut('{"messages": [}\n{"a": 1}\nnonsense\n["x"\n{"a": 2}')
    assert [element.place for element in found] == ["1", "2", "3", "4", "5"]
    assert found[1].data == b'{"a": 1}'


def test_a_first_line_that_is_not_whole_is_a_line_when_the_next_one_is_an_object_too() -> None:
    found = cut('{"messages": [{"role": "user"\n{"a": 1}\n')
    assert [element.data for element in found] == [b'{"messages": [{"role": "user"', b'{"a": 1}']


def test_arrays_one_a_line_are_lines() -> None:
    assert values(cut('[{"a": 1}]\n[{"a": 2}]\n', most=3)) == [[{"a": 1}], [{"a": 2}]]
    assert values(cut('[{"a": 1},\n{"a": 2}]\n', most=3)) == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize("most", [1, 7, 1000])
@pytest.mark.parametrize("indent", [None, 1])
def test_an_array_of_messages_is_one_conversation(most: int, indent: int | None) -> None:
    one = [{"content": '[{"', "role": "user"}, {"role": "assistant", "content": "b"}]
    text = json.dumps(one, indent=indent)
    assert values(cut(f" {text}\n", most=most)) == [one]
    assert values(cut(f"{text}\n{text}", most=most)) == [one, one]
    assert values(cut(json.dumps([one, one], indent=indent), most=most)) == [one, one]
    assert values(cut(json.dumps([{"messages": one}], indent=indent))) == [{"messages": one}]


def test_what_is_told_to_be_lines_is_lines() -> None:
    assert [each.data for each in cut('{\n"a": 1}', lines=True)] == [b"{", b'"a": 1}']
    assert [each.data for each in cut("[1,\n2]", lines=True)] == [b"[1,", b"2]"]


@pytest.mark.parametrize("most", [1, 5, 1000])
@pytest.mark.parametrize("form", ["[{}]", "{}\n"])
def test_what_is_too_large_is_passed_over_with_its_size(form: str, most: int) -> None:
    large = json.dumps({"a": '"]}' * 2000})
    small = '{"b": 1}'
    joined = {"[{}]": ", ", "{}\n": "\n"}[form]
    found = cut(form.replace("{}", joined.join([small, large, small])), max_bytes=100, most=most)
    assert [each.data for each in found] == [small.encode(), None, small.encode()]
    assert found[1].size == len(large)
    exact = cut(form.replace("{}", large), max_bytes=len(large), most=most)
    assert [each.data for each in exact] == [large.encode()]
    [over] = cut(form.replace("{}", large), max_bytes=len(large) - 1, most=most)
    assert over.data is None


def test_what_is_too_large_is_not_held_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []
    fill = module._Source.fill  # noqa: SLF001 - what is held is no business of anybody else

    def filled(source: module._Source) -> bool:
        more = fill(source)
        held.append(len(source.data))
        return more

    monkeypatch.setattr(module._Source, "fill", filled)  # noqa: SLF001 - the same
    for form in ('[{{"a": "{}"}}]', '{{"a": "{}"}}'):
        [found] = cut(form.format("\\n" * 2_000_000), max_bytes=1000, most=10_000)
        assert found.size > 4_000_000
        assert max(held) < 1_200_000


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ('[{"a": 1}, {"a": ', "in the middle of conversation 2"),
        ('[{"a": "x', "in the middle of conversation 1"),
        ('[{"a": 1}, ', "after conversation 1"),
        ('[{"a": 1}', "after conversation 1"),
        ("[", "after conversation 0"),
        ('[{"a": 1} {"a": 2}]', "no comma after conversation 1"),
        ('[{"a": 1}] []', "after the end of its array"),
        ('{\n"a": 1}\nx', "no object after conversation 1"),
        (b"PK\x03\x04rest", "ZIP"),
        (b"\x1f\x8b\x08\x00", "compressed"),
        (b"\xff\xfe{\x00", "UTF-16"),
        ("<!DOCTYPE html>", "HTML"),
    ],
)
def test_a_file_that_is_no_such_file_is_refused_with_the_place(
    data: bytes | str, said: str
) -> None:
    assert said in broken(data)


def test_the_elements_before_the_break_are_given() -> None:
    found = elements(io.BytesIO(b'[{"a": 1}, {"a": 2'))
    assert next(found).data == b'{"a": 1}'
    with pytest.raises(BrokenFileError):
        next(found)


def test_a_line_is_given_before_the_next_one_is_there() -> None:
    class Waiting:
        lines = iter([b'{"a": 1}\n', b'{"a": 2}\n'])

        def read1(self, _size: int, /) -> bytes:
            return next(self.lines)

    assert next(elements(Waiting())).data == b'{"a": 1}'
