"""Colours of a PNG as Chromium writes it (8 bits, RGB or RGBA, not interlaced).

png.py FILE X,Y...   prints "R G B" of each pixel, a line each
"""
import struct
import sys
import zlib


def rows(data):
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, packed = 8, b""
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        chunk = data[at + 8:at + 8 + size]
        if kind == b"IHDR":
            width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", chunk)
            assert depth == 8 and colour in (2, 6) and not interlaced
            step = 3 if colour == 2 else 4
        elif kind == b"IDAT":
            packed += chunk
        at += size + 12
    raw = zlib.decompress(packed)
    above = bytearray(width * step)
    for y in range(height):
        begin = y * (width * step + 1)
        how, line = raw[begin], bytearray(raw[begin + 1:begin + 1 + width * step])
        for i in range(len(line)):
            a = line[i - step] if i >= step else 0
            b = above[i]
            c = above[i - step] if i >= step else 0
            if how == 1:
                add = a
            elif how == 2:
                add = b
            elif how == 3:
                add = (a + b) // 2
            elif how == 4:
                p = a + b - c
                add = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            else:
                add = 0
            line[i] = (line[i] + add) & 255
        yield step, line
        above = line


wanted = [tuple(map(int, pair.split(","))) for pair in sys.argv[2:]]
found = {}
with open(sys.argv[1], "rb") as file:
    for y, (step, line) in enumerate(rows(file.read())):
        for x, at in wanted:
            if at == y:
                found[x, at] = line[x * step:x * step + 3]
for place in wanted:
    print(*found[place])
