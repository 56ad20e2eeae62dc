"""Tokens that let users in, signed with the secret of the settings."""

from chatkeep.entrypoints.bootstrap.database import signing_secret
from chatkeep.entrypoints.bootstrap.errors import named
from chatkeep.entrypoints.http.auth.tokens import sign
from chatkeep.entrypoints.settings import Settings


def token(settings: Settings, user_id: str, *, seconds: float) -> str:
    """Return a token of the user, good for so long. Raises `SettingsError`, `InvalidValueError`."""
    key = signing_secret(settings)
    with named("CHATKEEP_JWT_SECRET"):
        return sign(
            key,
            user_id,
            expires_in=seconds,
            issuer=settings.jwt_issuer or None,
            audience=settings.jwt_audience or None,
        )
