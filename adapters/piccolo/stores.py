"""All stores on one engine."""

from chatkeep.adapters.piccolo.audit import PiccoloAudit
from chatkeep.adapters.piccolo.conversations import PiccoloConversations
from chatkeep.adapters.piccolo.drafts import PiccoloDrafts
from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.events import PiccoloEvents
from chatkeep.adapters.piccolo.log import PiccoloLog
from chatkeep.adapters.piccolo.overview import PiccoloOverviews
from chatkeep.adapters.piccolo.search import PiccoloSearch
from chatkeep.adapters.piccolo.sweeps import PiccoloSweeps, PiccoloSweepSchedule
from chatkeep.adapters.piccolo.users import PiccoloUsers
from chatkeep.domain.ports import Stores


def piccolo_stores(engine: Engine) -> Stores:
    return Stores(
        users=PiccoloUsers(engine),
        conversations=PiccoloConversations(engine),
        log=PiccoloLog(engine),
        events=PiccoloEvents(engine),
        drafts=PiccoloDrafts(engine),
        search=PiccoloSearch(engine),
        sweeps=PiccoloSweeps(engine),
        sweep_schedule=PiccoloSweepSchedule(engine),
        audit=PiccoloAudit(engine),
        overviews=PiccoloOverviews(engine),
    )
