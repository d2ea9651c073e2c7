#!/usr/bin/env perl
# A driver in plain Perl: /dev/NAME says a text. It needs root and the kernel module kfusd.
#
#     hello.pl [NAME [TEXT]]
#
# kfusd(4) describes the messages.
use strict;
use warnings;
use Errno;
use Fcntl;

my ($HELLO, $REGISTER, $REPLY, $OPEN, $READ) = (2, 3, 5, 32, 35);
my ($name, $text) = ($ARGV[0] // "hello", ($ARGV[1] // "Hello, world!") . "\n");

sysopen(my $control, "/dev/fusd/control", O_RDWR) or die "open /dev/fusd/control: $!\n";

sub post {
    my ($operation, $number, $body) = @_;
    my $message = pack("LSSQ", 16 + length $body, $operation, 0, $number) . $body;
    return syswrite($control, $message);
}

sub reply {
    my ($number, $data) = @_;
    # No such request: the client was killed meanwhile.
    post($REPLY, $number, pack("LLQ", 0, 0, 0) . $data) or $!{ENOENT} or die "reply: $!\n";
}

sysread($control, my $greeting, 4096) or die "read: $!\n";
my $limit = 4096 + unpack("x64 x4 L", $greeting);
post($HELLO, 0, pack("LLQ", 1, 0, 0)) or die "hello: $!\n";
my $node = pack("QQLLLLLLQ", 1, 1, 0, 0444, 0, 0, 0, length $name, 0);
post($REGISTER, 0, $node . $name) or die "register $name: $!\n";
$| = 1;
print "ready\n";

while (defined sysread($control, my $message, $limit)) {
    my ($operation, $number) = unpack("x4 S x2 Q", $message);
    if ($operation == $READ) {
        my ($offset, $size) = unpack("x64 Q L", $message);
        reply($number, $offset < length $text ? substr($text, $offset, $size) : "");
    } elsif ($operation == $OPEN) {
        reply($number, "");
    }
}
die "read: $!\n";
