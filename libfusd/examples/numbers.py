#!/usr/bin/env python3
"""A driver in plain Python that can be restarted under open files: each read of /dev/NAME gives the
next number, to each file its own. It needs root and the kernel module kfusd.

    numbers.py [NAME]

Killed and started again, it goes on where it was. A service manager that keeps descriptors for it
(systemd: FileDescriptorStoreMax=1, Restart=always, NotifyAccess=main) holds its control file meanwhile;
without one, the device waits for ten seconds. kfusd(4) describes the messages.
"""
import array
import fcntl
import os
import socket
import struct
import sys

HELLO, REGISTER, REPLY, COOKIE, RESUME = 2, 3, 5, 12, 13
OPEN, RELEASE, READ, SUCCESSOR = 32, 33, 35, 51
REQUEST = struct.Struct("=IHHQQQQIIIIII")  # length, operation, flags, id, device, file, cookie, ...
ADOPT = 0xC018F102
FEATURE_KEEP = 16
IMPLEMENTS_READ = 1
STREAM, KEEP, AGAIN = 1, 4, 8
WAIT = 60_000  # milliseconds: for as long as a slow machine may need to start it again


def send(control, operation, number=0, body=b""):
    os.write(control, struct.pack("=IHHQ", 16 + len(body), operation, 0, number) + body)


def reply(control, number, value=0, data=b""):
    try:
        send(control, REPLY, number, struct.pack("=IIQ", 0, 0, value) + data)
        return True
    except FileNotFoundError:
        return False  # The client was killed meanwhile.


def kept():
    """The control file that the service manager has kept, if any (sd_listen_fds_with_names(3))."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return None
    names = os.environ.get("LISTEN_FDNAMES", "").split(":")
    return 3 + names.index("control") if "control" in names else None


def keep(control):
    """Has the service manager keep the control file (sd_pid_notify_with_fds(3))."""
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        address = address.replace("@", "\0", 1)
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [control]))]
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.sendmsg([b"READY=1\nFDSTORE=1\nFDNAME=control"], rights, 0, address)


def begin(name):
    """The control file: kept, or taken over from a driver that is gone, or new."""
    control = kept()
    if control is not None:
        send(control, RESUME)
        return control
    control = os.open("/dev/fusd/control", os.O_RDWR)
    os.read(control, 4096)
    send(control, HELLO, 0, struct.pack("=IIQ", 1, 0, FEATURE_KEEP))
    flags = STREAM | KEEP | AGAIN
    node = struct.pack("=QQIIIIIIII", 1, IMPLEMENTS_READ, flags, 0o444, 0, 0, 0, len(name), WAIT, 0)
    try:
        send(control, REGISTER, 0, node + name.encode())
    except FileExistsError:
        text = array.array("B", name.encode())
        argument = struct.pack("=QIIQ", text.buffer_info()[0], len(text), 0, 0)
        control = fcntl.ioctl(control, ADOPT, bytearray(argument))
    keep(control)
    return control


def main(name="numbers"):
    control = begin(name)
    print("ready", flush=True)
    while True:
        message = os.read(control, 1 << 21)
        _, operation, _, number, _, file, last, *_ = REQUEST.unpack_from(message)
        if operation == OPEN:
            reply(control, number)
        elif operation == READ:
            # Killed between the two, it gives the same number again.
            if reply(control, number, data=b"%d\n" % (last + 1)):
                send(control, COOKIE, 0, struct.pack("=QQ", file, last + 1))
        elif operation == SUCCESSOR:
            return


if __name__ == "__main__":
    main(*sys.argv[1:])
