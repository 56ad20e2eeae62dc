"""Writes docs/formats.md: `python -m tests.unit.every_field`."""

import asyncio
from pathlib import Path

from tests.unit.every_field.page import write_page

Path("docs/formats.md").write_text(asyncio.run(write_page()), encoding="utf-8")
