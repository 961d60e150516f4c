#!/usr/bin/env python3
"""An independent verifier of decision logs, written from docs/log-format.md alone.

    verify_log.py [--key KEY] [--checkpoint FILE]... DIR...
    verify_log.py --proof FILE [--key KEY] [--message-id ID]

Prints one JSON object a line for each directory, or for the proof. Exit code 0 when all hold, 1 when one does not.
Needs the standard library and the package `cryptography` (for Ed25519 alone). The table of fields is read from the
documentation itself, so that a field that is not documented is a fault here.
"""

import argparse
import base64
import binascii
import hashlib
import hmac
import json
import math
import pathlib
import re
import sys
from datetime import date, datetime, timezone

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

LINE_OCTETS_MAX = 1_048_576
FORMAT = pathlib.Path(__file__).resolve().parents[2] / "docs" / "log-format.md"
LATE_MAX = 3600 * 10**9
DAY_TEXT = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
SEGMENT = re.compile(rf"([0-9]{{12}})_({DAY_TEXT})\.jsonl")
TIME = re.compile(rf"{DAY_TEXT}T[0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}(\.[0-9]{{0,8}}[1-9])?Z")
DAY = re.compile(DAY_TEXT)
SIZE = re.compile(r"0|[1-9][0-9]*")


class Fault(Exception):
    """What is wrong."""


def need(condition, what):
    if not condition:
        raise Fault(what)


# ---- encodings

def b64(text, octets=None):
    need(isinstance(text, str), "base64: not text")
    try:
        decoded = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise Fault(f"base64: {error}") from error
    need(base64.b64encode(decoded).decode() == text, "base64: not canonical")
    need(octets is None or len(decoded) == octets, "base64: wrong length")
    return decoded


def b64url(text, octets):
    need(isinstance(text, str) and "=" not in text and "+" not in text and "/" not in text, "base64url")
    padded = text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4)
    return b64(padded, octets)


def when(text):
    """A time as a number that sorts; nanoseconds since 1970."""
    need(isinstance(text, str) and TIME.fullmatch(text) and "1970" <= text[:4] < "9999", f"not a time: {text!r}")
    seconds, _, fraction = text[:-1].partition(".")
    try:
        moment = datetime.strptime(seconds, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)
    except ValueError as error:
        raise Fault(str(error)) from error
    return int(moment.timestamp()) * 10**9 + int((fraction or "0").ljust(9, "0"))


def a_day(text):
    need(isinstance(text, str) and DAY.fullmatch(text) and "1970" <= text[:4] < "9999", f"not a day: {text!r}")
    try:
        date.fromisoformat(text)
    except ValueError as error:
        raise Fault(str(error)) from error


def strict_json(text):
    def pairs(items):
        names = [name for name, _ in items]
        need(len(names) == len(set(names)), "a field name occurs twice")
        return dict(items)

    def no_constant(name):
        raise Fault(f"{name} is no JSON")

    try:
        # Minus nothing is no whole number from 0 on.
        return json.loads(text, object_pairs_hook=pairs, parse_constant=no_constant,
                          parse_int=lambda digits: -0.0 if digits == "-0" else int(digits))
    except (ValueError, RecursionError) as error:
        raise Fault(f"not JSON: {error}") from error


# ---- the table of fields

def load_fields():
    fields = {}
    for line in FORMAT.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 5 and re.match(r"^`[a-z_0-9]+`$", cells[1]):
            fields.setdefault(cells[0], {})[cells[1].strip("`")] = (cells[2], cells[3] == "optional")
    return fields


FIELDS = load_fields()


def is_count(value):
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**64


def is_number(value):
    """A number that fits the 64 bits of IEEE 754, as readers in other languages have it."""
    try:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(float(value))
    except OverflowError:
        return False


def check_text(value):
    need(isinstance(value, str), "not text")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise Fault("half a character in a text") from error


def check_value(holds, value):
    if holds.startswith("list of "):
        need(isinstance(value, list), "not a list")
        for one in value:
            check_value(holds.removeprefix("list of "), one)
    elif holds == "text":
        check_text(value)
    elif holds == "integer":
        need(is_count(value), "not a count")
    elif holds == "integer below 2^32":
        need(is_count(value) and value < 2**32, "not a count below 2^32")
    elif holds == "true or false":
        need(isinstance(value, bool), "neither true nor false")
    elif holds == "time":
        when(value)
    elif holds == "day":
        a_day(value)
    elif holds == "numbers by name":
        need(isinstance(value, dict), "not an object")
        for name, number in value.items():
            check_text(name)
            need(is_number(number), "not a number")
    else:
        check_fields(holds, value)


def check_fields(of, value):
    need(of in FIELDS, f"unknown kind {of!r}")
    need(isinstance(value, dict), "not an object")
    for name in value:
        need(name in FIELDS[of], f"unknown field {name!r} in {of}")
    for name, (holds, optional) in FIELDS[of].items():
        if name in value:
            check_value(holds, value[name])
        else:
            need(optional, f"{of} lacks {name}")


# ---- the tree

def leaf_hash(line):
    return hashlib.sha256(b"\x00" + line).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """The complete subtrees of the right edge, as (number of leaves, root)."""

    def __init__(self):
        self.parts = []
        self.size = 0

    def push(self, leaf):
        self.size += 1
        part = (1, leaf)
        while self.parts and self.parts[-1][0] == part[0]:
            left = self.parts.pop()
            part = (left[0] * 2, node_hash(left[1], part[1]))
        self.parts.append(part)

    def root(self):
        if not self.parts:
            return hashlib.sha256(b"").digest()
        root = self.parts[-1][1]
        for _, left in reversed(self.parts[:-1]):
            root = node_hash(left, root)
        return root


def root_from_path(path, size, index, leaf):
    """RFC 6962 section 2.1.1, as RFC 9162 section 2.1.3.2 spells it out."""
    need(0 <= index < size, "the index is outside of the tree")
    node, last, root = index, size - 1, leaf
    for sibling in path:
        need(last > 0, "the path is too long")
        if node % 2 == 1 or node == last:
            root = node_hash(sibling, root)
            while node % 2 == 0 and node != 0:
                node, last = node // 2, last // 2
        else:
            root = node_hash(root, sibling)
        node, last = node // 2, last // 2
    need(last == 0, "the path is too short")
    return root


# ---- notes

def key_parts(key):
    need(isinstance(key, str), "not a key")
    parts = key.split("+", 2)
    need(len(parts) == 3 and parts[0] and not re.search(r"\s", parts[0]), "not a key")
    name, ident, data = parts[0], parts[1], b64(parts[2], 33)
    need(data[0] == 1, "not an Ed25519 key")
    need(hashlib.sha256(name.encode() + b"\n" + data).hexdigest()[:8] == ident, "the key's id is wrong")
    try:
        return name, bytes.fromhex(ident), Ed25519PublicKey.from_public_bytes(data[1:])
    except ValueError as error:
        raise Fault("not an Ed25519 key") from error


def open_note(note, key):
    """The text of a note that `key` signed."""
    need(isinstance(note, str) and note.endswith("\n"), "not a note")
    need(all(c == "\n" or c >= " " for c in note), "control characters in a note")
    head, found, tail = note.rpartition("\n\n")
    need(found, "not a note")
    text = head + "\n"
    name, ident, public = key_parts(key)
    signed = False
    lines = tail[:-1].split("\n")
    need(len(lines) <= 100, "too many signatures")
    for line in lines:
        need(line.startswith("— ") and line.count(" ") == 2, "not a signature line")
        _, signer, data = line.split(" ")
        need(signer and "+" not in signer and not re.search(r"\s", signer), "not a signer's name")
        signature = b64(data)
        need(len(signature) > 4, "not a signature")
        # Of several signatures of one key the first counts.
        if signer == name and signature[:4] == ident and not signed:
            try:
                public.verify(signature[4:], text.encode())
            except InvalidSignature as error:
                raise Fault("false signature") from error
            signed = True
    need(signed, "not signed by this key")
    return text


def open_checkpoint(note, key):
    lines = open_note(note, key).split("\n")
    need(len(lines) == 5 and lines[4] == "" and lines[3].startswith("time "), "not a checkpoint")
    name, size, root, moment = lines[0], lines[1], b64(lines[2], 32), lines[3][5:]
    need(SIZE.fullmatch(size) and int(size) < 2**64, "not a size")
    when(moment)
    return name, int(size), root, moment


def open_endorsement(note, key):
    lines = open_note(note, key).split("\n")
    need(len(lines) == 5 and lines[4] == "" and lines[0] == "charter-milter signing key", "not an endorsement")
    need(lines[1].startswith("epoch ") and SIZE.fullmatch(lines[1][6:]), "not an endorsement")
    need(lines[2].startswith("from "), "not an endorsement")
    when(lines[2][5:])
    key_parts(lines[3])
    return int(lines[1][6:]), lines[2][5:], lines[3]


# ---- the log

class Log:
    """One pass over a log."""

    def __init__(self, paper):
        if paper is not None:
            # Its id tells most mistakes in copying: a log is not accused for one.
            key_parts(paper)
        self.paper = paper
        self.tree = Tree()
        self.keys = []
        self.signing = 0
        self.announced_at = 0
        self.sealed = False
        self.last_time = None
        self.latest = None
        self.set_back = False
        self.purged = []
        self.gone = 0
        self.purges = []
        self.checkpoints = 0
        self.signed = 0
        self.roots = {}

    def line(self, octets):
        need(len(octets) <= LINE_OCTETS_MAX, "the line is too long")
        try:
            line = strict_json(octets.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise Fault("not UTF-8") from error
        need(isinstance(line, dict) and is_count(line.get("v")) and is_count(line.get("i")), "not a line")
        need(line["v"] == 1, "another version")
        need(line["i"] == self.tree.size, f"record {line['i']} where {self.tree.size} belongs")
        if set(line) == {"v", "i", "leaf"}:
            follows = self.purged and self.purged[-1][1] == line["i"] - 1
            first, since = self.purged.pop()[::2] if follows else (line["i"], self.latest)
            self.purged.append((first, line["i"], since))
            self.gone += 1
            leaf = b64(line["leaf"], 32)
        else:
            need(set(line) == {"v", "i", "at", "salt", "kind", "body"}, "not the fields of a line")
            b64url(line["salt"], 16)
            at = when(line["at"])
            need(isinstance(line["kind"], str), "not a kind")
            need(line["kind"] in FIELDS and line["kind"] not in
                 ("judgement", "quota", "rule", "commitment", "file"), "not a kind")
            check_fields(line["kind"], line["body"])
            handler = getattr(self, "on_" + line["kind"], None)
            if handler:
                handler(line["body"], line)
            self.latest = at if self.latest is None else self.latest
            need(self.latest - at <= LATE_MAX, "more than an hour behind a record ahead of it")
            self.latest = max(self.latest, at)
            leaf = leaf_hash(octets)
        self.tree.push(leaf)

    def on_key(self, body, line):
        need(body["epoch"] == len(self.keys), "an epoch is skipped or repeated")
        name = key_parts(body["key"])[0]
        need(not self.keys or name == key_parts(self.keys[0])[0], "a key of another log")
        if not self.keys:
            need(body.get("endorsement") is None, "the first key is endorsed")
            need(self.paper is None or self.paper == body["key"], "the first key is not the auditors'")
        else:
            need(self.signing == len(self.keys) - 1, "the key before does not sign yet")
            epoch, moment, key = open_endorsement(body.get("endorsement"), self.keys[-1])
            need((epoch, moment, key) == (body["epoch"], body["from"], body["key"]), "another key is endorsed")
        self.keys.append(body["key"])
        self.announced_at = line["i"]
        self.sealed = False

    def on_checkpoint(self, body, line):
        need(body["reason"] in ("start", "hourly", "rotation", "window-opened", "window-closed", "requested"), "reason")
        epoch = body["epoch"]
        following = epoch == self.signing + 1 and self.sealed
        need((epoch == self.signing or following) and epoch < len(self.keys), "a key outside of its epoch")
        name, size, root, moment = open_checkpoint(body["note"], self.keys[epoch])
        need(name == key_parts(self.keys[0])[0], "a checkpoint of another log")
        need(size == line["i"], "a checkpoint of another size")
        need(moment == line["at"], "a checkpoint of another time")
        need(root == self.tree.root(), "the records are not those that were signed")
        need(self.last_time is None or self.set_back or when(moment) >= self.last_time, "time runs backwards")
        self.last_time, self.set_back = when(moment), False
        if following:
            self.signing, self.sealed = epoch, False
        elif len(self.keys) > self.signing + 1 and size > self.announced_at:
            self.sealed = True
        self.checkpoints += 1
        self.signed = size

    def on_clock(self, body, _line):
        if when(body["now"]) < when(body["before"]):
            self.set_back, self.latest = True, None

    def on_purge(self, body, _line):
        self.purges.append((body["first"], body["last"], when(body["before"] + "T00:00:00Z")))


def verify(directory, paper, kept):
    log = Log(paper)
    # Nobody outside kept the log's own latest checkpoint, but it must not contradict the log. Read first: the log may grow.
    own = directory / "checkpoint"
    if own.is_file():
        kept = [*kept, own.read_text(encoding="utf-8")]
    segments = directory / "segments" if (directory / "segments").is_dir() else directory
    names = sorted(path.name for path in segments.iterdir() if not path.name.endswith(".new"))
    need(names, "there is no segment")
    wanted = {}
    for note in kept:
        size = note.split("\n")[1] if "\n" in note else ""
        need(SIZE.fullmatch(size), "not a checkpoint")
        wanted[int(size)] = None
    for number, name in enumerate(names):
        match = SEGMENT.fullmatch(name)
        need(match, f"{name} is no segment")
        a_day(match[2])
        need(int(match[1]) == log.tree.size, f"{name} does not begin where it should")
        with open(segments / name, "rb") as segment:
            for octets in segment:
                if not octets.endswith(b"\n"):
                    need(number == len(names) - 1, "a segment ends in the middle of a line")
                    continue
                if log.tree.size in wanted:
                    wanted[log.tree.size] = log.tree.root()
                log.line(octets[:-1])
    if log.tree.size in wanted:
        wanted[log.tree.size] = log.tree.root()
    need(paper is None or log.keys, "the log announces no key")
    need(paper is None or log.checkpoints, "nothing is signed")
    for first, last, since in log.purged:
        covering = [before for start, end, before in log.purges if start <= first and last <= end]
        need(covering, f"records {first} to {last} are purged, and nobody says so")
        need(since is None or since - LATE_MAX < max(covering), f"records {first} to {last} were purged too early")
    for note in kept:
        opened = None
        for key in log.keys:
            try:
                opened = open_checkpoint(note, key)
                break
            except Fault:
                continue
        need(opened, "the kept checkpoint is not signed by a key of this log")
        need(opened[1] <= log.tree.size, "records are missing: the kept checkpoint has more")
        need(wanted[opened[1]] == opened[2], "two histories: the kept checkpoint has other records")
    return {"records": log.tree.size, "purged": log.gone, "keys": len(log.keys),
            "checkpoints": log.checkpoints, "signed": log.signed}


def check_proof(text, paper, message_id):
    head, found, note = text.partition("\n\n")
    need(found, "not a proof")
    lines = head.split("\n")
    need(len(lines) >= 3 and lines[0] == "c2sp.org/tlog-proof@v1", "not a proof")
    need(lines[1].startswith("extra ") and lines[2].startswith("index "), "not a proof")
    extra = strict_json(b64(lines[1][6:]).decode("utf-8"))
    need(SIZE.fullmatch(lines[2][6:]), "not an index")
    index, path = int(lines[2][6:]), [b64(line, 32) for line in lines[3:]]
    key = extra["first_key"]
    need(paper is None or key == paper, "the proof begins with another key")
    for number, endorsement in enumerate(extra["endorsements"]):
        epoch, _, key = open_endorsement(endorsement, key)
        need(epoch == number + 1, "an endorsement is out of order")
    _, size, root, _ = open_checkpoint(note, key)
    octets = extra["record"].encode("utf-8")
    record = strict_json(extra["record"])
    need(record["i"] == index, "another record")
    need(root_from_path(path, size, index, leaf_hash(octets)) == root, "the record is not in the log that was signed")
    if message_id is not None:
        sealed = record["body"].get("message_id")
        need(sealed and "opening_key" in extra, "there is nothing to open")
        opened = hmac.new(b64url(extra["opening_key"], 32), message_id.encode(), hashlib.sha256).digest()
        need(hmac.compare_digest(opened, b64url(sealed["seal"], 32)), "the record is not about this message")
    return {"index": index, "size": size}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--key")
    parser.add_argument("--checkpoint", action="append", default=[])
    parser.add_argument("--proof")
    parser.add_argument("--message-id")
    parser.add_argument("directories", nargs="*")
    arguments = parser.parse_args()
    kept = [pathlib.Path(name).read_text(encoding="utf-8") for name in arguments.checkpoint]
    works = []
    if arguments.proof:
        text = pathlib.Path(arguments.proof).read_bytes().decode("utf-8")
        works.append((arguments.proof, lambda: check_proof(text, arguments.key, arguments.message_id)))
    for name in arguments.directories:
        works.append((name, lambda name=name: verify(pathlib.Path(name), arguments.key, kept)))
    worst = 0
    for name, work in works:
        try:
            print(json.dumps({"of": name, "result": "holds", **work()}))
        except (Fault, KeyError, TypeError, OSError, UnicodeDecodeError) as fault:
            worst = 1
            print(json.dumps({"of": name, "result": "fault", "what": str(fault)}))
    sys.exit(worst)


if __name__ == "__main__":
    main()
