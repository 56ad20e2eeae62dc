"""Stricter query parameters and better OPTIONS than Litestar's routing."""

from typing import Any, Final

from litestar import Request, Response
from litestar.enums import ParamType
from litestar.handlers import HTTPRouteHandler
from litestar.params import ParameterKwarg
from litestar.plugins.base import ReceiveRoutePlugin
from litestar.routes import BaseRoute, HTTPRoute

from chatkeep.entrypoints.http.head import format_allow
from chatkeep.entrypoints.http.ids import check_path_size, read_path_ids
from chatkeep.entrypoints.http.problems import FieldError, invalid_fields

MAX_QUERY_BYTES: Final = 16_384
MAX_PARAMETERS: Final = 100

OBJECTS: Final = "query_objects"
"""The option of a route with the names of its query parameters that are objects: `name[key]=value`.

The route reads them with `read_object`.
"""

TEXTS: Final = "query_texts"
"""The option of a route with the names of its query parameters that may be the text null.

The route reads them from the query, since Litestar takes that text for an absent value.
"""

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
            handler.opt[_QUERY] += tuple(handler.opt.get(OBJECTS, ()))
        methods = format_allow(route.methods)

        async def set_allow(response: Response[Any]) -> Response[Any]:
            response.headers["Allow"] = methods
            return response

        options, _ = route.route_handler_map["OPTIONS"]
        options.after_request = set_allow


async def check_size(request: Request[Any, Any, Any]) -> None:
    """Refuse a path or a query that is too large for any route.

    Litestar has not parsed and cached the query yet.
    """
    check_path_size(request)
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
    known = request.route_handler.opt[_QUERY]
    objects = request.route_handler.opt.get(OBJECTS, ())
    texts = request.route_handler.opt.get(TEXTS, ())
    parameters = request.query_params
    errors = []
    for name in dict.fromkeys(parameters.keys()):
        values = parameters.getall(name)
        is_member = (member := _split_member(name)) is not None and member[0] in objects
        if name in objects:
            reason = f"needs a key: {name}[key]=value"
        elif name not in known and not is_member:
            reason = f"unknown parameter; known here: {', '.join(known) or 'none'}"
        elif len(values) > 1:
            reason = f"is given {len(values)} times; give it once"
        elif values[0].lower() == "null" and not is_member and name not in texts:
            reason = "is null; leave it out instead"
        else:
            continue
        errors.append(FieldError(field=name, detail=reason))
    if errors:
        raise invalid_fields(errors)


async def check_request(request: Request[Any, Any, Any]) -> None:
    """Check the size and the query, and read the ids in the path."""
    await check_size(request)
    await check_query(request)
    read_path_ids(request)


def read_object(request: Request[Any, Any, Any], name: str) -> dict[str, str]:
    """Return the members of a query parameter that is an object: values by key."""
    members = {}
    for given, value in request.query_params.items():
        member = _split_member(given)
        if member is not None and member[0] == name:
            members[member[1]] = value
    return members


def _split_member(given: str) -> tuple[str, str] | None:
    """Return the object and the key of a parameter `object[key]`; None for any other name."""
    name, bracket, rest = given.partition("[")
    key = rest.removesuffix("]")
    return (name, key) if bracket and key and key != rest else None


def _query_parameters(handler: HTTPRouteHandler, route: HTTPRoute) -> tuple[str, ...]:
    return tuple(
        field.kwarg_definition.name or name
        for name, field in handler.parsed_fn_signature.parameters.items()
        if isinstance(field.kwarg_definition, ParameterKwarg)
        and field.kwarg_definition.param_type is ParamType.QUERY
        and name not in route.path_parameters
    )
