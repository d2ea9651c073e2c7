#!/usr/bin/env python3
"""A driver in plain Python: /dev/NAME says a text. It needs root and the kernel module kfusd.

    hello.py [NAME [TEXT]]

kfusd(4) describes the messages.
"""
import os
import struct
import sys

GREETING, HELLO, REGISTER, REPLY = 1, 2, 3, 5
OPEN, RELEASE, READ, INTERRUPT = 32, 33, 35, 48
REQUEST = struct.Struct("=IHHQQQQIIIIII")  # length, operation, flags, id, ..., open flags
TRANSFER = struct.Struct("=QII")  # offset, size
IMPLEMENTS_READ = 1


def send(control, operation, number, body):
    os.write(control, struct.pack("=IHHQ", 16 + len(body), operation, 0, number) + body)


def reply(control, number, data=b""):
    try:
        send(control, REPLY, number, struct.pack("=IIQ", 0, 0, 0) + data)
    except FileNotFoundError:
        pass  # The client was killed meanwhile.


def main(name="hello", text="Hello, world!"):
    text = text.encode() + b"\n"
    control = os.open("/dev/fusd/control", os.O_RDWR)
    limit = 4096 + struct.unpack_from("=II", os.read(control, 4096), REQUEST.size)[1]
    send(control, HELLO, 0, struct.pack("=IIQ", 1, 0, 0))
    node = struct.pack("=QQIIIIIIQ", 1, IMPLEMENTS_READ, 0, 0o444, 0, 0, 0, len(name), 0)
    send(control, REGISTER, 0, node + name.encode())
    print("ready", flush=True)
    while True:
        message = os.read(control, limit)
        _, operation, _, number, *_ = REQUEST.unpack_from(message)
        if operation == READ:
            offset, size, _ = TRANSFER.unpack_from(message, REQUEST.size)
            reply(control, number, text[offset:offset + size])
        elif operation == OPEN:
            reply(control, number)


if __name__ == "__main__":
    main(*sys.argv[1:])
