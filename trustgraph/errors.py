"""One exception tree. Every error says what is wrong, where, what was expected, and carries its sysexits code.

    TrustgraphError                    70  a bug, or nothing more particular
    ├── UsageError                     64  the command line asks for something impossible
    ├── BadInput                       65  a file or a value is not what it should be
    ├── NoInput                        66  a file is not there, or cannot be read or written
    ├── ServiceUnavailable             69  the database, a keyserver or another service does not answer
    │   └── StoreBusy                  75  somebody else holds the database; trying again helps
    ├── Undeliverable                  77  the next mail system refuses a message for good
    ├── ConfigurationError             78  trustgraph.toml or the environment is wrong
    │   ├── SchemaMismatch             78  the database was made by another version
    │   └── NoAnchors                  78  scoring without a trust anchor means nothing
    └── NotConverged                   70  an iteration did not reach its tolerance; no result is returned

The message is written for the operator at the terminal. None of it is ever sent to a mail peer.
"""

from __future__ import annotations

from typing import ClassVar


class TrustgraphError(Exception):
    """Root of the tree. ``exit_code`` is what the command line exits with (sysexits.h)."""

    exit_code: ClassVar[int] = 70


class UsageError(TrustgraphError):
    """The command line asks for something impossible."""

    exit_code = 64


class BadInput(TrustgraphError):
    """A file or a value is not what it should be."""

    exit_code = 65


class NoInput(TrustgraphError):
    """A file is not there, or cannot be read or written."""

    exit_code = 66


class ServiceUnavailable(TrustgraphError):
    """A service this command needs does not answer."""

    exit_code = 69


class StoreBusy(ServiceUnavailable):
    """Another process holds the database for longer than we wait."""

    exit_code = 75


class Undeliverable(TrustgraphError):
    """The next mail system refuses a message for good."""

    exit_code = 77


class ConfigurationError(TrustgraphError):
    """The configuration is wrong: names the file, the key and what was expected."""

    exit_code = 78


class SchemaMismatch(ConfigurationError):
    """The database's schema is not the one this version reads."""


class NoAnchors(ConfigurationError):
    """No trust anchor: no symmetric reputation is sybil-proof (Cheng & Friedman 2005), so scoring refuses."""


class NotConverged(TrustgraphError):
    """An iteration did not reach its tolerance within its bound."""
