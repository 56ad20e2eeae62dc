"""The use cases of a caller. Each method does one thing that a chatbot needs, using the ports."""

from chatkeep.domain.around import AroundUseCase
from chatkeep.domain.branch_use_cases import BranchUseCases
from chatkeep.domain.conversation_use_cases import ConversationUseCases
from chatkeep.domain.event_use_cases import EventUseCases
from chatkeep.domain.feed_use_cases import FeedUseCases
from chatkeep.domain.message_use_cases import MessageUseCases
from chatkeep.domain.reading_use_cases import ReadingUseCases
from chatkeep.domain.search_use_cases import SearchUseCases
from chatkeep.domain.user_use_cases import UserListUseCase, UserUseCases


class Chatkeep(ConversationUseCases, MessageUseCases, ReadingUseCases, UserUseCases):
    """The whole service, without entrypoints and adapters.

    Most calls are methods here; other subjects have a property each.
    """

    __slots__ = ()

    @property
    def opening(self) -> AroundUseCase:
        return AroundUseCase(self.conversations, self.log, self.limits)

    @property
    def searches(self) -> SearchUseCases:
        return SearchUseCases(self.search, self.log, self.limits)

    @property
    def user_list(self) -> UserListUseCase:
        return UserListUseCase(self.users, self.limits)

    @property
    def branches(self) -> BranchUseCases:
        return BranchUseCases(self.log, self.limits)

    @property
    def live(self) -> EventUseCases:
        return EventUseCases(
            self.events, self.log, self.drafts, self.hub, self.clock, self.changes_kept
        )

    @property
    def feed(self) -> FeedUseCases:
        return FeedUseCases(self.live, self.conversations)
