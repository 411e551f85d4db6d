"""Where a keyserver is: the URLs that an operator writes. Pure."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from trustgraph.errors import ConfigurationError

#: Scheme as written to scheme as spoken and the port that goes without saying (draft-shaw-openpgp-hkp-00 section 2).
_SCHEMES = {"hkp": ("http", 11371), "hkps": ("https", 443), "http": ("http", 80), "https": ("https", 443)}
_HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9])?\.?")
_PATH = re.compile(r"(/[A-Za-z0-9._~-]{1,200}){0,20}")


def parse_server(value: str) -> str:
    """The base of a keyserver's HTTP URLs, such as ``https://keys.example.org:443``, without a slash at its end.

    Raises :class:`ConfigurationError` naming the value and what was expected.
    """
    shown = repr(value[:120])
    expected = "expected a URL such as hkps://keys.example.org or hkp://127.0.0.1:11371"
    if not value.isascii() or not value.isprintable() or " " in value:
        raise ConfigurationError(f"keyserver {shown}: {expected}, in printable ASCII (names in their xn-- form)")
    try:
        url = urlsplit(value)
        host, port = url.hostname or "", url.port
    except ValueError:
        raise ConfigurationError(f"keyserver {shown}: {expected}, with a port from 1 to 65535 if any") from None
    if url.scheme not in _SCHEMES:
        raise ConfigurationError(f"keyserver {shown}: {expected}; the schemes are {', '.join(_SCHEMES)}")
    if "@" in url.netloc:
        # not shown: it may hold a password
        raise ConfigurationError(f"keyserver at {host}: user names and passwords are not supported; {expected}")
    if "?" in value or "#" in value:
        raise ConfigurationError(f"keyserver {shown}: {expected}, without a query or fragment")
    if port == 0 or not _is_host(host):
        raise ConfigurationError(f"keyserver {shown}: {expected}, with a host name or an address and a port above 0")
    path = url.path.rstrip("/")
    if not _PATH.fullmatch(path):
        raise ConfigurationError(f"keyserver {shown}: {expected}, with a path of letters, digits and ._~- if any")
    scheme, usual_port = _SCHEMES[url.scheme]
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port or usual_port}{path}"


def _is_host(host: str) -> bool:
    if ":" not in host:
        return ".." not in host and bool(_HOST.fullmatch(host))
    try:
        return ipaddress.IPv6Address(host).scope_id is None
    except ValueError:
        return False
