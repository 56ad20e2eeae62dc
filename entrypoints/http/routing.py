"""Stricter query parameters and better OPTIONS than Litestar's routing."""

from typing import Any, Final

from litestar import Request, Response
from litestar.enums import ParamType
from litestar.handlers import HTTPRouteHandler
from litestar.params import ParameterKwarg
from litestar.plugins.base import ReceiveRoutePlugin
from litestar.routes import BaseRoute, HTTPRoute

from chatkeep.entrypoints.http.head import format_allow
from chatkeep.entrypoints.http.problems import FieldError, invalid_fields

MAX_QUERY_BYTES: Final = 16_384
MAX_PARAMETERS: Final = 100

_QUERY: Final = "query_parameters"


class StrictRouting(ReceiveRoutePlugin):
    """Records each route's query parameters for `check_query`, and each path's methods.

    Litestar's own response to OPTIONS lists only the methods that were registered first.
    """

    def receive_route(self, route: BaseRoute) -> None:
        if not isinstance(route, HTTPRoute):
            return
        for handler, _ in route.route_handler_map.values():
            handler.opt[_QUERY] = _query_parameters(handler, route)
        methods = format_allow(route.methods)

        async def set_allow(response: Response[Any]) -> Response[Any]:
            response.headers["Allow"] = methods
            return response

        options, _ = route.route_handler_map["OPTIONS"]
        options.after_request = set_allow


async def check_query_size(request: Request[Any, Any, Any]) -> None:
    """Refuse a query that is too large for any route, before Litestar parses and caches it."""
    query = request.scope["query_string"]
    if len(query) > MAX_QUERY_BYTES:
        reason = f"has {len(query)} bytes; the limit is {MAX_QUERY_BYTES}"
    elif (parameters := query.count(b"&") + 1) > MAX_PARAMETERS:
        reason = f"has {parameters} parameters; the limit is {MAX_PARAMETERS}"
    else:
        return
    raise invalid_fields([FieldError(field="query", detail=reason)])


async def check_query(request: Request[Any, Any, Any]) -> None:
    """Refuse unknown and repeated parameters, and the value null.

    Litestar ignores unknown parameters, uses the last of repeated ones, and takes the word null for
    an absent value: a typo would go unnoticed.
    """
    if not request.scope["query_string"]:
        return
    await check_query_size(request)
    known = request.route_handler.opt[_QUERY]
    parameters = request.query_params
    errors = []
    for name in dict.fromkeys(parameters.keys()):
        values = parameters.getall(name)
        if name not in known:
            reason = f"unknown parameter; known here: {', '.join(known) or 'none'}"
        elif len(values) > 1:
            reason = f"is given {len(values)} times; give it once"
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
