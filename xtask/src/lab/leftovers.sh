# What a command left behind in the guest that nobody can remove. A part of the first program.
#
# Each finding is a line of the kernel's log: there the host looks for faults.

# How long a killed process may take to end, in seconds (a busy host's guest is slow), and how often
# to look at least: a clock that counts instructions leaps while all wait.
patience=20
looks=30

tell() {
    echo "<3>lab: $1" >/dev/kmsg
}

seconds() {
    read -r now _ </proc/uptime
    echo "${now%.*}"
}

# Waits for some tenths of a second, and not in one go: see $looks.
linger() {
    tenths=$1
    while [ "$tenths" -gt 0 ]; do
        sleep 0.1
        tenths=$((tenths - 1))
    done
}

# Fills $left with the threads of programs that did not end, each as its name, its number and its
# state. Threads of the kernel are none; of this program, without a part in the background, there is
# one.
find_survivors() {
    left=
    grep -sl '^Kthread:.0' /proc/[0-9]*/task/[0-9]*/status >/run/lab.threads
    while read -r file; do
        name= state= value=
        {
            while read -r key value _; do
                case $key in
                Name:) name=$value ;;
                State:) state=$value ;;
                Pid:) break ;;
                esac
            done <"$file"
        } 2>/dev/null
        case $state-$value in
        # What is dead waits for this program to ask how it ended, which it does not.
        Z-* | X-* | *-1 | *-) ;;
        *) left="$left $name ($value, state $state)" ;;
        esac
    done </run/lab.threads
}

# Kills all but this program, and tells who cannot be killed.
kill_all() {
    kill -KILL -1 2>/dev/null
    end=$(($(seconds) + patience))
    look=0
    while
        find_survivors
        look=$((look + 1))
        [ -n "$left" ] && { [ $look -lt $looks ] || [ "$(seconds)" -lt $end ]; }
    do
        sleep 0.1
    done
    [ -n "$left" ] || return
    tell "unkillable task after $patience s:$left"
    # The kernel shows where they sleep.
    echo w >/proc/sysrq-trigger
}

# Tells what memory of the kernel nothing refers to any more, where it keeps account.
find_leaks() {
    report=/sys/kernel/debug/kmemleak
    [ -e $report ] || return
    # It names nothing younger than 5 s (MSECS_MIN_AGE), as that may be on its way.
    sleep 5.5
    # What the first look takes for lost may have moved meanwhile.
    echo scan >$report
    echo scan >$report
    head -n 200 $report | while IFS= read -r line; do
        tell "$line"
    done
}
