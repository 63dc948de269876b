"""Addresses of servers, which may hold passwords: kept as they are, shown without."""

import re
from typing import final

from skmetric._optional import import_optional

HIDDEN = "***"
_SECRET = ("password", "sslpassword")


@final
class Address(str):
    """Text that a ``repr`` shows without its password, as scikit-learn prints parameters."""

    __slots__ = ()

    def __repr__(self):
        return repr(masked(str(self)))


@final
class Token(str):
    """Text that a ``repr`` does not show."""

    __slots__ = ()

    def __repr__(self):
        return repr(HIDDEN)


def hide(params, **kinds):
    """Parameters whose secrets are wrapped: ``get_params`` gives these to ``repr``, HTML and ``clone``."""
    for name, kind in kinds.items():
        if type(params[name]) is str:
            params[name] = kind(params[name])
    return params


def masked(address):
    """An address with its password replaced."""
    if re.match(r"\w+://", address):
        address = re.sub(r"(?<=://)([^/@:]*):[^/]*@", rf"\1:{HIDDEN}@", address)
        return re.sub(r"((?:ssl)?password=)[^&]*", rf"\1{HIDDEN}", address)
    return re.sub(
        r"((?:ssl)?password\s*=\s*)('(?:\\.|[^'\\])*('|$)|(?:\\.|[^\s\\])*)", rf"\1{HIDDEN}", address
    )


def without_password(conninfo):
    """A connection string of PostgreSQL without its passwords, for a pickle."""
    if "password" not in conninfo and "://" not in conninfo:
        return str(conninfo)
    info = import_optional("psycopg.conninfo", extra="pgvector", purpose="PgVectorIndex")
    parts = parse_conninfo(conninfo)
    return info.make_conninfo("", **{name: part for name, part in parts.items() if name not in _SECRET})


def parse_conninfo(conninfo):
    """The parts of a connection string; an error that does not repeat them."""
    psycopg = import_optional("psycopg", extra="pgvector", purpose="PgVectorIndex")
    try:
        return psycopg.conninfo.conninfo_to_dict(str(conninfo))
    except psycopg.ProgrammingError:  # its message repeats the part at fault, which may be the password
        raise ValueError(
            "conninfo is no connection string of PostgreSQL: give 'host=... dbname=... user=...' or "
            "'postgresql://user@host/dbname'"
        ) from None
