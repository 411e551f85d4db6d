"""The header signature: what is signed, in which form, and whether it holds. Pure functions over bytes.

    message    octets                        →  raw fields and body
    canonical  a field, a body               →  their relaxed canonical forms (RFC 6376 section 3.4)
    coverage   fields                        →  which of them are signed, and how often (oversigning)
    tags       ``v=1; d=…``                  →  a dictionary (RFC 6376 section 3.2)
    field      a PGP-Header-Signature field  ⇄  its parts
    signing    fields, body hash, a signer   →  the field to put on top
    checking   a field, the message, a key   →  pass, fail, permerror and why

Fields are never decoded and never skipped: whatever octets a message carries are what is signed and compared.
OpenPGP comes in as two callables, so that nothing here knows a library or a clock.
"""
