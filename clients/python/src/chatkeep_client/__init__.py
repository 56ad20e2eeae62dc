"""A client of chatkeep, which keeps every conversation of a chatbot on its owner's Postgres.

    from chatkeep_client import Chatkeep

    alice = Chatkeep("http://127.0.0.1:8000", token=TOKEN)
    chat = alice.create_conversation(title="Lunch")
    turn = alice.append_messages(chat.id, {"role": "user", "content": "Soup?"}, context=20)

`AsyncChatkeep` has the same methods, to be awaited.
"""

from chatkeep_client import errors
from chatkeep_client._async.client import AsyncChatkeep
from chatkeep_client._connection import __version__
from chatkeep_client._sync.client import Chatkeep
from chatkeep_client.errors import ChatkeepError
from chatkeep_client.models import NewMessage

__all__ = ["AsyncChatkeep", "Chatkeep", "ChatkeepError", "NewMessage", "__version__", "errors"]
