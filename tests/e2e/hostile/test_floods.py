"""One who sends too much is told so, in time; nobody else notices."""

import asyncio
import re
from collections import Counter

import asyncpg
import httpx

from tests.support.postgres import Server, connect_args
from tests.support.service_process import (
    SERVICE_KEY,
    ServiceProcess,
    as_service,
    as_user,
    running_on,
)
from tests.support.waiting import until

LIMIT = re.compile(r'"requests";r=(\d+);t=(\d+)')


async def test_over_the_rate_a_user_is_told_when_to_come_back_and_others_are_served(
    postgres_server: Server,
) -> None:
    async with running_on(
        postgres_server,
        CHATKEEP_SERVICE_KEYS=SERVICE_KEY,
        CHATKEEP_REQUESTS_PER_MINUTE="120",
        CHATKEEP_MAX_REQUESTS_AT_ONCE_PER_USER="0",
    ) as service:
        flood = await asyncio.gather(
            *(service.http.get("/v1/me", headers=as_user("alice")) for _ in range(200))
        )

        counts = Counter(answer.status_code for answer in flood)
        assert counts[200] + counts[429] == 200
        assert 120 <= counts[200] < 150
        left = []
        for answer in flood:
            assert answer.headers["ratelimit-policy"] == '"requests";q=120;w=60'
            found = LIMIT.fullmatch(answer.headers["ratelimit"])
            assert found
            left.append(int(found[1]))
            if answer.status_code == 429:
                assert answer.json()["type"] == "urn:chatkeep:problem:too-many-requests"
                assert 1 <= int(answer.headers["retry-after"]) <= 60
        assert {0, 119} <= set(left)

        # The limit is Alice's, whoever acts for her, and nobody else's.
        for _ in range(100):
            answer = await service.http.get("/v1/me", headers=as_service("alice"))
            if answer.status_code == 429:
                break
        assert answer.status_code == 429
        await service.call("GET", "/v1/me", headers=as_user("bob"))
        await service.call("PUT", "/v1/users/carol", headers=as_service())
        await service.call("GET", "/health/ready")

        await asyncio.sleep(int(answer.headers["retry-after"]))
        await service.call("GET", "/v1/me", headers=as_user("alice"))
        metrics = (await service.http.get("/metrics")).text
        assert re.search(r'count\{method="GET",route="/v1/me",status="429"\} [1-9]', metrics)


async def held(service: ServiceProcess, user: str, path: str) -> httpx.Response:
    message = {"role": "user", "content": "held up"}
    return await service.http.post(f"{path}/messages", json=message, headers=as_user(user))


async def test_at_once_a_user_has_a_share_and_all_together_have_a_bound(
    postgres_server: Server,
) -> None:
    async with running_on(
        postgres_server,
        CHATKEEP_MAX_REQUESTS_AT_ONCE="8",
        CHATKEEP_MAX_REQUESTS_AT_ONCE_PER_USER="5",
    ) as service:
        paths = {}
        for user in ("alice", "bob"):
            created = await service.call("POST", "/v1/conversations", {}, headers=as_user(user))
            paths[user] = f"/v1/conversations/{created['id']}"
        connection = await asyncpg.connect(**connect_args(service.database_url))
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("SELECT FROM conversations FOR UPDATE")

        of_alice = [asyncio.create_task(held(service, "alice", paths["alice"])) for _ in range(20)]
        await until(lambda: sum(task.done() for task in of_alice) >= 15)
        await asyncio.sleep(0.1)
        done, waiting = await asyncio.wait(of_alice, timeout=0)
        assert Counter(task.result().status_code for task in done) == {429: 15}
        assert len(waiting) == 5
        assert all(task.result().headers["retry-after"] == "1" for task in done)

        of_bob = [asyncio.create_task(held(service, "bob", paths["bob"])) for _ in range(5)]
        await until(lambda: sum(task.done() for task in of_bob) >= 2)
        await asyncio.sleep(0.1)
        done, waiting_too = await asyncio.wait(of_bob, timeout=0)
        assert Counter(task.result().status_code for task in done) == {503: 2}
        for task in done:
            assert task.result().json()["type"] == "urn:chatkeep:problem:overloaded"
            assert int(task.result().headers["retry-after"]) >= 1
        await service.call("GET", "/v1/me", headers=as_user("carol"), status=503)
        await service.call("GET", "/health/live")
        await service.call("GET", "/health/ready")

        await transaction.rollback()
        await connection.close()
        answers = await asyncio.gather(*waiting, *waiting_too)
        assert Counter(answer.status_code for answer in answers) == {201: 8}
        await asyncio.gather(
            *(service.call("GET", "/v1/me", headers=as_user("alice")) for _ in range(4))
        )
