/*
 * Contender: the least that a kfusd driver can do. One thread, and for each request one ioctl(2),
 * which hands in the answer to the last one and waits for the next; every read of /dev/NAME gives
 * zeros. It is the yardstick for what libfusd adds on kfusd. kfusd(4) describes the messages.
 *
 * Usage: fusd-bench-kfusd NAME. Says "ready" when the node is there; ends with the connection.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { HELLO = 2, REGISTER = 3, REPLY = 5, OPEN = 32, READ = 35 };
enum { FEATURE_EXCHANGE = 1, IMPLEMENTS_READ = 1 };

#define EXCHANGE 0xc020f100u
/* Bytes of data in one request: what is read at most. */
#define TRANSFER_MAX (64 * 1024)

struct request {
	uint32_t length;
	uint16_t operation, flags;
	uint64_t id, device, file, cookie;
	uint32_t pid, tid, uid, gid, open_flags, reserved;
	uint64_t offset;
	uint32_t size;
};

struct command {
	uint32_t length;
	uint16_t operation, flags;
	uint64_t id;
};

struct hello {
	struct command head;
	uint32_t version, reserved;
	uint64_t features;
};

struct device {
	struct command head;
	uint64_t number, operations;
	uint32_t flags, mode, uid, gid, max_transfer, name_length;
	uint64_t reserved;
	char name[256];
};

struct reply {
	struct command head;
	uint32_t error, events;
	uint64_t value;
	char data[TRANSFER_MAX];
};

struct exchange {
	uint64_t command, buffer;
	uint32_t command_length, buffer_length;
	uint64_t reserved;
};

static struct reply answer = { .head.operation = REPLY };
static char message[TRANSFER_MAX + 4096] __attribute__((aligned(8)));

static int send_all(int control, const void *bytes, size_t length)
{
	return write(control, bytes, length) == (ssize_t)length ? 0 : -1;
}

static int greet(int control, const char *name)
{
	struct hello hello = { { sizeof hello, HELLO, 0, 0 }, 1, 0, FEATURE_EXCHANGE };
	struct device device = {
		.head = { 0, REGISTER, 0, 0 }, .number = 1, .operations = IMPLEMENTS_READ,
		.mode = 0600, .max_transfer = TRANSFER_MAX,
	};
	size_t length = strlen(name);

	if (length >= sizeof device.name) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(device.name, name, length);
	device.name_length = length;
	device.head.length = offsetof(struct device, name) + length;
	if (read(control, message, sizeof message) < 0 ||
	    send_all(control, &hello, sizeof hello) ||
	    send_all(control, &device, device.head.length))
		return -1;
	return send_all(STDOUT_FILENO, "ready\n", 6);
}

/* Makes the answer to the message, if there is one to be given. Returns its length. */
static uint32_t serve(void)
{
	const struct request *request = (const void *)message;

	if (request->operation != READ && request->operation != OPEN)
		return 0;
	answer.head.id = request->id;
	answer.head.length = offsetof(struct reply, data);
	if (request->operation == READ)
		answer.head.length += request->size;
	return answer.head.length;
}

int main(int count, char **arguments)
{
	struct exchange exchange = {
		(uintptr_t)&answer, (uintptr_t)message, 0, sizeof message, 0,
	};
	int control = open("/dev/fusd/control", O_RDWR);

	if (count != 2) {
		fputs("usage: fusd-bench-kfusd NAME\n", stderr);
		return 2;
	}
	if (control < 0 || greet(control, arguments[1])) {
		perror("fusd-bench-kfusd: cannot make the device");
		return 1;
	}
	for (;;) {
		if (ioctl(control, EXCHANGE, &exchange) < 0) {
			/* A client that was killed wants no answer. */
			if (errno != EINTR && errno != ENOENT) {
				perror("fusd-bench-kfusd: cannot go on");
				return 1;
			}
			exchange.command_length = 0;
			continue;
		}
		exchange.command_length = serve();
	}
}
