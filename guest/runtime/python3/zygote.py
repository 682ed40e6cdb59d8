"""The python3 runtime: an interpreter that is started once and forked into each container.

The agent (guest/agent/zygote.cc) sends one packet per container with four descriptors: the holder whose namespaces the
child enters, cgroup.procs, the run socket, the log pipe. The child gives up every right, says that it is prepared, and
waits on the run socket, first for the function that it will be, then for run requests. Messages are those of
guest/agent/fields.h.
"""
import ctypes
import gc
import importlib
import json
import os
import pkgutil
import resource
import select
import signal
import socket
import struct
import sys
import time
import traceback

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWPID, CLONE_NEWNET = 0x20000, 0x4000000, 0x8000000, 0x20000000, 0x40000000
PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 4, 22, 24, 38
SECCOMP_MODE_FILTER = 2
EINVAL = 22
MAX_OUTPUT_BYTES = 1 << 20
MAX_ERROR_MESSAGE_BYTES = 4 << 10
MAX_ERROR_TYPE_BYTES = 128
MAX_OPEN_FILES = 1024
MAX_FILE_BYTES = 512 << 20
RUN_FD = 3
READ_BYTES = 64 << 10
REHEARSAL = "/usr/lib/hearth/python3/rehearsal"
OK, ERROR = b"ok", b"error"
ONE, THREE = struct.Struct("<I"), struct.Struct("<III")

libc = ctypes.CDLL(None, use_errno=True)


# What json.loads and json.dumps would make or look up anew for each call. An emulated machine pays for each step.
from_json = json.JSONDecoder().decode
scan_json = json.JSONDecoder().scan_once
json_default = json.JSONEncoder(ensure_ascii=False, allow_nan=False).default
seen = {}  # the encoder's: the objects that it is inside of


def to_json(value):
    try:
        return "".join(encode_json(value, 0))
    finally:
        if seen:  # it was left by an exception
            seen.clear()


encode_json = json.encoder.c_make_encoder(seen, json_default, json.encoder.encode_basestring, None, ": ", ", ", False, False, False)


class SockFprog(ctypes.Structure):
    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


def check(result, what):
    if result != 0:
        raise OSError(ctypes.get_errno(), what)


def encode(*fields):
    raw = [field if isinstance(field, bytes) else str(field).encode("utf-8", "backslashreplace") for field in fields]
    body = struct.pack("<I", len(raw)) + b"".join(struct.pack("<I", len(field)) + field for field in raw)
    return struct.pack("<I", len(body)) + body


def decode(body):
    (count,) = struct.unpack_from("<I", body)
    fields, at = [], 4
    for _ in range(count):
        (size,) = struct.unpack_from("<I", body, at)
        fields.append(bytes(body[at + 4:at + 4 + size]))
        at += 4 + size
    return fields


def read_exactly(count):
    data = os.read(RUN_FD, count)
    while len(data) < count:
        more = os.read(RUN_FD, count - len(data)) if data else b""
        if not more:
            os._exit(0)  # the agent let the container go
        data += more
    return data


def read_run():
    """The head and the input of the next run request. One system call where the input is small."""
    data = os.read(RUN_FD, READ_BYTES)
    while len(data) < 4 or len(data) < 4 + struct.unpack_from("<I", data)[0]:
        more = os.read(RUN_FD, MAX_OUTPUT_BYTES) if data else b""
        if not more:
            os._exit(0)  # the agent let the container go
        data += more
    end = 12 + THREE.unpack_from(data)[2]
    return data[12:end], data[end + 4:]


def send(message):
    sent = os.write(RUN_FD, message)
    while sent < len(message):
        sent += os.write(RUN_FD, memoryview(message)[sent:])


def encode_answer(head, output):
    """encode(head, output) of bytes, in few steps: emulated machines pay for each."""
    return b"%b%b%b%b" % (THREE.pack(12 + len(head) + len(output), 2, len(head)), head, ONE.pack(len(output)), output)


class Context:
    """What a handler learns about its invocation. Taken apart only when the first of it is asked for."""

    __slots__ = ("_head", "invocation_id", "attempt", "deadline_ms", "traceparent", "content_type")

    function = version = memory_mib = None  # the same for all invocations of a container

    def __init__(self, head):
        self._head = head

    def __getattr__(self, name):
        if name not in Context.__slots__:
            raise AttributeError(name)
        lines = self._head.decode("utf-8", "replace").split("\n", 4)
        self.invocation_id, attempt, deadline, self.traceparent, self.content_type = lines
        self.attempt, self.deadline_ms = int(attempt), int(deadline)
        return getattr(self, name)

    def remaining_ms(self):
        """Milliseconds until the invocation is killed."""
        return max(0, self.deadline_ms - time.time_ns() // 1_000_000)


def decode_event(data):
    """JSON where the input is JSON, else text, else bytes. No input is None."""
    if not data:
        return None
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return data
    try:
        value, end = scan_json(text, 0)
        if end == len(text):
            return value
    except StopIteration:
        pass
    except (ValueError, RecursionError):
        return text
    try:
        return from_json(text)  # white space around it, or no JSON
    except (ValueError, RecursionError):
        return text


def encode_output(value):
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, str):
        return value.encode()
    return to_json(value).encode()


def flush():
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # user code may have put anything there
            pass


def load(handler):
    module, _, name = handler.rpartition(".")
    if not module:
        raise ImportError(f"handler '{handler}' is not of the form module.function")
    try:
        function = getattr(importlib.import_module(module), name)
    except AttributeError as error:
        raise ImportError(str(error)) from error
    if not callable(function):
        raise ImportError(f"handler '{handler}' is not callable")
    return function


def cut(text, most):
    """At most so many bytes of UTF-8, and no part of a letter."""
    return text[:most].encode("utf-8", "backslashreplace")[:most].decode("utf-8", "ignore")


def describe(error):
    return cut(type(error).__name__, MAX_ERROR_TYPE_BYTES), cut(str(error), MAX_ERROR_MESSAGE_BYTES)


def leave(error):
    """sys.exit() in user code ends the process, as it says."""
    flush()
    code = error.code
    if code is not None and not isinstance(code, int):
        print(code, file=sys.stderr, flush=True)
        code = 1
    os._exit((code or 0) & 0xFF)


def serve(handler, function_name, version, memory_mib):
    Context.function, Context.version, Context.memory_mib = function_name, version, memory_mib
    function = failure = None
    try:
        function = load(handler)
    except SystemExit as error:
        leave(error)
    except BaseException as error:
        traceback.print_exc()
        failure = ("ImportError", ": ".join(describe(error)) if not isinstance(error, ImportError) else describe(error)[1])
    while True:
        head, data = read_run()
        context = Context(head)
        status, output = OK, b""
        event = decode_event(data)
        started = time.monotonic_ns()
        try:
            if failure:
                status, (error_type, message) = ERROR, failure
            else:
                output = encode_output(function(event, context))
        except SystemExit as error:
            leave(error)
        except BaseException as error:
            traceback.print_exc()
            status, (error_type, message) = ERROR, describe(error)
        ended = time.monotonic_ns()
        del event
        flush()
        if len(output) > MAX_OUTPUT_BYTES:
            status, error_type = ERROR, "result_too_large"
            message = f"{len(output)} bytes, the limit is {MAX_OUTPUT_BYTES}"
        head = b"%b %d %d" % (status, started // 1000, ended // 1000)
        send(encode_answer(head, output) if status is OK else encode(head, error_type, message))


def enter(uid, fds, seccomp_program):
    """Into the container that the holder stands for, without any right from then on."""
    holder, procs, run, log = fds
    os.write(procs, b"0")
    check(libc.setns(holder, CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET), "setns")
    os.setsid()
    run, log = (os.dup2(fd, 100 + i, inheritable=False) for i, fd in enumerate((run, log)))
    os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.dup2(run, RUN_FD, inheritable=False)
    os.closerange(RUN_FD + 1, 65536)
    resource.setrlimit(resource.RLIMIT_NOFILE, (MAX_OPEN_FILES, MAX_OPEN_FILES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_FILE_BYTES, MAX_FILE_BYTES))
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    check(libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), "dumpable")  # else /proc/self belongs to root
    check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no-new-privileges")
    program = SockFprog(len(seccomp_program) // 8, ctypes.cast(ctypes.c_char_p(seccomp_program), ctypes.c_void_p))
    check(libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0), "seccomp")


def rehearse():
    """Does once what every function's first run does, so that its own finds the memory for it touched already."""
    sys.path[0] = REHEARSAL
    encode_output(load("rehearsal.handler")(decode_event(b'{"a": [1, "b", 2.5, null, true]}'), Context(b"")))
    del sys.modules["rehearsal"], sys.path_importer_cache[REHEARSAL]
    sys.path[0] = "/code"
    pkgutil.get_importer("/code")  # it looks into the folder when the first import does


def become(uid, fds, seccomp_program):
    """Enters the container, waits for its function, and runs that. Never returns."""
    enter(uid, fds, seccomp_program)
    os.environ.clear()
    sys.path.insert(0, "/code")
    sys.stdout.reconfigure(line_buffering=True, encoding="utf-8", errors="backslashreplace")
    sys.stderr.reconfigure(line_buffering=True, encoding="utf-8", errors="backslashreplace")
    # A process that user code forks must not answer in our name.
    os.register_at_fork(after_in_child=lambda: os.close(RUN_FD))
    rehearse()
    send(encode("prepared"))
    handler, function_name, version, memory_mib, *names = decode(read_exactly(*ONE.unpack(read_exactly(ONE.size))))
    os.chdir("/code")  # it is there now
    for name, value in zip(names[0::2], names[1::2]):
        os.environb[name] = value
    sys.argv = [handler.decode()]
    serve(handler.decode(), function_name.decode(), int(version), int(memory_mib))


def main():
    control = socket.socket(fileno=3)
    seccomp_program = os.read(4, 1 << 16)
    os.close(4)
    own_pidfd = os.pidfd_open(os.getpid())
    for capability in range(64):  # no child may ever have one; this process keeps those it needs
        if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0 and ctypes.get_errno() != EINVAL:
            raise OSError(ctypes.get_errno(), "drop capabilities")
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    children = {}  # pidfd -> (pid, container)
    waiter = select.poll()
    waiter.register(control, select.POLLIN)
    gc.collect()
    gc.freeze()
    while True:
        for fd, _ in waiter.poll():
            if fd != control.fileno():
                pid, container = children.pop(fd)
                waiter.unregister(fd)
                os.close(fd)
                control.send(encode(container, os.waitpid(pid, 0)[1]))
                continue
            packet, fds, _, _ = socket.recv_fds(control, 1 << 17, 4)
            if not packet:
                return
            fields = decode(packet[4:])
            if libc.setns(fds[0], CLONE_NEWPID) != 0:  # the container was let go before its turn came
                for unused in fds:
                    os.close(unused)
                continue
            pid = os.fork()
            if pid == 0:
                try:
                    become(int(fields[1]), fds, seccomp_program)
                except BaseException:
                    traceback.print_exc()
                    flush()
                finally:
                    os._exit(71)
            check(libc.setns(own_pidfd, CLONE_NEWPID), "setns pid back")
            for used in fds:
                os.close(used)
            pidfd = os.pidfd_open(pid)
            children[pidfd] = (pid, fields[0])
            waiter.register(pidfd, select.POLLIN)


if __name__ == "__main__":
    main()
