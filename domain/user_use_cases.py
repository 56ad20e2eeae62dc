"""The use case of listing users, for services."""

from dataclasses import dataclass

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.model import Limits, UserId
from chatkeep.domain.ports import Users
from chatkeep.domain.user_list import ListedUser, check_prefix


@dataclass(frozen=True, slots=True)
class UserPage:
    """A page of users. `next` is the id after which the following one starts, None on the last."""

    items: tuple[ListedUser, ...]
    next: UserId | None


@dataclass(frozen=True, slots=True)
class UserListUseCase:
    """It is for services: the users are all there are."""

    users: Users
    limits: Limits

    async def page(self, *, prefix: str = "", after: str = "", limit: int = 20) -> UserPage:
        """Return users whose ids begin with `prefix` and come after `after`, by id.

        Raises `InvalidValueError` for a prefix that no id has; `LimitExceededError` for a `limit`
        over `max_page`.
        """
        if limit < 1:
            raise InvalidValueError("limit", f"is {limit}; at least 1")
        self.limits.check("max_page", limit, field="limit", unit="items")
        check_prefix(prefix)
        found = await self.users.page(prefix=prefix, after=after, limit=limit)
        items = tuple(found.items)
        return UserPage(items, items[-1].id if found.more else None)
