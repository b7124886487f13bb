"""A program that prints its file, and again when it hears of another, as Limitador 2.1.0 does.

It watches the folder by inotify. Of a rename it looks at the old name, so that a file that is
renamed to its own says nothing; a link on the way that is another now does.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys

MODIFY, MOVED_FROM, MOVED_TO = 0x2, 0x40, 0x80
path = sys.argv[1]
libc = ctypes.CDLL(None)
watch = libc.inotify_init1(os.O_CLOEXEC)
libc.inotify_add_watch(watch, os.path.dirname(path).encode(), MODIFY | MOVED_FROM | MOVED_TO)
place, before = os.path.realpath(path), ""
with open(path) as file:
    print(file.read())
while True:
    data = os.read(watch, 65536)
    while data:
        _, mask, _, length = struct.unpack_from("iIII", data)
        name, data = data[16 : 16 + length].rstrip(b"\0").decode(), data[16 + length :]
        if mask & MOVED_FROM:
            before = name
            continue
        first = name if mask & MODIFY else before
        if first == os.path.basename(path) or os.path.realpath(path) != place:
            place = os.path.realpath(path)
            with open(path) as file:
                print(file.read())
