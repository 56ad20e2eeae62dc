"""The environment: names that are settings, were, or never were, and values that fit or do not."""

import re

import msgspec
import pytest

from chatkeep.entrypoints.settings import RETIRED, Settings, SettingsError, retired_settings


@pytest.mark.parametrize("name", RETIRED)
def test_a_former_setting_is_accepted_and_told_of(name: str) -> None:
    assert Settings.from_env({name: "60"}) == Settings()

    [sentence] = retired_settings({name: "60", "PATH": "/bin"})

    assert sentence.startswith(f"{name} has no effect")
    assert retired_settings({name: ""}) == retired_settings({}) == []


def test_a_name_that_never_was_a_setting_is_refused() -> None:
    with pytest.raises(SettingsError, match="CHATKEEP_OPENAI_RETRY_MINUTES"):
        Settings.from_env({"CHATKEEP_OPENAI_RETRY_MINUTES": "1"})


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("CHATKEEP_PORT", "8000", "chatkeep serve --port"),
        ("CHATKEEP_WORKERS", "4", "chatkeep serve --workers"),
        ("CHATKEEP_JWTSECRET", "x", "did you mean CHATKEEP_JWT_SECRET"),
        ("CHATKEEP_DATABASE", "x", "table in the README"),
        ("CHATKEEP_SERVICE_KEY", "x", "did you mean CHATKEEP_SERVICE_KEYS"),
        ("CHATKEEP_PORT_8000", "x", "table in the README"),
    ],
)
def test_a_name_that_is_no_setting_leads_to_what_was_meant(
    name: str, value: str, hint: str
) -> None:
    with pytest.raises(SettingsError, match=f"^{name}: unknown setting.*{re.escape(hint)}"):
        Settings.from_env({name: value})


def test_all_names_that_are_no_settings_are_told_at_once() -> None:
    with pytest.raises(SettingsError, match=r"CHATKEEP_ONE: unknown .* CHATKEEP_TWO: unknown "):
        Settings.from_env({"CHATKEEP_TWO": "2", "CHATKEEP_ONE": "1"})


@pytest.mark.parametrize("service", ["CHATKEEP", "CHATKEEP_API"])
def test_what_kubernetes_says_of_a_service_of_this_name_is_passed_over(service: str) -> None:
    links = {
        f"{service}_SERVICE_HOST": "10.96.0.12",
        f"{service}_SERVICE_PORT": "80",
        f"{service}_SERVICE_PORT_HTTP": "80",
        f"{service}_PORT": "tcp://10.96.0.12:80",
        f"{service}_PORT_80_TCP": "tcp://10.96.0.12:80",
        f"{service}_PORT_80_TCP_PROTO": "tcp",
        f"{service}_PORT_80_TCP_PORT": "80",
        f"{service}_PORT_80_TCP_ADDR": "10.96.0.12",
        f"{service}_PORT_53_UDP": "udp://10.96.0.12:53",
    }
    assert Settings.from_env(links | {"CHATKEEP_MAX_PAGE": "7"}) == Settings(max_page=7)


@pytest.mark.parametrize(
    ("texts", "value"),
    [
        (["true", "True", "yes", "YES", "on", "1", " on "], True),
        (["false", "FALSE", "no", "No", "off", "0"], False),
    ],
)
def test_a_switch_is_said_in_the_usual_words(texts: list[str], *, value: bool) -> None:
    for text in texts:
        assert Settings.from_env({"CHATKEEP_PROVISION_USERS": text}).provision_users is value


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("PROVISION_USERS", "nope", "'nope' is not a boolean; use true, yes, on"),
        ("ACCESS_LOG", "2", "'2' is not a boolean"),
        ("MAX_PAGE", "many", "'many' is not a whole number; use digits only"),
        ("MAX_PAGE", "-1", "'-1' is not a whole number"),
        ("MAX_PAGE", "1.5", "'1.5' is not a whole number"),
        ("MAX_PAGE", "1,000", "'1,000' is not a whole number"),
        ("MAX_PAGE", "9" * 16, "is not a whole number"),
        ("MAX_BODY_BYTES", "2 megs", "'2 megs' is not a size; use one such as 512MB"),
        ("DELETE_AFTER", "1y", "'1y' is not a valid duration"),
        ("LOG_FORMAT", "xml", "'xml' is not one of console, json"),
        ("JWKS_URL", "ftp://issuer.example/x", "not an http or https URL"),
        ("JWKS_URL", "https:///jwks", "not an http or https URL"),
        ("JWKS_URL", "https://[issuer/jwks", "not an http or https URL"),
        ("JWKS_URL", "https://issuer.example:port/", "not an http or https URL"),
    ],
)
def test_a_value_that_does_not_fit_is_told_with_one_that_does(
    name: str, text: str, said: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.from_env({f"CHATKEEP_{name}": text})
    assert str(refused.value).startswith(f"CHATKEEP_{name}: ")
    assert said in str(refused.value)


@pytest.mark.parametrize("name", ["CHATKEEP_JWT_SECRET", "CHATKEEP_SERVICE_KEYS"])
def test_a_secret_that_is_too_short_is_not_shown(name: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name}: too short: it has 9 .*make") as refused:
        Settings.from_env({name: "swordfish"})
    assert "swordfish" not in str(refused.value)


def test_what_a_setting_demands_is_said_by_its_reader() -> None:
    """The environment is read without msgspec: a constraint in an annotation would do nothing."""
    described = msgspec.inspect.type_info(Settings)
    assert isinstance(described, msgspec.inspect.StructType)
    for field in described.fields:
        assert isinstance(field.type, msgspec.inspect.Metadata)
        constraints = {"gt", "ge", "lt", "le", "multiple_of", "pattern", "min_length", "max_length"}
        assert not [
            name for name in constraints if getattr(field.type.type, name, None) is not None
        ]


def test_every_number_of_bytes_may_be_given_in_larger_units() -> None:
    for field in msgspec.structs.fields(Settings):
        if field.name.endswith("_bytes"):
            given = Settings.from_env({f"CHATKEEP_{field.name.upper()}": "2 MiB"})
            assert getattr(given, field.name) == 2 * 1024 * 1024


def test_every_setting_can_be_given_as_its_default_is_written() -> None:
    """No setting is of a type that the environment has no way to say."""
    for field in msgspec.structs.fields(Settings):
        if field.default not in ("", ()):
            text = str(field.default)
            assert Settings.from_env({f"CHATKEEP_{field.name.upper()}": text}) == Settings()


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("https://app.example", "https://app.example"),
        ("https://app.example/", "https://app.example"),
        ("HTTPS://App.Example", "https://app.example"),
        ("https://app.example:443", "https://app.example"),
        ("http://app.example:80/", "http://app.example"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("capacitor://localhost", "capacitor://localhost"),
        ("https://*.app.example", "https://*.app.example"),
        ("http://localhost:*", "http://localhost:*"),
        ("*", "*"),
    ],
)
def test_an_origin_is_read_as_browsers_send_it(given: str, sent: str) -> None:
    assert Settings.from_env({"CHATKEEP_CORS_ORIGINS": given}).cors_origins == (sent,)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("app.example", "has no scheme"),
        ("localhost:3000", "has no scheme"),
        ("null", "has no scheme"),
        ("https://app.example/chat", "has a path"),
        ("https://app.example?x", "has a path"),
        ("https://app.example//", "has a path"),
        ("https://", "has no scheme"),
        ("https://user@app.example", "is not an origin"),
        ("https://app.example:port", "is not an origin"),
        ("https://*", "is not an origin"),
        ("https://app.*", "is not an origin"),
        ("http*://app.example", "is not an origin"),
        ("https://a b.example", "is not an origin"),
        ('"https://app.example"', "is not an origin"),
    ],
)
def test_what_no_browser_sends_as_its_origin_is_refused(given: str, said: str) -> None:
    with pytest.raises(SettingsError, match=f"^CHATKEEP_CORS_ORIGINS: .*{said}"):
        Settings.from_env({"CHATKEEP_CORS_ORIGINS": f"https://fine.example, {given}"})
