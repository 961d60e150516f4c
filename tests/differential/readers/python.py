#!/usr/bin/env python3
"""What Python's email package sees in messages: one JSON object a line for each file named on standard input.

{"file", "attachments": [[type, name]...], "texts": [sha256 of the decoded text...], "whole": [types of everything]}
Parts of messages inside the message are not listed: the message itself is an attachment.
"""
import hashlib
import json
import sys
from email import policy
from email.parser import BytesParser


def digest(part):
    payload = part.get_payload(decode=True) or b""
    return hashlib.sha256(payload.replace(b"\r\n", b"\n")).hexdigest()[:16]


def read(part, parent, index, seen):
    kind = part.get_content_type()
    name = part.get_filename()
    disposition = part.get_content_disposition()
    if kind.startswith("multipart/") and part.is_multipart():
        for number, child in enumerate(part.get_payload()):
            read(child, part, number, seen)
        return
    signature = parent is not None and parent.get_content_type() == "multipart/signed" and index == 1
    if signature and kind.endswith(("pgp-signature", "pkcs7-signature")):
        return
    if disposition not in (None, "inline") or name or kind not in ("text/plain", "text/html"):
        cid = (part.get("Content-ID") or "").strip().strip("<>")
        seen["attachments"].append([kind, name or "", cid])
    else:
        seen["texts"].append(digest(part))


for line in sys.stdin:
    path = line.rstrip("\n")
    seen = {"file": path, "attachments": [], "texts": []}
    try:
        with open(path, "rb") as file:
            message = BytesParser(policy=policy.compat32).parse(file)
        read(message, None, 0, seen)
    except Exception as error:  # a reader that fails shows nothing
        seen["error"] = type(error).__name__
    print(json.dumps(seen))
