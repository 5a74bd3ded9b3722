#!/usr/bin/env python3
"""Prints which mails of an archive refer to one another, independently of Skein: a line of file names for each component.

usage: mailgraph.py mails.tar.xz

A message id is what stands in angle brackets and holds an "@", without white space. A mail is joined to its own Message-ID, to every id of
References, to the last one of In-Reply-To, and a delivery report to the mail that it reports on. One without any id, or whose own
has no "@", is joined to its like.
"""
import email, hashlib, re, sys, tarfile

def field(mail, name):
    return [v for n, v in mail.raw_items() if n.lower() == name]

def ids(values):
    return [i for v in values for i in (re.sub(r"\s", "", m) for m in re.findall(r"<([^<>]*)>", v)) if "@" in i]

def own(mail):
    value = (field(mail, "message-id") or [""])[0]
    found = re.search(r"<([^<>]*)>", value)
    return re.sub(r"\s", "", found.group(1) if found else value.strip("<> \t"))

def before(mail):
    return ids(field(mail, "references")) + ids(field(mail, "in-reply-to"))[-1:]

up = {}

def top(x):
    while up.setdefault(x, x) != x:
        up[x] = x = up[up[x]]
    return x

files = []
for member in (archive := tarfile.open(sys.argv[1])):
    if "/data/" not in member.name or not member.name.endswith(".txt") or "file_list" in member.name:
        continue
    raw = archive.extractfile(member).read()
    mail, name = email.message_from_bytes(raw), "/".join(member.name.split("/")[-2:])
    nodes = before(mail)
    if mail.get_content_type() == "multipart/report":
        lost = [p.get_payload(0) if p.is_multipart() else email.message_from_string(p.get_payload())
                for p in mail.walk() if p.get_content_type() in ("message/rfc822", "text/rfc822-headers")]
        nodes += [i for m in lost for i in [own(m)] + ([] if nodes else before(m)[:1])]
    digest = hashlib.sha256(re.sub(rb"[\r\n]+$", b"", re.split(rb"\r?\n\r?\n", raw, maxsplit=1)[-1])).hexdigest()
    if "@" in own(mail) or not nodes:
        nodes.append(own(mail) or f"{mail['from']} {mail['date']} {digest}")
    for node in nodes:
        up[top(node)] = top(nodes[0])
    files.append((name, nodes[0]))
components = {}
for name, node in sorted(files):
    components.setdefault(top(node), []).append(name)
for names in sorted(components.values()):
    print(*names)
