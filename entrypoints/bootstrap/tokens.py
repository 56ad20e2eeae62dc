"""Tokens for users, signed with the secret of the settings."""

from chatkeep.entrypoints.bootstrap.database import signing_secret
from chatkeep.entrypoints.http.auth.tokens import sign
from chatkeep.entrypoints.settings import Settings, check_setting


def user_token(settings: Settings, user_id: str, *, seconds: float) -> str:
    """Return a token of the user, valid for `seconds`.

    Raises `SettingsError` and `InvalidValueError`.
    """
    key = signing_secret(settings)
    with check_setting("CHATKEEP_JWT_SECRET"):
        return sign(
            key,
            user_id,
            expires_in=seconds,
            issuer=settings.jwt_issuer or None,
            audience=settings.jwt_audience or None,
        )
