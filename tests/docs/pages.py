"""Reads pages: links, headings, and blocks of commands with what they print."""

import re

FENCE = re.compile(r"^```(\w*)\s*$")
COMMENT = re.compile(r"^<!-- run by (\S.*?) -->$")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`[^`]*`")


class Block:
    """Commands of a page, what they should print, and the test that runs them where this one cannot."""

    def __init__(self, line, text, elsewhere):
        self.line, self.text, self.elsewhere = line, text, elsewhere
        self.prints = []   # lines of the ```text block that follows at once


def blocks_of(text):
    """The ```sh blocks of a page, in order."""
    return read_page(text)[0]


def loose_outputs_of(text):
    """Lines at which a ```text block begins that is nobody's output: nothing would compare it."""
    return read_page(text)[1]


def read_page(text):
    blocks, loose = [], []
    fence, start, body, elsewhere, before = None, 0, [], None, None
    for number, line in enumerate(text.splitlines(), 1):
        mark = FENCE.match(line)
        if fence is None and mark:
            fence, start, body = mark[1], number + 1, []
        elif fence is not None and line.strip() == "```":
            if fence == "sh":
                before = Block(start, "\n".join(body) + "\n", elsewhere)
                blocks.append(before)
            elif fence == "text" and before:
                before.prints, before = [each for each in body if each.strip()], None
            elif fence == "text":
                loose.append(start)
            fence = elsewhere = None
        elif fence is not None:
            body.append(line)
        elif comment := COMMENT.match(line):
            elsewhere = comment[1]
        elif line.strip():
            elsewhere = before = None
    return blocks, loose


def pattern_of(line):
    """What a line of a page stands for: numbers and hashes may be others, blanks more, and … is anything."""
    words = []
    for part in re.split(r"(\b[0-9a-f]{8,}\b|\d+|\s+|…)", line.strip()):
        words.append(r"\d+" if part.isdigit() else r"[0-9a-f]+" if re.fullmatch("[0-9a-f]{8,}", part) else r"\s+" if part.isspace()
                     else ".*" if part == "…" else re.escape(part))
    return re.compile("".join(words))


def missing_of(lines, output):
    """The lines of a page that the output does not have."""
    printed = [each.strip() for each in re.split(r"[\r\n]+", output)]
    return [line for line in lines if not any(pattern_of(line).fullmatch(each) for each in printed)]


def without_code(text):
    """The page without its fenced blocks and inline code."""
    lines, inside = [], False
    for line in text.splitlines():
        if line.strip().startswith("```"):
            inside = not inside
        elif not inside:
            lines.append(line)
    return "\n".join(lines)


def links_of(text):
    return LINK.findall(CODE.sub("", without_code(text)))


def anchors_of(text):
    """The anchors that GitHub gives to the headings of a page."""
    anchors, seen = set(), {}
    for line in without_code(text).splitlines():
        if heading := re.match(r"#{1,6} (.*)", line):
            words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading[1].strip()).replace("`", "")
            anchor = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
            count = seen[anchor] = seen.get(anchor, -1) + 1
            anchors.add(f"{anchor}-{count}" if count else anchor)
    return anchors
