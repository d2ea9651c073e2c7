"""A driver of one thread whose reads wait, in one way or another, for a device, which may be its own.

    deadlock.py NAME HOW NODE

HOW is "self": it opens NODE; "open": it reads a file of NODE that it has opened by then, on a write;
"fork": a child does, and it waits for the child; "pipe": it waits for what the child says. A read gives
the errno that was met, 0 for none. It speaks as in kfusd(4), and uses no feature.
"""
import os
import struct
import sys

REQUEST = struct.Struct("=IHHQQQQIIIIII")
READ, WRITE, OPEN = 35, 36, 32


def send(control, operation, number, body):
    os.write(control, struct.pack("=IHHQ", 16 + len(body), operation, 0, number) + body)


def errno_of(call):
    try:
        call()
        return 0
    except OSError as error:
        return error.errno


def look(node):
    with open(node, "rb", buffering=0) as file:
        file.read(1)


def in_child(control, node):
    child = os.fork()
    if child == 0:
        os.close(control)
        os._exit(errno_of(lambda: look(node)))
    return child


def by_fork(control, node):
    return os.waitstatus_to_exitcode(os.waitpid(in_child(control, node), 0)[1])


def by_pipe(control, node):
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(control)
        os.write(theirs, bytes([errno_of(lambda: look(node))]))
        os._exit(0)
    os.close(theirs)
    said = os.read(ours, 1)
    os.close(ours)
    os.waitpid(child, 0)
    return said[0]


def main(name, how, node):
    control = os.open("/dev/fusd/control", os.O_RDWR | os.O_CLOEXEC)
    os.read(control, 4096)
    send(control, 2, 0, struct.pack("=IIQ", 1, 0, 0))
    device = struct.pack("=QQIIIIIIQ", 1, 3, 1, 0o666, 0, 0, 0, len(name), 0)
    send(control, 3, 0, device + name.encode())
    print("ready", flush=True)
    kept = None
    while True:
        message = os.read(control, 2 << 20)
        _, operation, _, number, *_ = REQUEST.unpack_from(message)
        value, data = 0, b""
        if operation == READ:
            if how == "self":
                errno = errno_of(lambda: look(node))
            elif how == "open":
                errno = errno_of(lambda: os.read(kept, 1))
            elif how == "fork":
                errno = by_fork(control, node)
            else:
                errno = by_pipe(control, node)
            data = str(errno).encode()
        elif operation == WRITE:
            kept = os.open(node, os.O_RDWR)
            value = 1
        elif operation != OPEN:
            continue
        try:
            send(control, 5, number, struct.pack("=IIQ", 0, 0, value) + data)
        except FileNotFoundError:
            pass


if __name__ == "__main__":
    main(*sys.argv[1:])
