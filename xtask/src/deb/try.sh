# What the units are for, tried under systemd in a system of its own. /fusd/right says that all is well.

mkdir -p /etc/fusd
echo 'ARGS=--mode 640 "two  words"' >/etc/fusd/greeting.conf
echo 'ARGS=--no-such-option' >/etc/fusd/bad.conf
echo 'ARGS=--records line' >/etc/fusd/sub-jobs.conf
echo 'ARGS=loop' >/etc/fusd/line.conf
echo 'ARGS=--ask secret --helper "echo hunter2; :"' >/etc/fusd/secret.conf
show() { systemctl show --value --property "$1" "$2"; }

systemctl start fusd-echo@greeting
test "$(cat /dev/greeting)" = 'two  words'
test "$(stat -c %a /dev/greeting)" = 640
systemctl start fusd-pipe@sub-jobs
echo one >/dev/sub/jobs
test "$(head -c 4 /dev/sub/jobs)" = one

systemctl start fusd-serial-proxy@line
# In a process that leads no session: it would get the terminal for its own, and end with it.
(
    exec 3<>/dev/line
    echo tested >&3
    test "$(head -n 1 <&3)" = tested
)

systemctl start fusd-prompt@secret
test "$(cat /dev/secret)" = hunter2

perl -MIO::Socket::INET -e '
    $| = 1;
    my $server = IO::Socket::INET->new(Listen => 5, LocalAddr => "127.0.0.1") or die;
    print $server->sockport, "\n";
    while (my $client = $server->accept) {
        while (<$client>) { last if /^\r?$/ }
        print $client "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nsunny\n";
    }' >/run/port &
server=$!
until test -s /run/port; do sleep 0.05; done
echo "ARGS=http://127.0.0.1:$(cat /run/port)/" >/etc/fusd/weather.conf
systemctl start fusd-http@weather
test "$(cat /dev/weather)" = sunny

# The devices of the configuration file: all of them, and only as it says.
cat >/etc/fusd/devices.toml <<'END'
[device.motd]
tool = "echo"
args = ["Good morning!"]
[device."bus/port-0"]
tool = "pipe"
mode = "0600"
END
systemctl daemon-reload
systemctl enable --now fusd.target
test "$(cat /dev/motd)" = 'Good morning!'
test "$(stat -c %a /dev/bus/port-0)" = 600
test "$(show MainPID 'fusd@bus-port\x2d0')" != 0
systemctl stop fusd.target
until test "$(show ActiveState fusd@motd)" = inactive; do sleep 0.05; done
test ! -e /dev/motd

# It is started again when it was killed.
killed=$(show MainPID fusd-echo@greeting)
kill -KILL "$killed"
until test "$(show NRestarts fusd-echo@greeting)" = 1 -a "$(show SubState fusd-echo@greeting)" = running; do
    sleep 0.05
done
test "$(cat /dev/greeting)" = 'two  words'

# What cannot be is not tried again.
if systemctl start fusd-echo@bad; then exit 1; fi
test "$(show ExecMainStatus fusd-echo@bad)" = 2
test "$(show NRestarts fusd-echo@bad)" = 0

systemctl stop fusd-echo@greeting fusd-pipe@sub-jobs fusd-serial-proxy@line fusd-prompt@secret fusd-http@weather
for node in greeting sub line secret weather; do
    test ! -e /dev/$node
done
test "$(show Result fusd-echo@greeting)" = success
kill $server
: >/fusd/right
