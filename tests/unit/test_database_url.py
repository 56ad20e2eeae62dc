"""What a person may paste as the database URL, and what asyncpg is told."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import example, given
from hypothesis import strategies as st

from chatkeep.adapters.database_url import DatabaseUrlError, parse_database_url

HOST = "ep-cool-darkness-123456.us-east-2.aws.neon.tech"
POOLED_HOST = "ep-cool-darkness-123456-pooler.us-east-2.aws.neon.tech"
NEON = f"postgresql://alex:npg_a%40b@{HOST}/neondb"
POOLED = f"postgresql://alex:npg_a%40b@{POOLED_HOST}/neondb"
PLAIN = "postgresql://alex:secret@db.example.com/app"

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
awkward = st.lists(
    st.sampled_from([*"@:/?#&=%[]+;'\" ", "%40", "%ff", "a", "x=1", "user=b", "@h/d?a=", "é"]),
    max_size=8,
).map("".join)


def tls_of(text: str) -> object:
    return parse_database_url(text).connect_args["ssl"]


def context_of(text: str) -> ssl.SSLContext:
    context = tls_of(text)
    assert isinstance(context, ssl.SSLContext)
    return context


def message_for(text: str) -> str:
    with pytest.raises(DatabaseUrlError) as refused:
        parse_database_url(text)
    return str(refused.value)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a self-signed certificate, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("certificate") / "test.pem"
    path.write_bytes(
        built.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


@pytest.mark.parametrize(
    "text",
    [
        NEON,
        f"{NEON}?sslmode=require&channel_binding=require",
        f"{NEON}?sslmode=require&amp;channel_binding=require",
        f"{NEON}?sslmode=disable",
        f"{NEON}?options=endpoint%3Dep-cool-darkness-123456",
        f"{NEON}?options=project%3Dep-cool-darkness-123456&sslmode=verify-full",
        f"{NEON}?sslmode=verify-full&sslrootcert=system",
        f"{NEON}?connect_timeout=15&pgbouncer=true&schema=public",
        f"{NEON}/",
        NEON.replace("postgresql://", "postgres://"),
        NEON.replace("postgresql://", "PostgreSQL://"),
        NEON.replace("postgresql://", "postgresql+asyncpg://") + "?ssl=require",
        NEON.replace("postgresql://", "postgresql+psycopg2://") + "?sslmode=require",
        f"jdbc:postgresql://{HOST}/neondb?user=alex&password=npg_a%40b&sslmode=require",
        NEON.replace(HOST, HOST.upper()),
        NEON.replace(HOST, f"{HOST}.:5432"),
        f"  {NEON}\n",
        f"'{NEON}'",
        f'"{NEON}"',
        f"psql '{NEON}?sslmode=require'",
        f'psql "{NEON}"',
        f"psql {NEON}",
        f"psql -d '{NEON}'",
        f"DATABASE_URL={NEON}",
        f"DATABASE_URL='{NEON}'",
        f'export DATABASE_URL="{NEON}";',
        f"DATABASE_URL_UNPOOLED = {NEON}\r\n",
        f"database_url: '{NEON}'",
        f'$env:DATABASE_URL = "{NEON}"',
    ],
)
def test_every_form_of_a_neon_url_says_the_same(text: str) -> None:
    url = parse_database_url(text)
    args = dict(url.connect_args)
    context = args.pop("ssl")
    assert args == {
        "host": HOST,
        "port": 5432,
        "user": "alex",
        "password": "npg_a@b",
        "database": "neondb",
        "server_settings": {"application_name": "chatkeep"},
    }
    assert url.neon
    assert not url.pooled
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def test_a_neon_pooled_url_goes_without_the_statement_cache() -> None:
    url = parse_database_url(POOLED)
    assert url.pooled
    assert url.connect_args["host"] == POOLED_HOST
    assert url.connect_args["statement_cache_size"] == 0


def test_the_direct_url_of_a_pooled_one_is_what_neon_gives_without_the_pooler() -> None:
    direct = parse_database_url(POOLED).direct()
    given = parse_database_url(NEON)
    assert (direct.pooled, direct.neon) == (False, True)
    assert direct.connect_args | {"ssl": None} == given.connect_args | {"ssl": None}
    assert isinstance(direct.connect_args["ssl"], ssl.SSLContext)


@pytest.mark.parametrize("text", [NEON, PLAIN, f"{PLAIN}?pgbouncer=true"])
def test_a_url_without_neons_pooler_is_its_own_direct_url(text: str) -> None:
    url = parse_database_url(text)
    assert url.direct() is url


@pytest.mark.parametrize(
    "sign", ["pgbouncer=true", "statement_cache_size=0", "prepared_statement_cache_size=0"]
)
def test_elsewhere_a_pooler_is_known_by_what_other_drivers_need_to_be_told(sign: str) -> None:
    url = parse_database_url(f"{PLAIN}?{sign}&options=-c%20work_mem%3D8MB&application_name=mine")
    assert url.pooled
    assert not url.neon
    assert url.connect_args["statement_cache_size"] == 0
    assert url.connect_args["server_settings"] == {"application_name": "mine"}
    assert url.ignored == ("options",)


def test_a_host_elsewhere_that_ends_in_pooler_is_not_taken_for_one() -> None:
    assert not parse_database_url("postgresql://u:p@my-pooler.example.com/app").pooled


def test_a_host_that_only_contains_neons_name_is_not_neon() -> None:
    assert not parse_database_url("postgresql://u:p@ep-a.neon.tech.example.com/app").neon


def test_pgbouncer_false_is_no_pooler() -> None:
    url = parse_database_url(f"{PLAIN}?pgbouncer=false")
    assert not url.pooled
    assert url.ignored == ("pgbouncer",)


def test_dropped_parameters_are_named() -> None:
    url = parse_database_url(
        f"{NEON}?sslmode=require&schema=public&channel_binding=require&connect_timeout=10"
    )
    assert url.ignored == ("channel_binding", "connect_timeout")


@pytest.mark.parametrize(
    ("query", "settings"),
    [
        ("", {}),
        ("?application_name=bot", {"application_name": "bot"}),
        ("?options=-c%20search_path%3Dchat", {"options": "-c search_path=chat"}),
        (
            "?search_path=chat&statement_timeout=5s",
            {"search_path": "chat", "statement_timeout": "5s"},
        ),
        ("?schema=public", {}),
        ('?schema=our"chat', {"search_path": '"our""chat"'}),
        ("?currentSchema=chat,public", {"search_path": "chat,public"}),
        ("?schema=other&search_path=chat", {"search_path": "chat"}),
    ],
)
def test_elsewhere_the_session_is_set_up_as_the_url_asks(
    query: str, settings: dict[str, str]
) -> None:
    url = parse_database_url(PLAIN + query)
    assert url.connect_args["server_settings"] == {"application_name": "chatkeep"} | settings
    assert url.ignored == ()


def test_neon_gets_the_options_but_for_the_endpoint_that_the_host_names() -> None:
    url = parse_database_url(
        f"{NEON}?options=endpoint%3Dep-cool-darkness-123456%20-c%20statement_timeout%3D5s"
        "&lock_timeout=1s"
    )
    assert url.connect_args["server_settings"] == {
        "application_name": "chatkeep",
        "options": "-c statement_timeout=5s",
    }
    assert url.ignored == ("lock_timeout",)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "prefer"),
        ("?sslmode=disable", False),
        ("?sslmode=allow", "allow"),
        ("?sslmode=prefer", "prefer"),
        ("?sslmode=require", "require"),
        ("?ssl=require", "require"),
        ("?ssl=true", "require"),
        ("?ssl=no-verify", "require"),
        ("?ssl=false", False),
        ("?ssl=true&sslmode=disable", False),
    ],
)
def test_elsewhere_the_certificate_is_not_checked_unless_asked(
    query: str, expected: object
) -> None:
    assert tls_of(PLAIN + query) == expected


@pytest.mark.parametrize(
    ("query", "checks_host"),
    [
        ("sslmode=verify-ca", False),
        ("sslmode=verify-full", True),
        ("sslmode=verify_full", True),
        ("ssl=verify-full", True),
        ("sslrootcert=system", True),
        ("sslmode=require&sslrootcert=system", True),
    ],
)
def test_the_certificate_is_checked_when_asked(query: str, checks_host: bool) -> None:  # noqa: FBT001 - parametrised
    context = context_of(f"{PLAIN}?{query}")
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname is checks_host


@pytest.mark.parametrize(
    ("url", "sslmode", "checks_host"),
    [
        (PLAIN, "require", False),
        (PLAIN, "verify-ca", False),
        (PLAIN, "verify-full", True),
        (NEON, "require", True),
    ],
)
def test_only_the_authorities_of_sslrootcert_are_trusted(
    url: str,
    sslmode: str,
    checks_host: bool,  # noqa: FBT001 - parametrised
    certificate: Path,
) -> None:
    context = context_of(f"{url}?sslmode={sslmode}&sslrootcert={certificate}")
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname is checks_host
    assert [ca["serialNumber"] for ca in context.get_ca_certs()] == ["01"]


def test_a_client_certificate_is_loaded(certificate: Path) -> None:
    url = parse_database_url(f"{PLAIN}?sslmode=require&sslcert={certificate}&sslkey={certificate}")
    context = url.connect_args["ssl"]
    assert isinstance(context, ssl.SSLContext)
    assert context.verify_mode is ssl.CERT_NONE
    assert url.ignored == ()


@pytest.mark.parametrize(
    "query", ["sslmode=verify-ca&sslrootcert=/nowhere.pem", "sslcert=/nowhere.pem"]
)
def test_a_certificate_file_that_cannot_be_loaded_is_refused(query: str) -> None:
    assert "No such file" in message_for(f"{PLAIN}?{query}")


def test_a_file_that_is_no_certificate_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").touch()
    assert "sslrootcert" in message_for(
        f"{PLAIN}?sslmode=verify-full&sslrootcert={tmp_path}/empty.pem"
    )


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://alex@/app?host=%2Fvar%2Frun%2Fchat%20keep",
        "postgresql://alex@/app?host=/var/run/chat%20keep",
        "postgresql://alex@%2Fvar%2Frun%2Fchat%20keep/app",
        "postgresql:///app?host=/var/run/chat%20keep&user=alex",
        "postgresql://alex@localhost/app?host=/var/run/chat%20keep&sslmode=require",
    ],
)
def test_a_unix_socket_is_a_host_that_starts_with_a_slash(text: str) -> None:
    url = parse_database_url(text)
    assert url.connect_args["host"] == "/var/run/chat keep"
    assert url.connect_args["port"] == 5432
    assert url.connect_args["ssl"] is False
    assert str(url) == "postgresql://alex@/app?host=%2Fvar%2Frun%2Fchat%20keep"


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("postgresql://u:p@[::1]/app", "::1", 5432),
        ("postgresql://u:p@[2001:db8::7]:6432/app", "2001:db8::7", 6432),
        ("postgresql://u:p@127.0.0.1:1/app", "127.0.0.1", 1),
        ("postgresql://u:p@my_db:65535/app", "my_db", 65535),
        ("postgresql://u:p@h:/app", "h", 5432),
        ("postgresql://u:p@h/app?port=6432", "h", 6432),
        ("postgresql://u:p@DB.Example.ORG./app", "db.example.org", 5432),
        ("postgresql://u:p@caf\u00e9.example/app", "xn--caf-dma.example", 5432),
        ("postgresql://u:p@[fe80::1%25eth0]/app", "fe80::1%eth0", 5432),
    ],
)
def test_host_and_port_in_all_their_forms(text: str, host: str, port: int) -> None:
    url = parse_database_url(text)
    assert (url.connect_args["host"], url.connect_args["port"]) == (host, port)
    assert parse_database_url(str(url)).connect_args["host"] == host


def test_user_and_database_are_decoded() -> None:
    url = parse_database_url("postgresql://al%40ex:p%2Fw@h/my%2Fapp%C3%A9")
    assert url.connect_args["user"] == "al@ex"
    assert url.connect_args["password"] == "p/w"
    assert url.connect_args["database"] == "my/appé"
    assert str(url) == "postgresql://al%40ex@h:5432/my%2Fapp%C3%A9"


@pytest.mark.parametrize("text", ["postgresql://alex@h/app", "postgresql://alex:@h/app"])
def test_a_missing_password_is_none(text: str) -> None:
    assert parse_database_url(text).connect_args["password"] is None


@pytest.mark.parametrize(
    "password",
    ["p@ss", "p/w", "p?w", "p#w", "p:w", "50%", "50%off", "a b", "[x]", "x@y/z", "a+b", "c'd", "@"],
)
def test_special_characters_of_a_password_need_no_encoding(password: str) -> None:
    for text in (
        f"postgresql://alex:{password}@db.example.com:5432/app?sslmode=require",
        f"postgresql://alex:{password}@db.example.com/app",
    ):
        args = parse_database_url(text).connect_args
        assert (args["user"], args["password"]) == ("alex", password)
        assert (args["host"], args["database"]) == ("db.example.com", "app")


def test_an_at_sign_in_a_user_or_a_parameter_is_understood() -> None:
    args = parse_database_url("postgresql://alex@server:pw@h/app?application_name=a@b").connect_args
    assert (args["user"], args["password"]) == ("alex@server", "pw")
    assert args["server_settings"] == {"application_name": "a@b"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("mysql://u:hush@h/app", "postgresql://"),
        ("sqlite+postgresql://u:hush@h/app", "postgresql://"),
        ("https://u:hush@ep-a.neon.tech/sql", "postgresql://"),
        ("host=h user=u password=hush", "postgresql://"),
        ("psql -h pg.neon.tech", "postgresql://"),
        ("postgresql://", "not of the form"),
        ("postgresql://u:hush@h/app#hush", "not of the form"),
        ("postgresql://u:hush@h/app?hush", "not of the form"),
        ("postgresql://u:hush@h /app", "not of the form"),
        ("postgresql://u:hush@::1/app", "needs brackets"),
        ("postgresql://u:hush@2001:db8::7/app", "needs brackets"),
        ("postgresql://u:hush@[::g]/app", "do not contain an IPv6 address"),
        ("postgresql://u:hush@[]/app", "do not contain an IPv6 address"),
        ("postgresql://u:hush@sta..ging.example.org/app", "not a valid host name"),
        ("postgresql://u:hush@.example.org/app", "not a valid host name"),
        (f"postgresql://u:hush@{'a' * 64}.example.org/app", "not a valid host name"),
        (f"postgresql://u:hush@{'a.' * 130}org/app", "not a valid host name"),
        ("postgresql://u:hush@caf\u00e9..example/app", "not a valid host name"),
        ("postgresql://u:hush@\u200b/app", "not a valid host name"),
        ("postgresql://u:hush@my%20host/app", "not a valid host name"),
        ("postgresql://u:hush@ho%00st/app", "UTF-8"),
        ("postgresql://u:hush@/app?host=var/run", "not a valid host name"),
        ("postgresql://u:hush@/app?host=@abstract", "not a valid host name"),
        ("postgresql://u:hush@h/app?schema=chat&pgbouncer=true", "search_path"),
        ("postgresql://u:hush@h/app?search_path=chat&pgbouncer=true", "search_path"),
        ("postgresql://u:hush@h/app?options=-csearch_path%3Dchat&pgbouncer=true", "search_path"),
        ("postgresql://u:hush@ep-a.eu.aws.neon.tech/app?schema=chat", "search_path"),
        ("postgresql://u:hush@h", "names no database"),
        ("postgresql://u:hush@h/", "names no database"),
        ("postgresql://u:hush@h?sslmode=require", "names no database"),
        ("postgresql://h/app", "names no user"),
        ("postgresql://:hush@h/app", "names no user"),
        ("postgresql://u:hush@/app", "names no host"),
        ("postgresql://u:hush@a,b/app", "several hosts"),
        ("postgresql://u:hush@a:1,b:2/app", "several hosts"),
        ("postgresql://u:hush@h:port/app", "port"),
        ("postgresql://u:hush@h:0/app", "port"),
        ("postgresql://u:hush@h:65536/app", "port"),
        ("postgresql://u:hush@h:-1/app", "port"),
        ("postgresql://u:hush@h:\u0661\u0662/app", "port"),
        ("postgresql://u:hush@h/app?sslmode=hush", "sslmode"),
        ("postgresql://u:hu\nsh@h/app", "line break"),
        ("postgresql://u:hush%00@h/app", "UTF-8"),
        ("postgresql://u:hush%ff@h/app", "UTF-8"),
        ("postgresql://u:hush\udcff@h/app", "UTF-8"),
        ("postgresql://u:********@h/app", "asterisks"),
        ("postgresql://u:hush@h/app?a=hush@h/app", "more than one way"),
    ],
)
def test_what_is_wrong_is_said_without_showing_the_url(text: str, says: str) -> None:
    message = message_for(text)
    assert says in message
    assert "hush" not in message


@given(password=texts)
@example(password="***")
@example(password="%41")
@example(password="'\"` ;")
def test_any_password_survives_being_encoded(password: str) -> None:
    url = parse_database_url(f"postgresql://alex:{quote(password, safe='')}@h/app")
    assert url.connect_args["password"] == password


@given(password=texts)
def test_what_a_url_shows_does_not_depend_on_its_password(password: str) -> None:
    def shown(secret: str) -> tuple[str, str]:
        url = parse_database_url(f"postgresql://alex:{quote(secret, safe='')}@h/app")
        return repr(url), str(url)

    assert shown(password) == shown("another")


@given(before=awkward, after=awkward)
@example(before="a@h/d?x=", after="")
@example(before="?user=b&dbname=c&x=", after="")
def test_an_unencoded_password_is_read_right_or_refused_in_silence(before: str, after: str) -> None:
    password = f"{before}hush-hush{after}"
    text = f"postgresql://alex:{password}@db.example.com/app"
    refusal: DatabaseUrlError | None = None
    try:
        url = parse_database_url(text)
    except DatabaseUrlError as error:
        refusal = error
    if refusal:
        assert "hush" not in str(refusal)
        assert refusal.__context__ is None
    else:
        assert url.connect_args["host"] == "db.example.com"
        assert url.connect_args["password"] == unquote(password)
        assert "hush" not in f"{url!r}{url}{url.ignored}"


def test_repr_says_what_a_log_should_say() -> None:
    url = parse_database_url(f"{POOLED}?channel_binding=require")
    assert repr(url) == (
        f"DatabaseUrl('postgresql://alex@{POOLED_HOST}:5432/neondb', pooled=True, neon=True, "
        "ignored=('channel_binding',))"
    )
    assert str(url.direct()) == f"postgresql://alex@{HOST}:5432/neondb"
