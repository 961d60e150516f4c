#!/usr/bin/python3
"""What GMime (the library of Evolution, Balsa, notmuch) sees in messages, in the form described in python.py."""
import hashlib
import json
import sys

import gi

gi.require_version("GMime", "3.0")
from gi.repository import GMime  # noqa: E402

GMime.init()


def content(part):
    wrapper = part.get_content()
    if wrapper is None:
        return b""
    stream = GMime.StreamMem.new()
    wrapper.write_to_stream(stream)
    array = stream.get_byte_array()
    return bytes(array) if array else b""


def read(part, parent, index, seen):
    if isinstance(part, GMime.Multipart):
        for number in range(part.get_count()):
            read(part.get_part(number), part, number, seen)
        return
    kind = part.get_content_type().get_mime_type().lower()
    signature = isinstance(parent, GMime.MultipartSigned) and index == 1
    if signature and kind.endswith(("pgp-signature", "pkcs7-signature")):
        return
    disposition = (part.get_disposition() or "inline").lower()
    name = part.get_filename() if isinstance(part, GMime.Part) else ""
    if not isinstance(part, GMime.Part) or disposition != "inline" or name or kind not in ("text/plain", "text/html"):
        seen["attachments"].append([kind, name or "", (part.get_content_id() or "").strip("<>")])
        return
    text = content(part).replace(b"\r\n", b"\n")
    seen["texts"].append(hashlib.sha256(text).hexdigest()[:16])


for line in sys.stdin:
    path = line.rstrip("\n")
    seen = {"file": path, "attachments": [], "texts": []}
    try:
        stream = GMime.StreamFile.open(path, "r")
        message = GMime.Parser.new_with_stream(stream).construct_message(None)
        read(message.get_mime_part(), None, 0, seen)
    except Exception as error:  # a reader that fails shows nothing
        seen["error"] = type(error).__name__
    print(json.dumps(seen))
