/*
 * Contender: the least that a CUSE server can do. One thread, one read(2) and one writev(2) for each
 * request; every read of /dev/NAME gives zeros, and every write is taken whole. It is the yardstick for
 * what libfusd adds on CUSE.
 *
 * Usage: fusd-bench-cuse NAME. Says "ready" when the node is there; ends with the connection.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* Bytes of data in one request: 32 pages, as fs/fuse/cuse.c has no way to agree on more. */
#define TRANSFER_MAX (32 * 4096)

static const char zeros[TRANSFER_MAX];
static char message[TRANSFER_MAX + 4096] __attribute__((aligned(8)));

/* Answers the request `unique`; `error` is 0 or a negative errno. */
static int answer(int device, uint64_t unique, int error, const void *body, size_t length)
{
	struct fuse_out_header head = { sizeof head + length, error, unique };
	struct iovec parts[] = { { &head, sizeof head }, { (void *)body, length } };

	if (writev(device, parts, 2) >= 0 || errno == ENOENT)
		return 0;
	perror("fusd-bench-cuse: cannot answer");
	return -1;
}

/* The answer to CUSE_INIT makes the node before it returns (cuse_process_init_reply). */
static int greet(int device, uint64_t unique, const char *name)
{
	struct {
		struct cuse_init_out out;
		char info[256];
	} reply = { .out = { FUSE_KERNEL_VERSION, FUSE_KERNEL_MINOR_VERSION } };
	int length;

	reply.out.max_read = reply.out.max_write = TRANSFER_MAX;
	length = snprintf(reply.info, sizeof reply.info, "DEVNAME=%s", name);
	if (length >= (int)sizeof reply.info) {
		fputs("fusd-bench-cuse: the name is too long\n", stderr);
		return -1;
	}
	if (answer(device, unique, 0, &reply, sizeof reply.out + length + 1))
		return -1;
	return write(STDOUT_FILENO, "ready\n", 6) == 6 ? 0 : -1;
}

static int serve(int device, const char *name)
{
	const struct fuse_in_header *head = (const void *)message;
	const struct fuse_read_in *request = (const void *)(head + 1);
	const struct fuse_write_in *write = (const void *)(head + 1);
	struct fuse_open_out opened = { 0 };
	struct fuse_write_out written = { 0 };

	switch (head->opcode) {
	case FUSE_READ:
		return answer(device, head->unique, 0, zeros, request->size);
	case FUSE_WRITE:
		written.size = write->size;
		return answer(device, head->unique, 0, &written, sizeof written);
	case FUSE_OPEN:
		return answer(device, head->unique, 0, &opened, sizeof opened);
	case FUSE_RELEASE:
		return answer(device, head->unique, 0, NULL, 0);
	case FUSE_INTERRUPT:
		return 0;
	case CUSE_INIT:
		return greet(device, head->unique, name);
	default:
		return answer(device, head->unique, -ENOSYS, NULL, 0);
	}
}

int main(int count, char **arguments)
{
	int device = open("/dev/cuse", O_RDWR);

	if (count != 2) {
		fputs("usage: fusd-bench-cuse NAME\n", stderr);
		return 2;
	}
	if (device < 0) {
		perror("fusd-bench-cuse: cannot open /dev/cuse");
		return 1;
	}
	for (;;) {
		ssize_t length = read(device, message, sizeof message);

		if (length < 0 && (errno == EINTR || errno == ENOENT))
			continue;
		if (length < 0)
			return 0;
		if (serve(device, arguments[1]))
			return 1;
	}
}
