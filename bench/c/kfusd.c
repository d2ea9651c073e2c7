/*
 * Contender: the least that a kfusd driver can do. For each request one ioctl(2), which hands in the
 * answer to the last one and waits for the next; every read of /dev/NAME gives zeros, and every write
 * is taken whole. It is the yardstick for what libfusd adds on kfusd. kfusd(4) describes the messages.
 *
 * Usage: fusd-bench-kfusd NAME [WORKERS [TURNS]]. WORKERS threads serve (1), and each answer takes
 * TURNS turns of a loop (0). Says "ready" when the node is there; ends with the connection.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { HELLO = 2, REGISTER = 3, REPLY = 5, OPEN = 32, READ = 35, WRITE = 36 };
enum { FEATURE_EXCHANGE = 1, IMPLEMENTS_READ = 1, IMPLEMENTS_WRITE = 2 };

#define EXCHANGE 0xc020f100u
/* Bytes of data in one request: what is read or written at most. */
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

struct worker {
	struct reply answer;
	char message[TRANSFER_MAX + 4096] __attribute__((aligned(8)));
};

static struct worker first = { .answer.head.operation = REPLY };
static int control;
static unsigned long turns;

static int send_all(int to, const void *bytes, size_t length)
{
	return write(to, bytes, length) == (ssize_t)length ? 0 : -1;
}

static int greet(struct worker *worker, const char *name)
{
	struct hello hello = { { sizeof hello, HELLO, 0, 0 }, 1, 0, FEATURE_EXCHANGE };
	struct device device = {
		.head = { 0, REGISTER, 0, 0 }, .number = 1, .mode = 0600,
		.operations = IMPLEMENTS_READ | IMPLEMENTS_WRITE, .max_transfer = TRANSFER_MAX,
	};
	size_t length = strlen(name);

	if (length >= sizeof device.name) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(device.name, name, length);
	device.name_length = length;
	device.head.length = offsetof(struct device, name) + length;
	if (read(control, worker->message, sizeof worker->message) < 0 ||
	    send_all(control, &hello, sizeof hello) ||
	    send_all(control, &device, device.head.length))
		return -1;
	return send_all(STDOUT_FILENO, "ready\n", 6);
}

/* Makes the answer to the message, if there is one to be given. Returns its length. */
static uint32_t serve(struct worker *worker)
{
	const struct request *request = (const void *)worker->message;
	struct reply *answer = &worker->answer;

	if (request->operation != READ && request->operation != WRITE && request->operation != OPEN)
		return 0;
	for (volatile unsigned long turn = 0; turn < turns; turn++)
		;
	answer->head.id = request->id;
	answer->head.length = offsetof(struct reply, data);
	answer->value = request->operation == WRITE ? request->size : 0;
	if (request->operation == READ)
		answer->head.length += request->size;
	return answer->head.length;
}

static void *work(void *argument)
{
	struct worker *worker = argument;
	struct exchange exchange = {
		(uintptr_t)&worker->answer, (uintptr_t)worker->message, 0, sizeof worker->message, 0,
	};

	for (;;) {
		if (ioctl(control, EXCHANGE, &exchange) < 0) {
			/* A client that was killed wants no answer. */
			if (errno != EINTR && errno != ENOENT) {
				perror("fusd-bench-kfusd: cannot go on");
				return NULL;
			}
			exchange.command_length = 0;
			continue;
		}
		exchange.command_length = serve(worker);
	}
}

int main(int count, char **arguments)
{
	unsigned long workers = count > 2 ? strtoul(arguments[2], NULL, 10) : 1;
	struct worker *others = workers > 1 ? calloc(workers - 1, sizeof *others) : NULL;
	pthread_t thread;

	if (count < 2 || count > 4 || workers == 0) {
		fputs("usage: fusd-bench-kfusd NAME [WORKERS [TURNS]]\n", stderr);
		return 2;
	}
	turns = count > 3 ? strtoul(arguments[3], NULL, 10) : 0;
	control = open("/dev/fusd/control", O_RDWR);
	if ((workers > 1 && !others) || control < 0 || greet(&first, arguments[1])) {
		perror("fusd-bench-kfusd: cannot make the device");
		return 1;
	}
	for (unsigned long i = 0; i + 1 < workers; i++) {
		others[i].answer.head.operation = REPLY;
		if ((errno = pthread_create(&thread, NULL, work, &others[i]))) {
			perror("fusd-bench-kfusd: cannot start a thread");
			return 1;
		}
	}
	work(&first);
	return 1;
}
