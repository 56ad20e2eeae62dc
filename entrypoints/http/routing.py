"""Where Litestar's routing answers less than the truth."""

from typing import Any, Final

from litestar import Request, Response
from litestar.enums import ParamType
from litestar.handlers import HTTPRouteHandler
from litestar.params import ParameterKwarg
from litestar.plugins.base import ReceiveRoutePlugin
from litestar.routes import BaseRoute, HTTPRoute

from chatkeep.entrypoints.http.head import allowed
from chatkeep.entrypoints.http.problems import FieldError, invalid_fields

MAX_QUERY_BYTES: Final = 16_384
MAX_PARAMETERS: Final = 100

_QUERY: Final = "query_parameters"


class StrictRouting(ReceiveRoutePlugin):
    """Notes which query parameters each route has, for `check_query`, and which methods a path.

    Litestar's own answer to OPTIONS tells only the methods that were registered first.
    """

    def receive_route(self, route: BaseRoute) -> None:
        if not isinstance(route, HTTPRoute):
            return
        for handler, _ in route.route_handler_map.values():
            handler.opt[_QUERY] = _query_parameters(handler, route)
        methods = allowed(route.methods)

        async def tell(response: Response[Any]) -> Response[Any]:
            response.headers["Allow"] = methods
            return response

        options, _ = route.route_handler_map["OPTIONS"]
        options.after_request = tell


async def check_query_size(request: Request[Any, Any, Any]) -> None:
    """Refuse a query that no route could want, before it is parsed: Litestar remembers many."""
    query = request.scope["query_string"]
    if len(query) > MAX_QUERY_BYTES:
        reason = f"has {len(query)} bytes; at most {MAX_QUERY_BYTES}"
    elif (parameters := query.count(b"&") + 1) > MAX_PARAMETERS:
        reason = f"has {parameters} parameters; at most {MAX_PARAMETERS}"
    else:
        return
    raise invalid_fields([FieldError(field="query", detail=reason)])


async def check_query(request: Request[Any, Any, Any]) -> None:
    """Refuse parameters that the route does not have, has twice, or that are the word null.

    Litestar passes over the first, takes the last of the second, and the third for an absence:
    a slip of the pen would be answered with something that was not asked for.
    """
    if not request.scope["query_string"]:
        return
    await check_query_size(request)
    known = request.route_handler.opt[_QUERY]
    given = request.query_params
    errors = []
    for name in dict.fromkeys(given.keys()):
        values = given.getall(name)
        if name not in known:
            reason = f"is no parameter here; there is {', '.join(known) or 'none'}"
        elif len(values) > 1:
            reason = f"stands {len(values)} times; give it once"
        elif values[0].lower() == "null":
            reason = "is null; leave it out instead"
        else:
            continue
        errors.append(FieldError(field=name, detail=reason))
    if errors:
        raise invalid_fields(errors)


def _query_parameters(handler: HTTPRouteHandler, route: HTTPRoute) -> tuple[str, ...]:
    return tuple(
        field.kwarg_definition.name or name
        for name, field in handler.parsed_fn_signature.parameters.items()
        if isinstance(field.kwarg_definition, ParameterKwarg)
        and field.kwarg_definition.param_type is ParamType.QUERY
        and name not in route.path_parameters
    )
