#!/usr/bin/env python3
"""Counts mails, distinct mails and threads of an archive, independently of Skein: what mailload verify must find.

usage: mailcount.py mails.tar.xz
"""
import hashlib, re, sys, tarfile

def header(head, name):
    found = re.search(rb"(?im)^" + name + rb"[ \t]*:((?:.*)(?:\n[ \t].*)*)", head)
    return found.group(1).replace(b"\n", b"").strip() if found else b""

def ids(value):
    return [re.sub(rb"\s", b"", m) for m in re.findall(rb"<([^<>]*@[^<>]*)>", value)]

mails = distinct = 0
seen, threads = set(), set()
for member in (archive := tarfile.open(sys.argv[1])):
    if "/data/" not in member.name or not member.name.endswith(".txt") or "file_list" in member.name:
        continue
    raw = archive.extractfile(member).read().replace(b"\r\n", b"\n")
    if raw.startswith(b"From "):
        raw = raw.split(b"\n", 1)[1]
    head, _, body = raw.partition(b"\n\n")
    digest = hashlib.sha256(b"\0".join([header(head, b"From"), header(head, b"Date"), body.rstrip(b"\n")])).hexdigest()
    own = (ids(header(head, b"Message-Id")) or [b""])[0]
    before = ids(header(head, b"References")) or ids(header(head, b"In-Reply-To"))[-1:]
    if not before and b"delivery-status" in header(head, b"Content-Type"):  # a report belongs to the mail that did not arrive
        returned = re.search(rb"(?is)\ncontent-type:[ \t]*(?:message/rfc822|text/rfc822-headers).*?\n\n(.*?)(?:\n\n|\n--|$)", body)
        lost = returned.group(1) if returned else b""
        before = ids(header(lost, b"References")) or ids(header(lost, b"In-Reply-To"))[-1:] or ids(header(lost, b"Message-Id"))
    mails += 1
    seen.add((own, digest))
    threads.add(before[0] if before else own or digest)
print(f"mails {mails}, distinct {len(seen)}, threads {len(threads)}")
