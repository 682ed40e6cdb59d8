"""Runs a program as somebody at a terminal sees it."""

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import threading

ROWS, COLUMNS = 50, 200
WIPED = re.compile(r"[^\n]*\r\x1b\[K")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def run_in_terminal(words, environment, folder, timeout_s):
    """Exit code (None: it took too long) and all that the program and its children wrote, line ends as in files. Whatever it has left in
    its session is killed."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    pieces = []

    def read():
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:   # nobody holds the other end any more
                return
            pieces.append(piece)

    process = subprocess.Popen(words, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        code = process.wait(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        code = None
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
    reader.join(timeout=10)
    os.close(ours)
    return code, seen(b"".join(pieces).decode(errors="replace"))


def seen(text):
    """What is left to see: without lines that were wiped (progress), and without colours."""
    return COLOUR.sub("", WIPED.sub("", text.replace("\r\n", "\n")))
