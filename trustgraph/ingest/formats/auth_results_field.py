"""The syntax of an Authentication-Results field (RFC 8601 section 2.2), read in one pass.

``authres`` is not used for it. It refuses a whole field for an unquoted IPv6 address, a closing semicolon or two
comments in a row, all of which real verifiers write; it takes ``dkim= header.d=example.org`` and a quotation mark that
never closes; nested comments end in RecursionError; and it takes a millisecond for a plain field and a second for a
long one.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from trustgraph.errors import BadInput

#: A field longer than this is no verifier's.
MAX_FIELD_BYTES = 64 * 1024

_TEXT_MARK = re.compile(r'"(?:[^"\\]|\\.)*"|[();"]')
_COMMENT_MARK = re.compile(r"\\.|[()]")

_VALUE = r'((?:"(?:[^"\\]|\\.)*")?[^\s"]*)(?!\S)'
_KEYWORD = r"([A-Za-z0-9][A-Za-z0-9-]*)"
_ID = re.compile(rf"\s*{_VALUE}\s*(\d*)\s*")
# A result is a Keyword too, but for x-trustgraph, whose result is a number.
_METHOD = re.compile(rf"\s*{_KEYWORD}\s*(?:/\s*(\d+)\s*)?=\s*([A-Za-z0-9][A-Za-z0-9.-]*)(?!\S)")
_REASON = re.compile(rf"\s+reason\s*=\s*{_VALUE}")
# A property name may hold more than a Keyword in practice (policy.dmarc_rule).
_PROPERTY = re.compile(rf"\s+([A-Za-z][A-Za-z0-9-]*)\s*\.\s*([A-Za-z][A-Za-z0-9_.-]*)\s*=\s*{_VALUE}")


class ResultInfo(NamedTuple):
    """One ``resinfo``. Names and result are in lower case; of a property given twice the first counts."""

    method: str
    result: str
    properties: dict[str, str]


class AuthenticationResults(NamedTuple):
    """A whole field; ``results`` is empty for ``none``."""

    authserv_id: str
    results: tuple[ResultInfo, ...]


def parse_field(value: bytes) -> AuthenticationResults:
    """The value of the field, folded or not. Raises :class:`BadInput` naming what was expected."""
    first, *rest = _clauses(_text(value))
    if not rest or not "".join(rest).strip():
        raise BadInput("expected a semicolon and a result, or 'none', after the authserv-id")
    if not rest[-1].strip():
        rest.pop()
    authserv_id = _authserv_id(first)
    if [clause.strip().lower() for clause in rest] == ["none"]:
        return AuthenticationResults(authserv_id, ())
    return AuthenticationResults(authserv_id, tuple(_result_info(clause) for clause in rest))


def authserv_id_of(value: bytes) -> str:
    """Whose field it is, in lower case; empty when not even that can be read."""
    try:
        return _authserv_id(_text(value).partition(";")[0] if b"(" not in value else _clauses(_text(value))[0])
    except BadInput:
        return ""


def _text(value: bytes) -> str:
    if len(value) > MAX_FIELD_BYTES:
        raise BadInput(f"longer than {MAX_FIELD_BYTES} bytes")
    return value.decode("utf-8", "replace")


def _authserv_id(clause: str) -> str:
    found = _ID.fullmatch(clause)
    if found is None or not found[1]:
        raise BadInput("expected an authserv-id, then perhaps a version")
    if found[2] not in ("", "1"):
        raise BadInput(f"version {found[2][:8]} of the field, expected 1")
    return _unquoted(found[1]).lower()


def _clauses(text: str) -> list[str]:
    """The text between the semicolons, with a space for each comment (RFC 5322 section 3.2.2, nested or not)."""
    clauses, parts, at, depth = [], [], 0, 0
    while mark := (_COMMENT_MARK if depth else _TEXT_MARK).search(text, at):
        if not depth:
            parts.append(text[at : mark.start()])
        at = mark.end()
        match mark[0]:
            case "(":
                depth += 1
            case ")" if depth:
                depth -= 1
                parts.append(" ")
            case ";":
                clauses.append("".join(parts))
                parts = []
            case ")" | '"':
                raise BadInput(f"{mark[0]} that opens or closes nothing")
            case quoted if not depth:
                parts.append(quoted)
    if depth:
        raise BadInput("a comment that never ends")
    return [*clauses, "".join(parts) + text[at:]]


def _result_info(clause: str) -> ResultInfo:
    head = _METHOD.match(clause)
    if head is None:
        raise BadInput(f"expected method=result, found {clause.strip()[:80]!r}")
    if head[2] not in (None, "1"):
        raise BadInput(f"version {head[2][:8]} of method {head[1][:40]}, expected 1")
    at = head.end()
    if reason := _REASON.match(clause, at):
        at = reason.end()
    properties: dict[str, str] = {}
    while found := _PROPERTY.match(clause, at):
        properties.setdefault(f"{found[1]}.{found[2]}".lower(), _unquoted(found[3]))
        at = found.end()
    if clause[at:].strip():
        raise BadInput(f"expected ptype.property=value, found {clause[at:].strip()[:80]!r}")
    return ResultInfo(head[1].lower(), head[3].lower(), properties)


def _unquoted(value: str) -> str:
    """A quoted string without its marks; an address with a quoted local part stays as it is."""
    if value.startswith('"') and value.endswith('"'):
        return re.sub(r"\\(.)", r"\1", value[1:-1])
    return value
