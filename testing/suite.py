"""All tests that a store must pass. In a test file: `from chatkeep.testing.suite import *`.

They need a fixture `store`, which returns an empty `StoreUnderTest`.
"""

import pytest

from chatkeep.testing.contract.aliasing import *
from chatkeep.testing.contract.any_tree import *
from chatkeep.testing.contract.appending import *
from chatkeep.testing.contract.audit import *
from chatkeep.testing.contract.branches import *
from chatkeep.testing.contract.by_creation import *
from chatkeep.testing.contract.context_starts import *
from chatkeep.testing.contract.conversations import *
from chatkeep.testing.contract.counting import *
from chatkeep.testing.contract.drafts import *
from chatkeep.testing.contract.entries import *
from chatkeep.testing.contract.events import *
from chatkeep.testing.contract.expecting import *
from chatkeep.testing.contract.finding import *
from chatkeep.testing.contract.forking import *
from chatkeep.testing.contract.history import *
from chatkeep.testing.contract.holds import *
from chatkeep.testing.contract.isolation import *
from chatkeep.testing.contract.item_ids import *
from chatkeep.testing.contract.item_pages import *
from chatkeep.testing.contract.items import *
from chatkeep.testing.contract.listing import *
from chatkeep.testing.contract.native_keys import *
from chatkeep.testing.contract.originals import *
from chatkeep.testing.contract.overview import *
from chatkeep.testing.contract.page_bytes import *
from chatkeep.testing.contract.parts import *
from chatkeep.testing.contract.patching import *
from chatkeep.testing.contract.promises import *
from chatkeep.testing.contract.putting import *
from chatkeep.testing.contract.recreating import *
from chatkeep.testing.contract.replacing import *
from chatkeep.testing.contract.retrying import *
from chatkeep.testing.contract.revisions import *
from chatkeep.testing.contract.search import *
from chatkeep.testing.contract.sweeping import *
from chatkeep.testing.contract.text import *
from chatkeep.testing.contract.text_ids import *
from chatkeep.testing.contract.times import *
from chatkeep.testing.contract.tool_results import *
from chatkeep.testing.contract.truncating import *
from chatkeep.testing.contract.user_list import *
from chatkeep.testing.contract.users import *
from chatkeep.testing.contract.window import *
from chatkeep.testing.contract.window_originals import *

pytestmark = pytest.mark.asyncio
