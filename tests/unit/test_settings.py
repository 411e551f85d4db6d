"""Settings: read once, checked whole, and every error says which file, which key and what was expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from trustgraph.errors import ConfigurationError, NoInput
from trustgraph.settings import Settings, load_settings, parse_duration

EXAMPLE = """
[site]
hostname = "MX1.example.org"
authserv_id = "mx1.example.org"
[database]
url = "sqlite:////var/lib/trustgraph/trustgraph.db"
[hostkey]
path = "/etc/trustgraph/hostkey.pgp"
passphrase_file = ""
[keyservers]
urls = ["hkps://keys1.example", "hkps://keys2.example"]
positive_ttl = "24h"
negative_ttl = "15m"
stale_limit = "7d"
timeout = "5s"
[anchors]
"openpgp:0123456789ABCDEF0123456789abcdef01234567" = 1.0
[policy]
profile = "transition"
accept = 0.5
refuse = 0.1
quorum = 3
on_unreachable = "tempfail"
[milter]
listen = "unix:/run/trustgraph/milter.sock"
mode = "both"
workers = 2
internal_hosts = ["127.0.0.0/8", "::1"]
signature_mode = "message"
[ingest]
authserv_ids = ["mx1.example.org"]
"""


def load(tmp_path: Path, text: str, **environment: str) -> Settings:
    (tmp_path / "trustgraph.toml").write_text(text)
    return load_settings(tmp_path / "trustgraph.toml", environment)


def test_the_documented_example_is_taken_whole(tmp_path: Path) -> None:
    settings = load(tmp_path, EXAMPLE)
    assert settings.site.hostname == "mx1.example.org"
    assert settings.anchors == {"openpgp:0123456789abcdef0123456789abcdef01234567": 1.0}
    assert settings.keyservers.positive_ttl_seconds == 86_400
    assert settings.keyservers.negative_ttl_seconds == 900


def test_nothing_set_is_fine(tmp_path: Path) -> None:
    assert load(tmp_path, "") == Settings()


@pytest.mark.parametrize(
    ("text", "key", "expected"),
    [
        ("[polcy]\n", "polcy", "sections are site, database"),
        ("[policy]\nacept = 0.5", "policy.acept", "expected one of profile, accept"),
        ("[keyservers]\npositive_ttl_seconds = 5", "keyservers.positive_ttl_seconds", "positive_ttl, negative_ttl"),
        ("[policy]\naccept = 1.5", "policy.accept", "less than or equal to 1"),
        ('[policy]\nprofile = "lax"', "policy.profile", "'strict', 'transition' or 'monitor'"),
        ("[policy]\naccept = 0.1\nrefuse = 0.2", "policy", "must lie below accept"),
        ('[keyservers]\npositive_ttl = "24"', "keyservers.positive_ttl", '"15m"'),
        ("[keyservers]\npositive_ttl = 24", "keyservers.positive_ttl", '"15m"'),
        ('[ingest]\nzone = "Mars/Olympus"', "ingest.zone", "Europe/Berlin"),
        ('[site]\nhostname = "two words"', "site.hostname", "domain name"),
        ('[anchors]\n"0123456789abcdef" = 1.0', "anchors", "is not an identity"),
        ('[anchors]\n"dkim:example.org" = 2.0', "anchors.dkim:example.org", "less than or equal to 1"),
        ('[endorsement]\nrenew_after = "90d"', "endorsement", "must lie below lifetime"),
        ("[endorsement]\nmax_bad_share = 0", "endorsement.max_bad_share", "greater than 0"),
        ("policy = 3", "policy", "valid dictionary"),
    ],
)
def test_a_wrong_setting_names_file_key_and_what_was_expected(
    tmp_path: Path, text: str, key: str, expected: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, text)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'trustgraph.toml'}: {key}")
    assert expected in message


def test_several_errors_are_all_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, '[policy]\nquorum = 0\n[milter]\nworkers = "many"')
    assert len(str(caught.value).splitlines()) == 2


def test_what_is_not_toml_names_the_place(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"trustgraph\.toml: is not TOML: .*line 2"):
        load(tmp_path, "[policy]\naccept 0.5")


def test_an_absent_file_is_no_input(tmp_path: Path) -> None:
    with pytest.raises(NoInput, match="absent"):
        load_settings(tmp_path / "absent.toml", {})
    with pytest.raises(NoInput, match="absent"):
        load_settings(None, {"TRUSTGRAPH_CONFIG": str(tmp_path / "absent.toml")})


def test_the_environment_lies_over_the_file(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        EXAMPLE,
        TRUSTGRAPH_DATABASE_URL="sqlite:///x.db",
        TRUSTGRAPH_POLICY_QUORUM="5",
        TRUSTGRAPH_KEYSERVERS_POSITIVE_TTL="0",
        TRUSTGRAPH_INGEST_AUTHSERV_IDS='["a.example", "b.example"]',
    )
    assert settings.database.url == "sqlite:///x.db"
    assert settings.policy.quorum == 5
    assert settings.keyservers.positive_ttl_seconds == 0
    assert settings.ingest.authserv_ids == ("a.example", "b.example")
    with pytest.raises(ConfigurationError, match=r"policy\.quorum"):
        load(tmp_path, "", TRUSTGRAPH_POLICY_QUORUM="none")


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("15m", 900), ("24h", 86_400), ("7d", 604_800), ("0", 0)])
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "5 m", "-5m", "m", "5w", None, 5, 1.5])
def test_what_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        parse_duration(text)
