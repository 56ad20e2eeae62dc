"""The use cases of users: how much they store, provision and erase them, list them."""

from dataclasses import dataclass

from chatkeep.domain.errors import UserNotFoundError
from chatkeep.domain.model import Limits, Usage, UserId
from chatkeep.domain.ports import Users
from chatkeep.domain.use_case_base import UseCases
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
        self.limits.check_page(limit)
        check_prefix(prefix)
        found = await self.users.page(prefix=prefix, after=after, limit=limit)
        items = tuple(found.items)
        return UserPage(items, items[-1].id if found.more else None)


class UserUseCases(UseCases):
    __slots__ = ()

    async def usage(self, user_id: UserId) -> Usage:
        return await self.users.usage(user_id)

    async def provision_user(self, user_id: UserId) -> bool:
        """Add the user if they do not exist. Return whether they are new."""
        return await self.users.add(user_id)

    async def erasable(self, user_id: UserId, *, even_retained: bool = False) -> Usage:
        """Return the usage that `erase_user` would delete now. Raises the same errors."""
        found = await self.users.erasable(user_id, even_retained=even_retained)
        if found is None:
            raise UserNotFoundError(user_id)
        return found

    async def erase_me(self, user_id: UserId) -> None:
        """Delete the caller and everything they own, if there is anything.

        Raises `UserRetainedError`, and deletes nothing, while one of their conversations is on
        hold.
        """
        await self.users.erase(user_id)

    async def erase_user(self, user_id: UserId, *, even_retained: bool = False) -> Usage:
        """Delete a user and everything they own. Return the deleted usage.

        Raises `UserNotFoundError`. Raises `UserRetainedError`, and deletes nothing, while one of
        their conversations is on hold, unless `even_retained`.
        """
        erased = await self.users.erase(user_id, even_retained=even_retained)
        if erased is None:
            raise UserNotFoundError(user_id)
        return erased
