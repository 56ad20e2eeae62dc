"""Formats: the shapes in which other programs send and receive conversations.

A codec reads and writes one format. Each is one file here, with pure functions on documents: JSON
as Python values, which the calling entrypoint decodes and encodes. The same codec serves the HTTP
API, import, export and context.

To add a format:

1. Write its codec. `read(document)` returns a `Line`: it makes a document of the service's own
   format and lets `chatkeep.read` do the rest. `recognizes(document)` says whether a document is of
   this format. A `Writer`, or `write_context`, writes it. Each says in its docstring what it leaves
   out. (`codec.py` has these words, and checks that name the field.)
2. Add a line to `table.py`. Commands, the HTTP API and tests/unit/test_codecs.py walk that table:
   every codec is held to the same properties there.
3. Write down what becomes what in docs/transfer.md, and test it in tests/unit/test_formats.py.

The id of an imported conversation follows from what its reader made of it. If a reader makes more
of the same file than before, it also says what it made formerly (`Line.formerly`), so that a second
import adds nothing; tests/unit/test_imported_before.py has documents of earlier versions.

OpenAI's items (`openai_items.py`) are read and written as texts rather than documents, since models
get them back to the letter.
"""
