"""What a person does with the console, and what the service has for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Locator, Page

from chatkeep.entrypoints.http.auth.tokens import sign
from tests.support.processes import SECRET
from tests.support.service_process import SERVICE_KEY, ServiceProcess, as_user

SCREENSHOTS = Path(__file__).parents[2] / "build" / "console"


@dataclass(frozen=True)
class Console:
    page: Page
    service: ServiceProcess
    user: str

    async def sign_in(self) -> None:
        """Open the page by a link with a token, as `chatkeep serve` prints it."""
        token = sign(SECRET, self.user, expires_in=900)
        await self.page.goto(f"{self.service.url}/console/#token={token}")

    async def sign_in_as_service(self) -> None:
        """Open the page for the same user with a service key."""
        await self.page.goto(
            f"{self.service.url}/console/#token={SERVICE_KEY}&user={quote(self.user)}"
        )
        await self.page.get_by_text(self.user, exact=True).wait_for()

    async def call(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - any JSON
        return await self.service.call(method, path, body, headers=as_user(self.user))

    async def create(self, title: str, messages: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
        """Create a conversation with these messages."""
        created: dict[str, Any] = await self.call(
            "POST", "/v1/conversations", {"title": title, "messages": list(messages[:100])}
        )
        for start in range(100, len(messages), 100):
            await self.call(
                "POST",
                f"/v1/conversations/{created['id']}/messages",
                {"messages": list(messages[start : start + 100])},
            )
        return created

    async def refresh(self) -> None:
        await self.page.get_by_role("button", name="Refresh").click()

    async def choose(self, title: str) -> None:
        """Open a conversation from the list."""
        await self.refresh()
        await self.page.get_by_role("navigation").get_by_role("link", name=title).click()
        await self.page.get_by_role("heading", name=title, level=2).wait_for()

    async def act(self, action: str) -> None:
        """Choose from the menu of the conversation."""
        await self.page.locator(".heading-bar summary").click()
        await self.page.get_by_role("button", name=action, exact=True).click()

    def messages(self) -> Locator:
        return self.page.get_by_role("article")

    def message(self, text: str) -> Locator:
        return self.messages().filter(has_text=text)

    async def check_access(self) -> None:
        """Check with axe-core, and that nothing is wider than the window."""
        found: Any = await Axe().run(self.page)
        assert not found.response["violations"], found.generate_report()
        assert await self.page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    async def screenshot(self, name: str) -> None:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        await self.page.screenshot(path=SCREENSHOTS / f"{name}.png")


def said(*texts: str) -> list[dict[str, Any]]:
    """Return messages of the user and the assistant in turn."""
    roles = ("user", "assistant")
    return [{"role": roles[at % 2], "content": text} for at, text in enumerate(texts)]
