/*
 * A ring of lines: what is written stays until newer lines need the room. Each open file reads all
 * that is there from the oldest on, and then waits for more. Usage: logring [NAME]
 */
#include <errno.h>
#include <fcntl.h>
#include <fusd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RING 4096

static char ring[RING];
static unsigned long long written; /* bytes since the beginning */

struct reader {
	unsigned long long place;     /* bytes that it has read or missed */
	struct fusd_file_info *read;  /* its read that waits, or NULL */
	struct fusd_file_info *poll;  /* its poll_diff that waits, or NULL */
	struct reader *next;
};

static struct reader *readers;

/* What a read gets now; 0 if it has to wait. */
static ssize_t take(struct reader *reader, char *buffer, size_t length)
{
	size_t count = 0;

	if (written - reader->place > RING)
		reader->place = written - RING;
	while (count < length && reader->place < written)
		buffer[count++] = ring[reader->place++ % RING];
	return (ssize_t) count;
}

static int state(const struct reader *reader)
{
	return FUSD_NOTIFY_OUTPUT | (reader->place < written ? FUSD_NOTIFY_INPUT : 0);
}

static int open_log(struct fusd_file_info *file)
{
	struct reader *reader = (struct reader *) calloc(1, sizeof *reader);

	if (!reader)
		return -ENOMEM;
	reader->next = readers;
	readers = reader;
	file->private_data = reader;
	return 0;
}

static int close_log(struct fusd_file_info *file)
{
	struct reader *reader = (struct reader *) file->private_data;
	struct reader **link = &readers;

	fusd_destroy(reader->read);
	fusd_destroy(reader->poll);
	while (*link != reader)
		link = &(*link)->next;
	*link = reader->next;
	free(reader);
	return 0;
}

static ssize_t read_log(struct fusd_file_info *file, char *buffer, size_t length,
			fusd_offset_t *offset)
{
	struct reader *reader = (struct reader *) file->private_data;
	ssize_t count = take(reader, buffer, length);

	(void) offset;
	if (count > 0 || length == 0)
		return count;
	if ((file->flags & O_NONBLOCK) || reader->read)
		return -EAGAIN;
	reader->read = file;
	return -FUSD_NOREPLY;
}

static ssize_t write_log(struct fusd_file_info *file, const char *buffer, size_t length,
			 fusd_offset_t *offset)
{
	struct reader *reader;
	size_t i;

	(void) file;
	(void) offset;
	for (i = 0; i < length; i++)
		ring[written++ % RING] = buffer[i];
	for (reader = readers; reader; reader = reader->next) {
		struct fusd_file_info *waits = reader->read;

		if (waits) {
			reader->read = NULL;
			fusd_return(waits, take(reader, fusd_get_read_buffer(waits),
						fusd_get_length(waits)));
		}
		if (reader->poll && state(reader) != fusd_get_poll_diff_cached_state(reader->poll)) {
			waits = reader->poll;
			reader->poll = NULL;
			fusd_return(waits, state(reader));
		}
	}
	return (ssize_t) length;
}

static int poll_log(struct fusd_file_info *file, unsigned int cached)
{
	struct reader *reader = (struct reader *) file->private_data;

	fusd_destroy(reader->poll);
	reader->poll = NULL;
	if ((unsigned int) state(reader) != cached)
		return state(reader);
	reader->poll = file;
	return -FUSD_NOREPLY;
}

static int unblock_log(struct fusd_file_info *file)
{
	struct reader *reader = (struct reader *) file->private_data;

	if (reader->read && reader->read == fusd_get_interrupted(file)) {
		fusd_destroy(reader->read);
		reader->read = NULL;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct fusd_file_operations operations;

	memset(&operations, 0, sizeof operations);
	operations.open = open_log;
	operations.close = close_log;
	operations.read = read_log;
	operations.write = write_log;
	operations.poll_diff = poll_log;
	operations.unblock = unblock_log;
	if (fusd_register(argc > 1 ? argv[1] : "logring", 0666, NULL, &operations) < 0) {
		fprintf(stderr, "logring: %s\n", fusd_error_text());
		return 1;
	}
	puts("ready");
	fflush(stdout);
	for (;;) {
		fd_set set;
		int max = -1;

		FD_ZERO(&set);
		fusd_fdset_add(&set, &max);
		if (select(max + 1, &set, NULL, NULL, NULL) > 0)
			fusd_dispatch_fdset(&set);
		else if (errno != EINTR)
			return 1;
	}
}
