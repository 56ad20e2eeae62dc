"""/v1/me and /v1/users: handlers parse, call one use case and convert."""

from litestar import Response, delete, get, put
from litestar.openapi.datastructures import ResponseSpec

from chatkeep.domain.use_cases import Chatkeep
from chatkeep.entrypoints.http.auth.authentication import (
    FOR_SERVICES,
    FOR_USERS,
    require_service,
    require_user,
)
from chatkeep.entrypoints.http.body import JsonRequest
from chatkeep.entrypoints.http.ids import user_in_path
from chatkeep.entrypoints.http.problems import problems
from chatkeep.entrypoints.http.router import Router
from chatkeep.entrypoints.http.routes.user_list import user_list_route
from chatkeep.entrypoints.http.user_schemas import UsageOut, UserOut


def user_routes(chatkeep: Chatkeep) -> Router:
    @get(
        "/me",
        operation_id="getUsage",
        security=FOR_USERS,
        summary="Count what I have stored",
        response_description="Counts; all are zero for a caller who has stored nothing.",
        responses=problems(),
    )
    async def usage(request: JsonRequest) -> UsageOut:
        """Count the caller's conversations and messages."""
        return UsageOut.from_domain(await chatkeep.usage(require_user(request.user)))

    @delete(
        "/me",
        operation_id="eraseMe",
        security=FOR_USERS,
        summary="Erase me",
        response_description="Nothing of the caller remains.",
        responses=problems(409),
    )
    async def erase_me(request: JsonRequest) -> None:
        """Delete the caller and everything they own, permanently.

        While one of their conversations is on hold, nothing is deleted: 409.
        """
        await chatkeep.erase_me(require_user(request.user))

    @put(
        "/users/{user_id:path}",
        operation_id="putUser",
        security=FOR_SERVICES,
        summary="Add a user",
        response_description="The user existed.",
        responses={
            **problems(),
            201: ResponseSpec(UserOut, description="The user was added."),
        },
    )
    async def add(request: JsonRequest) -> Response[UserOut]:
        """Add the user if they do not exist; 201 if they are new. For service keys only."""
        require_service(request.user)
        user = user_in_path(request.scope["raw_path"])
        new = await chatkeep.provision_user(user)
        return Response(UserOut(id=user), status_code=201 if new else 200)

    @delete(
        "/users/{user_id:path}",
        operation_id="eraseUser",
        security=FOR_SERVICES,
        summary="Erase a user",
        response_description="Nothing of the user remains.",
        responses=problems(404, 409),
    )
    async def erase(request: JsonRequest) -> None:
        """Delete a user and everything they own, permanently. For service keys only.

        While one of their conversations is on hold, nothing is deleted: 409.
        """
        require_service(request.user)
        await chatkeep.erase_user(user_in_path(request.scope["raw_path"]))

    return Router(
        "/", tags=["users"], route_handlers=[usage, erase_me, user_list_route(chatkeep), add, erase]
    )
