"""Says what a screenshot shows: size, how many colours, and the colour of the paper.

Reads PNG as browsers write it: eight bits a channel, RGB or RGBA, not interlaced.
"""

import collections
import json
import struct
import sys
import zlib


def rows(path):
    with open(path, "rb") as file:
        content = file.read()
    assert content[:8] == b"\x89PNG\r\n\x1a\n", "not a PNG"
    at, head, packed = 8, None, b""
    while at < len(content):
        length, kind = struct.unpack(">I4s", content[at : at + 8])
        part = content[at + 8 : at + 8 + length]
        at += 12 + length
        if kind == b"IHDR":
            head = struct.unpack(">IIBBBBB", part)
        elif kind == b"IDAT":
            packed += part
    width, height, depth, colour, _, _, interlaced = head
    assert depth == 8 and colour in (2, 6) and not interlaced, head
    step = 3 if colour == 2 else 4
    pixels, above = zlib.decompress(packed), bytearray(width * step)
    for row in range(height):
        start = row * (width * step + 1)
        yield width, height, step, (line := unfilter(pixels, start, above, step))
        above = line


def unfilter(pixels, start, above, step):
    kind, line = pixels[start], bytearray(pixels[start + 1 : start + 1 + len(above)])
    for i, value in enumerate(line):
        left = line[i - step] if i >= step else 0
        up, corner = above[i], above[i - step] if i >= step else 0
        if kind == 1:
            value += left
        elif kind == 2:
            value += up
        elif kind == 3:
            value += (left + up) // 2
        elif kind == 4:
            guess = left + up - corner
            distance = [abs(guess - near) for near in (left, up, corner)]
            value += (left, up, corner)[distance.index(min(distance))]
        line[i] = value & 255
    return line


colours = collections.Counter()
for width, height, step, line in rows(sys.argv[1]):
    colours.update(bytes(line[i : i + 3]) for i in range(0, len(line), step))
paper, count = colours.most_common(1)[0]
print(
    json.dumps(
        {
            "width": width,
            "height": height,
            "colours": len(colours),
            "paper": list(paper),
            "paper_share": count / (width * height),
        }
    )
)
