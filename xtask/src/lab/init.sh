#!/bin/sh
# The first program in a guest. The host's files are the root, read-only: all writes go to a layer
# in memory on top, and vanish with the guest.
#
# Beside this file: "ports", which names the devices that lead to the host; "leftovers", which looks
# for what a command left; "command", a script to run, or "shell", for an interactive guest.
#
# The ports: $terminal is the shell's; $output and $errors take what the command writes; $status
# takes the word "exit" and the status. The status goes its own way and may arrive first, so a mark
# ends the output, the errors and the kernel's log. When the host has all four it ends the guest.

PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
here=${0%/*}
. "$here/ports"
. "$here/leftovers"

fail() {
    await "$status"
    echo "lab: $1" >"$status"
    exec sleep 600
}

# The kernel finds some ports while this is running already.
await() {
    until [ -e "$1" ]; do sleep 0.02; done
}

# What is written there arrives as it is.
raw() {
    await "$1"
    case $1 in
    /dev/tty*) stty -F "$1" raw ;;
    esac
}

if [ "$1" != inside ]; then
    # /sys is there on every host and not needed yet.
    mount -t tmpfs -o size=75%,mode=755 lab /sys || fail "cannot mount a tmpfs"
    mkdir /sys/upper /sys/work /sys/root /sys/upper/.host
    mount -t overlay -o lowerdir=/,upperdir=/sys/upper,workdir=/sys/work overlay /sys/root ||
        fail "cannot put a layer over the host's files"
    mount -t devtmpfs dev /sys/root/dev || fail "cannot mount /dev"
    mount -t proc proc /sys/root/proc || fail "cannot mount /proc"
    cd /sys/root || fail "cannot enter the layer"
    pivot_root . .host || fail "cannot make the layer the root"
    exec chroot . "$0" inside
fi

cd /
mount -t sysfs sys /sys
mount -t debugfs debug /sys/kernel/debug 2>/dev/null
mount -t configfs config /sys/kernel/config 2>/dev/null
umount -l /.host && rmdir /.host
mkdir -p /dev/pts /dev/shm
mount -t devpts -o ptmxmode=666,mode=620 devpts /dev/pts
mount -t tmpfs -o mode=1777 shm /dev/shm
mount -t tmpfs -o mode=755 run /run
mkdir -p -m 1777 /run/lock
mkdir -p -m 700 /run/user/0
mount -t fusectl fusectl /sys/fs/fuse/connections
mount -t cgroup2 cgroup2 /sys/fs/cgroup 2>/dev/null
ln -sf /proc/self/fd /dev/fd
ln -sf fd/0 /dev/stdin
ln -sf fd/1 /dev/stdout
ln -sf fd/2 /dev/stderr
chmod 666 /dev/ptmx /dev/fuse
echo lab >/proc/sys/kernel/hostname
ip link set lo up 2>/dev/null || ifconfig lo up 2>/dev/null

raw "$status"
if [ -e "$here/shell" ]; then
    setsid -c -w "$here/shell" <"$terminal" >"$terminal" 2>&1
    echo "exit $?" >"$status"
    exec sleep 600
fi

# The command writes to pipes, as it would under any other harness, not to a terminal.
raw "$output"
raw "$errors"
exec 8>"$output" 9>"$errors"
mkfifo /run/lab.1 /run/lab.2
cat /run/lab.1 >&8 &
first=$!
cat /run/lab.2 >&9 &
second=$!
setsid -w "$here/command" </dev/null >/run/lab.1 2>/run/lab.2 8>&- 9>&-
result=$?
# What the command left running may hold the pipes: it gets two seconds.
(linger 20 && kill $first $second) 2>/dev/null &
wait $first $second 2>/dev/null
mark="lab: end of ${here##*/}"
printf '%s' "$mark" >&8
printf '%s' "$mark" >&9
kill_all
find_leaks
echo "<6>$mark" >/dev/kmsg
echo "exit $result" >"$status"
exec sleep 600
