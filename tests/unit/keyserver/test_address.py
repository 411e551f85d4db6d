"""Keyserver URLs: four schemes, one spelling, errors that say what was expected."""

from __future__ import annotations

import pytest

from trustgraph.errors import ConfigurationError
from trustgraph.keyserver.address import parse_server


@pytest.mark.parametrize(
    ("value", "base"),
    [
        ("hkp://keys.example.org", "http://keys.example.org:11371"),
        ("hkp://keys.example.org:80", "http://keys.example.org:80"),
        ("hkps://keys.example.org", "https://keys.example.org:443"),
        ("hkps://keys.example.org:8443/", "https://keys.example.org:8443"),
        ("http://127.0.0.1:11371", "http://127.0.0.1:11371"),
        ("HTTP://Keys.Example.ORG", "http://keys.example.org:80"),
        ("https://keys.example.org/sub/path/", "https://keys.example.org:443/sub/path"),
        ("hkp://[::1]", "http://[::1]:11371"),
        ("hkp://localhost", "http://localhost:11371"),
        ("http://keys.example.org:", "http://keys.example.org:80"),
    ],
)
def test_one_spelling(value: str, base: str) -> None:
    assert parse_server(value) == base
    assert parse_server(base) == base


@pytest.mark.parametrize(
    "value",
    [
        "",
        "keys.example.org",
        "ldap://keys.example.org",
        "file:///etc/passwd",
        "hkp:",
        "hkp://",
        "hkp:///pks",
        "hkp://keys.example.org:0",
        "hkp://keys.example.org:65536",
        "hkp://keys.example.org:port",
        "hkp://-keys.example.org",
        "hkp://keys..example.org",
        "hkp://keys.example.org/a b",
        "hkp://keys.example.org/?op=get",
        "hkp://keys.example.org?",
        "hkp://keys.example.org#x",
        "hkp://keys.example.org/%2e%2e",
        "hkp://schlüssel.example.org",
        "hkp://keys.example.org\n",
        "hkp://[::1",
        "hkp://[::1%25eth0]",
        "hkp://[zz]",
        "https://keys.example.org//double",
    ],
)
def test_what_is_refused_is_named(value: str) -> None:
    with pytest.raises(ConfigurationError, match="expected") as caught:
        parse_server(value)
    assert repr(value) in str(caught.value)


def test_a_password_is_refused_and_not_shown() -> None:
    with pytest.raises(ConfigurationError, match="passwords are not supported") as caught:
        parse_server("https://me:hunter2@keys.example.org")
    assert "hunter2" not in str(caught.value)
    with pytest.raises(ConfigurationError) as caught:
        parse_server("https://me:hunter2@keys.example.org:0")
    assert "hunter2" not in str(caught.value)


def test_a_long_value_is_cut() -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_server("x" * 10_000)
    assert len(str(caught.value)) < 400
