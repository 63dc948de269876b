"""Addresses of servers, which may hold passwords: kept as they are, shown without.

An address is parsed, and only the parts that are known to be harmless are shown. Of an address that
cannot be parsed nothing is shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any, final
from urllib.parse import unquote, urlsplit

from skmetric._optional import import_optional

HIDDEN = "***"
_SECRET = ("password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key")
# of libpq, the parameters that are shown, where their values look like what they should be
_SHOWN = {
    "host": r"[\w.,:/~ -]+",
    "hostaddr": r"[\w.,: ]+",
    "port": r"[\d, ]+",
    "dbname": r"[\w. -]+",
    "user": r"[\w. -]+",
    "service": r"[\w. -]+",
    "application_name": r"[\w. -]+",
    "connect_timeout": r"\d+",
    "sslmode": r"[\w-]+",
    "target_session_attrs": r"[\w-]+",
    "client_encoding": r"[\w-]+",
    "options": r"[\w.=\\ -]+",
}
_STRICT = (
    "port",
    "connect_timeout",
    "sslmode",
    "target_session_attrs",
    "client_encoding",
)  # have no other values


@final
class Address(str):
    """Text that a ``repr`` shows without its secrets, as scikit-learn prints parameters."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(masked(str(self)))


@final
class Uri(str):
    """An address of Milvus that a ``repr`` shows without its secrets."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(masked_uri(str(self)))


@final
class Token(str):
    """Text that a ``repr`` does not show."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(HIDDEN)


def hide(params: dict[str, Any], **kinds: type[Address] | type[Uri] | type[Token]) -> dict[str, Any]:
    """Parameters whose secrets are wrapped: ``get_params`` gives these to ``repr``, HTML and ``clone``."""
    for name, kind in kinds.items():
        value = params[name]
        if isinstance(value, bytes):
            value = value.decode(errors="replace")
        if isinstance(value, str) and not isinstance(value, kind):
            params[name] = kind(value)
    return params


def masked(address: str) -> str:
    """A connection string of PostgreSQL without its secrets; `HIDDEN` alone where it cannot be parsed."""
    if find_spec("psycopg") is None:
        return HIDDEN
    try:
        parts = parse_conninfo(address)
    except (ValueError, ImportError):
        return HIDDEN
    at = {
        name: address.find(name) for name in parts
    }  # in the order in which they were given, where they were
    shown = [f"{name}={_shown(name, parts[name])}" for name in sorted(parts, key=lambda name: at[name])]
    return " ".join(shown)


def _shown(name: str, value: str) -> str:
    if is_secret(name, value) or not re.fullmatch(_SHOWN.get(name, ""), value):
        return HIDDEN
    return f"'{value}'" if " " in value else value


def shown_host(parts: dict[str, str], default: str) -> str:
    """The host of a parsed connection string, for messages."""
    name = "host" if parts.get("host") else "hostaddr"
    return _shown(name, parts[name]).strip("'") if parts.get(name) else default


def without_secrets(conninfo: str) -> str:
    """A connection string of PostgreSQL without its secrets, for a pickle or a folder."""
    if not str(conninfo).strip():
        return str(conninfo)
    parts = parse_conninfo(conninfo)
    if not secrets_of(parts) and "://" not in str(conninfo):
        return str(conninfo)
    info = import_optional("psycopg.conninfo", extra="pgvector", purpose="PgVectorIndex")
    return info.make_conninfo("", **{name: part for name, part in parts.items() if not is_secret(name, part)})


def secrets_of(parts: dict[str, str]) -> list[str]:
    """What must not be repeated of a parsed connection string."""
    return [value for name, value in parts.items() if value and is_secret(name, value)]


def is_secret(name: str, value: str) -> bool:
    """Whether a part of a connection string is secret, or has a secret that stands in the wrong place."""
    if name == "options":
        return re.search("pass|secret|token|key", value, re.IGNORECASE) is not None
    if name in ("host", "hostaddr", "port") and "@" in value[1:]:  # a socket without a file begins with one
        return True
    if name in _STRICT and not re.fullmatch(_SHOWN[name], value.removeprefix("@")):
        return True
    if name in _SHOWN and ("=" in value or ";" in value):  # "host=db;password=..." is one value to libpq
        return True
    return name in _SECRET or (name == "dbname" and "://" in value) or (name == "user" and ":" in value)


def parse_conninfo(conninfo: str) -> dict[str, str]:
    """The parts of a connection string by libpq's own parser; an error that does not repeat them."""
    psycopg = import_optional("psycopg", extra="pgvector", purpose="PgVectorIndex")
    fault = _fault_of_uri(str(conninfo))
    if "\0" in str(conninfo):  # libpq reads up to there
        fault = " (it has a NUL character)"
    if fault is None:
        try:
            return psycopg.conninfo.conninfo_to_dict(str(conninfo))
        except (
            psycopg.Error,
            UnicodeError,
            ValueError,
        ):  # these repeat the part at fault, which may be secret
            fault = ""
    raise ValueError(
        f"conninfo is no connection string of PostgreSQL{fault}: give 'host=... dbname=... user=...' or "
        "'postgresql://user@host/dbname', and the password by PGPASSWORD or a password file"
    )


def _fault_of_uri(address: str) -> str | None:
    """What is wrong with a URI that libpq reads otherwise than was meant: it cuts a password in two."""
    scheme, mark, rest = address.partition("://")
    if not mark or scheme.strip() not in ("postgresql", "postgres"):
        return None
    authority, path = re.match(r"([^/?]*)([^?]*)", rest).groups()  # type: ignore[union-attr]
    if authority.count("@") > 1 or "@" in path:
        return " (write @ and / of a user or a password as %40 and %2F)"
    return None


def masked_uri(uri: str) -> str:
    """An address of Milvus, or the path of its file, without user, password and query."""
    if "://" not in uri:
        return uri if uri.endswith(".db") and "@" not in uri else HIDDEN
    try:
        parts = urlsplit(uri.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        return HIDDEN
    if not host or "@" in parts.path or not re.fullmatch(r"[\w.:-]+", host):
        return HIDDEN
    user = f"{HIDDEN}@" if "@" in parts.netloc else ""
    host = f"[{host}]" if ":" in host else host
    rest = f":{port}" * (port is not None) + parts.path + f"?{HIDDEN}" * bool(parts.query or parts.fragment)
    return f"{parts.scheme}://{user}{host}{rest}"


def bare_uri(uri: str) -> str:
    """An address of Milvus without its secrets, for a pickle or a folder: the rest of it works as it is."""
    return re.sub(r"\*\*\*@|\?\*\*\*$", "", masked_uri(uri))


def split_uri(uri: str, token: str | None) -> tuple[str, str]:
    """An address of Milvus for the client, and the token, which may stand in it as ``user:password@``."""
    if "://" not in uri:
        if not uri.endswith(".db"):
            raise ValueError("uri must be a file that ends in '.db' or an address, 'https://host:19530'")
        return uri, token or ""
    if masked_uri(uri) == HIDDEN:
        raise ValueError(
            "uri is no address of Milvus: give 'https://host:19530', and user and password by "
            "token='user:password' (in a uri, write @ and / of a password as %40 and %2F)"
        )
    parts = urlsplit(uri.strip())
    if parts.username is not None and not token:
        token = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl(), token or ""


def secrets_of_uri(uri: str, token: str | None) -> list[str]:
    """What must not be repeated of an address of Milvus and its token."""
    found = [token, (token or "").partition(":")[2]]
    if "://" in uri:
        user, mark, password = uri.partition("://")[2].rpartition("@")[0].partition(":")
        found += [password, unquote(password)] if mark else [user]
        found.append(uri.partition("?")[2])
    return [secret for secret in found if secret]


def scrub(error: BaseException, secrets: Iterable[str]) -> None:
    """Take secrets out of the texts of a driver's error and of the errors that it came from."""
    secrets = sorted({secret for secret in secrets if secret}, key=len, reverse=True)
    chain: list[BaseException] = []
    found: BaseException | None = error
    while found is not None and found not in chain and secrets:
        chain.append(found)
        found = found.__cause__ or found.__context__
    for one in reversed(chain):
        one.args = tuple(without(secrets, part) for part in one.args)
        for name, value in vars(one).items():
            is_connection = name == "_pgconn"  # of psycopg's errors: it shows the password that it used
            setattr(one, name, None if is_connection else without(secrets, value))
        before = one.__cause__, one.__context__  # cleaned already, but where a text is made of something else
        if any(secret in str(other) for other in before if other is not None for secret in secrets):
            one.__cause__ = one.__context__ = None


def without(secrets: Iterable[str], part: Any) -> Any:
    """A text in which secrets are hidden; anything else as it is."""
    if isinstance(part, str):
        for secret in secrets:
            part = part.replace(secret, HIDDEN)
    return part
