"""Asking keyservers over HKP for one certificate by its fingerprint.

One HTTP response is judged in :mod:`.answer` (pure); :mod:`.server` asks one server one question and never raises;
:mod:`.pool` makes one answer out of many servers, with :mod:`.breaker` and :mod:`.latency` (pure) to know whom to ask
first and whom not at all; :mod:`.publish` submits a certificate and reads it back.

An answer is Found, Absent or Unreachable. Nothing that went wrong ever reads as Absent: a sender whose certificate
could not be fetched must be deferred, not taken for one that has none.
"""
