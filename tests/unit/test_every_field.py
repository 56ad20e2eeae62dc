"""No field of a known format is lost in an import, and docs/formats.md says where each goes."""

import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from chatkeep.domain.formats.table import ORIGINALS, WRITERS, FileFormat, read_any
from chatkeep.entrypoints.formats.decoding import decode, find_originals
from chatkeep.entrypoints.formats.json_lines import JsonLines
from tests.unit.every_field.page import write_page
from tests.unit.every_field.places import DOCUMENTS, export_again, fill, find_places
from tests.unit.transfers import ALICE, StoreWithTransfer

PAGE = Path(__file__).parents[2] / "docs" / "formats.md"
WRITTEN_AGAIN = {**ORIGINALS, FileFormat.OPENAI: WRITERS[FileFormat.OPENAI]}
MAKERS = [(name, make) for name, makers in DOCUMENTS.items() for make in makers]


@pytest.mark.parametrize("originals", [True, False])
@pytest.mark.parametrize(("name", "make"), MAKERS)
async def test_every_value_is_found_again(
    name: FileFormat, make: Callable[[], dict[str, Any]], *, originals: bool
) -> None:
    document, leaves = fill(make())
    line = json.loads(await export_again(document, originals=originals))
    assert len(leaves) > 40 or name is FileFormat.SHAREGPT
    assert not [leaf for leaf in leaves if not find_places(leaf, line)]


def names_of_true(value: object) -> Iterator[str]:
    match value:
        case dict():
            yield from (name for name, each in value.items() if each is True)
            for each in value.values():
                yield from names_of_true(each)
        case list():
            for each in value:
                yield from names_of_true(each)


@pytest.mark.parametrize(("name", "make"), MAKERS)
async def test_whatever_is_true_is_still_true(
    name: FileFormat, make: Callable[[], dict[str, Any]]
) -> None:
    document, _ = fill(make())
    line = await export_again(document, originals=False)
    here = {"is_archived": "status", "is_visually_hidden_from_conversation": "hidden"}
    for field in set(names_of_true(document)):
        assert re.search(f'"{here.get(field, field)}": (true|"archived")', line), (name, field)


@pytest.mark.parametrize(
    ("name", "make"), [(name, make) for name, make in MAKERS if name in WRITTEN_AGAIN]
)
async def test_an_export_to_the_same_format_gives_the_document_back(
    name: FileFormat, make: Callable[[], dict[str, Any]]
) -> None:
    document, _ = fill(make())
    data = json.dumps(document, indent=1).encode()
    store = StoreWithTransfer()
    line = read_any(decode(data), partial(find_originals, data))
    assert await store.transfer.import_conversation(ALICE, line)
    writer = JsonLines(WRITTEN_AGAIN[name])
    out = b"".join([writer.write(piece) async for piece in store.transfer.export(ALICE)])
    assert writer.left_out() == ""
    written = json.loads(out)
    if "id" in document:
        written["id"] = type(document["id"])(written["id"])
    assert written == document


def test_a_document_of_a_format_is_recognized() -> None:
    for name, make in MAKERS:
        document, _ = fill(make())
        counted = read_any(document).without_place
        assert {field.partition(".")[0] for field in counted} == {name}


async def test_the_page_is_up_to_date() -> None:
    page = await write_page()
    assert PAGE.read_text(encoding="utf-8") == page, "run python -m tests.unit.every_field"
    assert "|  |" not in page
