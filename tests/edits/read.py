#!/usr/bin/env python3
"""Reads messages with Python's own email package: one JSON object a line for each file named on standard input, with
the decoded subject and the texts that are shown (type and text), in order."""

import email
import email.policy
import json
import sys


def text_of(part):
    octets = part.get_payload(decode=True) or b""
    charset = part.get_content_charset() or "us-ascii"
    if charset == "us-ascii" and not octets.isascii():
        for guess in ("utf-8", "windows-1252"):
            try:
                return octets.decode(guess)
            except UnicodeDecodeError:
                continue
    # Mail programs read ISO 8859-1 as windows-1252; Python does not.
    if charset == "utf-16" and octets[:2] not in (b"\xff\xfe", b"\xfe\xff"):
        charset = "utf-16-be"
    try:
        return octets.decode(charset, "replace")
    except LookupError:
        return octets.decode("latin-1")


def texts(part):
    if part.get_content_maintype() == "message":
        return
    if part.is_multipart():
        for child in part.get_payload():
            yield from texts(child)
    elif part.get_content_type() in ("text/plain", "text/html"):
        if not part.get_filename() and part.get_content_disposition() in (None, "inline"):
            yield part.get_content_type(), text_of(part).removeprefix("\ufeff").replace("\r\n", "\n")


for line in sys.stdin:
    name = line.rstrip("\n")
    with open(name, "rb") as file:
        message = email.message_from_binary_file(file, policy=email.policy.default)
    subjects = [str(subject) for subject in message.get_all("subject", [])]
    print(json.dumps({"file": name, "subjects": subjects, "texts": list(texts(message))}))
