"""/v1/me and /v1/users: handlers parse, call one use case and convert."""

from litestar import Response, Router, delete, get, put
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath

from domain.model import check_user_id
from domain.use_cases import Chatkeep
from entrypoints.http.authentication import service_of, user_of
from entrypoints.http.body import JsonRequest
from entrypoints.http.problems import problems
from entrypoints.http.schemas import UsageOut, UserOut


def user_routes(chatkeep: Chatkeep) -> Router:
    @get("/me", operation_id="getUsage", summary="What I have stored", responses=problems())
    async def usage(request: JsonRequest) -> UsageOut:
        """How many conversations and messages the caller has."""
        return UsageOut.of(await chatkeep.usage(user_of(request.user)))

    @delete("/me", operation_id="eraseMe", summary="Erase me", responses=problems())
    async def erase_me(request: JsonRequest) -> None:
        """Delete the caller and everything they own, for good."""
        await chatkeep.erase_me(user_of(request.user))

    @put(
        "/users/{user_id:str}",
        operation_id="putUser",
        summary="Add a user",
        responses={
            **problems(),
            201: ResponseSpec(UserOut, description="The user was added."),
        },
    )
    async def add(request: JsonRequest, user_id: FromPath[str]) -> Response[UserOut]:
        """Make sure that the user exists; 201 when they are new. For service keys only."""
        service_of(request.user)
        user = check_user_id(user_id)
        new = await chatkeep.provision_user(user)
        return Response(UserOut(id=user), status_code=201 if new else 200)

    @delete(
        "/users/{user_id:str}",
        operation_id="eraseUser",
        summary="Erase a user",
        responses=problems(404),
    )
    async def erase(request: JsonRequest, user_id: FromPath[str]) -> None:
        """Delete a user and everything they own, for good. For service keys only."""
        service_of(request.user)
        await chatkeep.erase_user(check_user_id(user_id))

    return Router("/", tags=["users"], route_handlers=[usage, erase_me, add, erase])
