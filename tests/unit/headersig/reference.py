"""Canonical forms and the signed text once more, octet by octet after the RFC, slow and shared with nothing."""

from __future__ import annotations

Field = tuple[bytes, bytes]


def reduced(octets: bytes) -> bytes:
    """Each run of white space one space."""
    found = bytearray()
    for octet in octets:
        if octet not in b" \t":
            found.append(octet)
        elif not found.endswith(b" "):
            found.append(0x20)
    return bytes(found)


def relaxed_body(body: bytes) -> bytes:
    """RFC 6376 section 3.4.4: first white space, then the empty lines at the end."""
    lines = [reduced(line) for line in body.split(b"\r\n")]
    lines = [line[:-1] if line.endswith(b" ") else line for line in lines]
    while lines and not lines[-1]:
        lines.pop()
    return b"".join(line + b"\r\n" for line in lines)


def relaxed_header(name: bytes, value: bytes) -> bytes:
    """RFC 6376 section 3.4.2, without the line end at the end."""
    for end in (b"\r\n", b"\n"):
        for space in (b" ", b"\t"):
            value = value.replace(end + space, space)
    value = reduced(value)
    value = value[1:] if value.startswith(b" ") else value
    value = value[:-1] if value.endswith(b" ") else value
    while name[-1:] in (b" ", b"\t"):
        name = name[:-1]
    return name.lower() + b":" + value


def signed_text(fields: list[Field], names: list[bytes], own_name: bytes, own_value: bytes) -> bytes:
    """RFC 6376 section 3.7 for the header, with the fields of a name from the bottom up (section 5.4.2)."""
    left = list(fields)
    text = b""
    for wanted in names:
        for at in range(len(left) - 1, -1, -1):
            name, value = left[at]
            if name.strip(b" \t").lower() == wanted.strip(b" \t\r\n").lower():
                text += relaxed_header(name, value) + b"\r\n"
                del left[at]
                break
    specs = own_value.split(b";")
    for at, spec in enumerate(specs):
        if spec.partition(b"=")[0].strip(b" \t\r\n") == b"b":
            specs[at] = spec[: spec.index(b"=") + 1]
    return text + relaxed_header(own_name, b";".join(specs))
