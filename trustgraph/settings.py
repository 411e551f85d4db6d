"""trustgraph.toml and TRUSTGRAPH_* variables become one frozen :class:`Settings`, validated once at start.

A key ``ttl`` of section ``[keyservers]`` is overridden by ``TRUSTGRAPH_KEYSERVERS_TTL``. In the file durations are
written "15m", "24h", "7d" and sizes "1MiB"; here they are numbers with the unit in the name.
"""

from __future__ import annotations

import ipaddress
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from trustgraph.errors import BadInput, ConfigurationError, NoInput
from trustgraph.feedback.recipients import parse_trap
from trustgraph.feedback.verdicts import FIELDS as VERDICT_FIELDS
from trustgraph.model import Identity, UnixSeconds, from_rfc3339, parse_domain
from trustgraph.policy.overrides import Action, Override, parse_match

#: Where the configuration is looked for when neither --config nor TRUSTGRAPH_CONFIG names it.
DEFAULT_PATHS = (Path("trustgraph.toml"), Path("/etc/trustgraph/trustgraph.toml"))

_DURATION_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def parse_duration(value: object) -> float:
    """Seconds of "90s", "15m", "24h" or "7d"; "0" turns a thing off. Raises ValueError."""
    if value in ("0", 0):
        return 0.0
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f'expected a duration such as "90s", "15m", "24h" or "7d", not {value!r}')
    return float(match[1]) * _DURATION_SECONDS[match[2]]


_SIZE_OCTETS = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def parse_size(value: object) -> int:
    """Octets of "64KiB", "1MiB" or a plain number. Raises ValueError."""
    match = re.fullmatch(r"(\d+)(|KiB|MiB|GiB)", str(value))
    if match is None:
        raise ValueError(f'expected a size such as "64KiB" or "1MiB", not {value!r}')
    return int(match[1]) * _SIZE_OCTETS[match[2]]


def _match(value: str) -> str:
    try:
        return parse_match(value)
    except BadInput as error:
        raise ValueError(str(error)) from None


def _moment(value: object) -> UnixSeconds | None:
    if value in (None, ""):
        return None
    try:
        return from_rfc3339(str(value))
    except BadInput as error:
        raise ValueError(str(error)) from None


def _networks(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        try:
            ipaddress.ip_network(value, strict=False)
        except ValueError:
            raise ValueError(f'expected an address or network such as "192.0.2.0/24", not {value!r}') from None
    return values


def _fqdn(value: str) -> str:
    try:
        return parse_domain(value) if value else ""
    except BadInput as error:
        raise ValueError(str(error)) from None


def _identity(value: str) -> Identity:
    try:
        return Identity.parse(value)
    except BadInput as error:
        raise ValueError(str(error)) from None


def _verdict_field(value: str) -> str:
    if value.lower() not in VERDICT_FIELDS:
        raise ValueError(f"expected one of {', '.join(sorted(VERDICT_FIELDS))}, not {value!r}")
    return value.lower()


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        raise ValueError(f'expected a time zone such as "UTC" or "Europe/Berlin", not {value!r}') from None
    return value


Seconds = Annotated[float, BeforeValidator(parse_duration)]
Fqdn = Annotated[str, AfterValidator(_fqdn)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Anchor = Annotated[str, AfterValidator(_identity)]
VerdictField = Annotated[str, AfterValidator(_verdict_field)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class Site(_Section):
    """Who we are."""

    hostname: Fqdn = ""
    authserv_id: str = ""

    @property
    def name_in_results(self) -> str:
        """The authserv-id of the Authentication-Results that this host writes (RFC 8601 section 2.5)."""
        return self.authserv_id or self.hostname


class Database(_Section):
    """Where the graph store is: an SQLAlchemy URL (sqlite or postgresql+psycopg)."""

    url: str = "sqlite:///trustgraph.db"


class Hostkey(_Section):
    """This host's own secret key."""

    path: Path = Path("/etc/trustgraph/hostkey.pgp")
    passphrase_file: str = ""
    switch_after_seconds: Seconds = Field(86_400.0, alias="switch_after")


class Keyservers(_Section):
    """Which keyservers are asked, and how long their answers hold."""

    urls: tuple[str, ...] = ()
    positive_ttl_seconds: Seconds = Field(86_400.0, alias="positive_ttl")
    negative_ttl_seconds: Seconds = Field(900.0, alias="negative_ttl")
    stale_limit_seconds: Seconds = Field(604_800.0, alias="stale_limit")
    timeout_seconds: Seconds = Field(5.0, alias="timeout")
    max_answer_bytes: Annotated[int, BeforeValidator(parse_size), Field(ge=1024 * 1024)] = Field(
        64 * 1024 * 1024, alias="max_answer"
    )


class PolicyOverride(_Section):
    """An exception: whom it speaks of, what is done, why, and until when (RFC 3339; empty: until it is taken out)."""

    match: Annotated[str, AfterValidator(_match)]
    action: Action
    note: Annotated[str, Field(min_length=1)]
    expires: Annotated[UnixSeconds | None, BeforeValidator(_moment)] = None

    def override(self) -> Override:
        """As the policy reads it."""
        return Override(self.match, self.action, self.note, self.expires)


class Policy(_Section):
    """What is done with a message, and where a rating starts to stand."""

    profile: Literal["strict", "transition", "monitor"] = "transition"
    accept: Share = 0.5
    refuse: Share = 0.1
    quorum: Annotated[int, Field(ge=1)] = 3
    on_unreachable: Literal["tempfail", "quarantine"] = "tempfail"
    on_forged: Literal["reject", "discard"] = "reject"
    on_newcomer: Literal["tag", "quarantine"] = "tag"
    on_unsigned_newcomer: Literal["tag", "allowance"] = "tag"
    headers_suffice: bool = True
    require_approval: bool = False
    newcomer_messages: Annotated[int, Field(ge=0)] = 50
    newcomer_messages_in_all: Annotated[int, Field(ge=0)] = 2_000
    newcomer_growth: Annotated[float, Field(ge=1.0, le=1_000.0)] = 10.0
    signature_recipients: Annotated[int, Field(ge=1)] = 1_000
    override: tuple[PolicyOverride, ...] = ()

    @model_validator(mode="after")
    def _refuse_below_accept(self) -> Policy:
        if self.refuse >= self.accept:
            raise ValueError(f"refuse = {self.refuse} must lie below accept = {self.accept}")
        return self


class Milter(_Section):
    """The MTA hook."""

    listen: str = "unix:/run/trustgraph/milter.sock"
    mode: Literal["sign", "verify", "both"] = "both"
    workers: Annotated[int, Field(ge=1, le=64)] = 2
    internal_hosts: Annotated[tuple[str, ...], AfterValidator(_networks)] = ("127.0.0.0/8", "::1")
    signature_mode: Literal["message", "headers"] = "message"
    signature_lifetime_seconds: Annotated[Seconds, Field(gt=0, le=14 * 86_400)] = Field(
        7 * 86_400.0, alias="signature_lifetime"
    )
    state: Path = Path("/var/lib/trustgraph")
    postfix: Path = Path("/etc/postfix")
    socket_mode: Annotated[str, Field(pattern=r"^0?[0-7]{3}$")] = "660"
    timeout_seconds: Annotated[Seconds, Field(gt=0)] = Field(20.0, alias="timeout")
    max_body_bytes: Annotated[int, BeforeValidator(parse_size)] = Field(100 * 1024 * 1024, alias="max_body")
    early: bool = False
    connections: Annotated[int, Field(ge=1)] = 1_000
    trusted_results: tuple[str, ...] = ()
    known_clients: Mapping[str, Fqdn] = Field(default_factory=dict)


class Ingest(_Section):
    """What logs do not say of themselves."""

    authserv_ids: tuple[str, ...] = ()
    observer: Fqdn = ""
    zone: Annotated[str, AfterValidator(_zone)] = "UTC"
    retention_seconds: Seconds = Field(90 * 86_400.0, alias="retention")
    sha1_cutoff: str = "2013-02-01"

    @property
    def tzinfo(self) -> tzinfo:
        """The zone of log times that name none."""
        return UTC if self.zone == "UTC" else ZoneInfo(self.zone)


class Scoring(_Section):
    """How much each kind of evidence weighs; the formula is in :mod:`trustgraph.scoring.trustgraph`."""

    algorithm: str = "trustgraph"
    user_ids: Literal["auto", "smtp", "any"] = "auto"
    half_life_seconds: Annotated[Seconds, Field(gt=0)] = Field(30 * 86_400.0, alias="half_life")
    unknown_weight: Share = 0.0
    valid_for_seconds: Seconds = Field(2 * 86_400.0, alias="valid_for")
    keep_generations: Annotated[int, Field(ge=1)] = 30


class Endorsement(_Section):
    """What another host has to do for this host's endorsement, and what costs it."""

    good_mails: Annotated[int, Field(ge=1)] = 50
    days: Annotated[int, Field(ge=1)] = 14
    max_bad_share: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.01
    window_seconds: Annotated[Seconds, Field(ge=86_400)] = Field(180 * 86_400.0, alias="window")
    lifetime_seconds: Annotated[Seconds, Field(ge=86_400)] = Field(90 * 86_400.0, alias="lifetime")
    renew_after_seconds: Annotated[Seconds, Field(gt=0)] = Field(60 * 86_400.0, alias="renew_after")
    budget_per_week: Annotated[int, Field(ge=0)] = 20
    revoke_bad_mails: Annotated[int, Field(ge=1)] = 3
    revoke_window_seconds: Annotated[Seconds, Field(ge=86_400)] = Field(30 * 86_400.0, alias="revoke_window")
    confirmed_hosts: bool = True

    @model_validator(mode="after")
    def _renewed_in_time(self) -> Endorsement:
        if self.renew_after_seconds >= self.lifetime_seconds:
            raise ValueError("renew_after must lie below lifetime, or there is a gap before each renewal")
        return self


def _traps(values: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return tuple(parse_trap(value) for value in values)
    except BadInput as error:
        raise ValueError(str(error)) from None


class Feedback(_Section):
    """Who may say what mail turned out to be; see :mod:`trustgraph.services.feedback`."""

    sources: tuple[Path, ...] = ()
    reporters: tuple[Annotated[str, AfterValidator(_identity)], ...] = ()
    traps: Annotated[tuple[str, ...], AfterValidator(_traps)] = ()
    trusted_fields: tuple[VerdictField, ...] = ()


def _period(value: float) -> float:
    if 0 < value < 1:
        raise ValueError(f"expected a second or more, or 0 for never, not {value} seconds")
    return value


Period = Annotated[Seconds, AfterValidator(_period)]


class Schedule(_Section):
    """What `trustgraph recompute` does, and how often; 0 for never."""

    logs: tuple[Path, ...] = ()
    log_format: str = "auto"
    score_seconds: Period = Field(900.0, alias="score")
    feedback_seconds: Period = Field(300.0, alias="feedback")
    keys_seconds: Period = Field(21_600.0, alias="keys")
    endorse_seconds: Period = Field(0.0, alias="endorse")
    report_seconds: Period = Field(86_400.0, alias="report")
    report_directory: Path = Path("/var/lib/trustgraph/report")
    prune_seconds: Period = Field(86_400.0, alias="prune")
    remind_seconds: Period = Field(86_400.0, alias="remind")


class Lists(_Section):
    """Mailing lists: what holds for all of this host's. Each list's own rules are in the database."""

    sendmail: Path = Path("/usr/sbin/sendmail")
    passphrase_file: str = ""
    retry_seconds: Annotated[Seconds, Field(ge=0)] = Field(21_600.0, alias="retry")
    max_post_bytes: Annotated[int, BeforeValidator(parse_size), Field(ge=64 * 1024)] = Field(
        20 * 1024 * 1024, alias="max_post"
    )


class Metrics(_Section):
    """Where `trustgraph recompute` says how it goes."""

    listen: str = ""
    textfile: str = ""


class Settings(_Section):
    """Everything that can be set, by section."""

    site: Site = Site()
    database: Database = Database()
    hostkey: Hostkey = Hostkey()  # type: ignore[call-arg]  # defaults behind aliases
    keyservers: Keyservers = Keyservers()  # type: ignore[call-arg]  # defaults behind aliases
    anchors: Mapping[Anchor, Annotated[float, Field(gt=0.0, le=1.0)]] = Field(default_factory=dict)
    policy: Policy = Policy()
    milter: Milter = Milter()  # type: ignore[call-arg]  # defaults behind aliases
    ingest: Ingest = Ingest()  # type: ignore[call-arg]  # defaults behind aliases
    scoring: Scoring = Scoring()  # type: ignore[call-arg]  # defaults behind aliases
    feedback: Feedback = Feedback()
    endorsement: Endorsement = Endorsement()  # type: ignore[call-arg]  # defaults behind aliases
    schedule: Schedule = Schedule()  # type: ignore[call-arg]  # defaults behind aliases
    metrics: Metrics = Metrics()
    lists: Lists = Lists()  # type: ignore[call-arg]  # defaults behind aliases


def variable_of(name: str) -> str:
    """The environment variable that sets ``section.key``. Raises :class:`BadInput` saying what there is."""
    section, _, key = name.partition(".")
    variables = {variable: f"{s}.{k}" for s, k, variable in _variables()}
    variable = f"TRUSTGRAPH_{section}_{key}".upper()
    if variables.get(variable) != name:
        near = sorted(known for known in variables.values() if known.startswith(f"{section}."))
        known = ", ".join(near) or f"sections {', '.join(sorted({s for s, _, _ in _variables()}))}"
        raise BadInput(f"{name[:80]!r} is not a setting of the form section.key; there are {known}")
    return variable


def load_settings(path: Path | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """Settings from ``path``, or $TRUSTGRAPH_CONFIG, or the default places, or built in, under the environment.

    Raises :class:`NoInput` when a named file cannot be read, and :class:`ConfigurationError` (naming file, key and
    what was expected) when something in it is wrong.
    """
    environment = os.environ if environment is None else environment
    if path is None and "TRUSTGRAPH_CONFIG" in environment:
        path = Path(environment["TRUSTGRAPH_CONFIG"])
    if path is None:
        path = next((candidate for candidate in DEFAULT_PATHS if candidate.is_file()), None)
    data = _read_toml(path) if path else {}
    _overlay(data, environment)
    try:
        return Settings.model_validate(data)
    except ValidationError as error:
        raise ConfigurationError(_explain(error, path)) from None


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise NoInput(f"{path}: cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path}: is not TOML: {error}") from None


def _variables() -> Iterator[tuple[str, str, str]]:
    """Section, key and environment variable of everything that has one value."""
    for section, field in Settings.model_fields.items():
        model = field.annotation
        if isinstance(model, type) and issubclass(model, _Section):
            for name, key in model.model_fields.items():
                yield section, key.alias or name, f"TRUSTGRAPH_{section}_{key.alias or name}".upper()


def _overlay(data: dict[str, Any], environment: Mapping[str, str]) -> None:
    for section, key, variable in _variables():
        if variable in environment and isinstance(data.setdefault(section, {}), dict):
            data[section][key] = _from_environment(environment[variable])


def _from_environment(text: str) -> object:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _explain(error: ValidationError, path: Path | None) -> str:
    where = str(path) if path else "environment"
    lines = []
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            lines.append(f"{where}: {key}: no such setting{_near(problem['loc'])}")
        else:
            message = problem["msg"].removeprefix("Value error, ")
            lines.append(f"{where}: {key}: {message} (got {str(problem['input'])[:80]!r})")
    return "\n".join(lines)


def _near(location: tuple[int | str, ...]) -> str:
    fields = Settings.model_fields
    if len(location) == 1:
        return f"; sections are {', '.join(fields)}"
    model = fields[str(location[0])].annotation
    names = (
        [key.alias or name for name, key in model.model_fields.items()]
        if model and hasattr(model, "model_fields")
        else []
    )
    return f"; expected one of {', '.join(names)}"
