/* What is written stays in a ring; readers get it all, then wait for more. Usage: logring [NAME] */
#include <errno.h>
#include <fcntl.h>
#include <fusd.h>
#include <stdio.h>
#include <stdlib.h>

static char ring[4096];
static unsigned long long written; /* bytes since the beginning */

struct reader {
	unsigned long long place;           /* bytes that it has had or missed */
	struct fusd_file_info *read, *poll; /* its calls that wait, or NULL */
	struct reader *next;
};
static struct reader *readers;

static int state(const struct reader *reader)
{
	return FUSD_NOTIFY_OUTPUT | (reader->place < written ? FUSD_NOTIFY_INPUT : 0);
}

static ssize_t take(struct reader *reader, char *buffer, size_t length)
{
	size_t count = 0;

	if (written - reader->place > sizeof ring)
		reader->place = written - sizeof ring;
	while (count < length && reader->place < written)
		buffer[count++] = ring[reader->place++ % sizeof ring];
	return (ssize_t) count;
}

static int open_log(struct fusd_file_info *file)
{
	struct reader *reader = (struct reader *) calloc(1, sizeof *reader);

	if (!reader)
		return -ENOMEM;
	reader->next = readers;
	file->private_data = readers = reader;
	return 0;
}

static int close_log(struct fusd_file_info *file)
{
	struct reader *reader = (struct reader *) file->private_data, **link = &readers;

	while (*link != reader)
		link = &(*link)->next;
	*link = reader->next;
	fusd_destroy(reader->read);
	fusd_destroy(reader->poll);
	free(reader);
	return 0;
}

static ssize_t read_log(struct fusd_file_info *file, char *buffer, size_t length, fusd_offset_t *at)
{
	struct reader *reader = (struct reader *) file->private_data;
	ssize_t count = take(reader, buffer, length);

	(void) at;
	if (count > 0 || length == 0)
		return count;
	if ((file->flags & O_NONBLOCK) || reader->read)
		return -EAGAIN;
	reader->read = file;
	return -FUSD_NOREPLY;
}

static ssize_t write_log(struct fusd_file_info *file, const char *data, size_t length,
			 fusd_offset_t *at)
{
	struct reader *reader;
	size_t i;

	(void) file, (void) at;
	for (i = 0; i < length; i++)
		ring[written++ % sizeof ring] = data[i];
	for (reader = readers; reader; reader = reader->next) {
		struct fusd_file_info *read = reader->read, *poll = reader->poll;
		unsigned long long before = reader->place;

		reader->read = reader->poll = NULL;
		if (read && fusd_return(read, take(reader, fusd_get_read_buffer(read),
						   fusd_get_length(read))) < 0)
			reader->place = before; /* the client had gone: its next read gets it */
		if (poll)
			fusd_return(poll, state(reader));
	}
	return (ssize_t) length;
}

static int poll_log(struct fusd_file_info *file, unsigned int cached)
{
	struct reader *reader = (struct reader *) file->private_data;

	fusd_destroy(reader->poll);
	reader->poll = (unsigned int) state(reader) == cached ? file : NULL;
	return reader->poll ? -FUSD_NOREPLY : state(reader);
}

static int unblock_log(struct fusd_file_info *file)
{
	struct reader *reader = (struct reader *) file->private_data;

	fusd_destroy(reader->read);
	reader->read = NULL;
	return 0;
}

int main(int argc, char **argv)
{
	static const struct fusd_file_operations operations = {
		open_log, close_log, read_log, write_log, NULL, poll_log, unblock_log, NULL
	};
	int fd = fusd_register(argc > 1 ? argv[1] : "logring", 0666, NULL, &operations);
	fd_set set;

	if (fd < 0) {
		fprintf(stderr, "logring: %s\n", fusd_error_text());
		return 1;
	}
	puts("ready");
	fflush(stdout);
	FD_ZERO(&set);
	for (;;) {
		FD_SET(fd, &set);
		if (select(fd + 1, &set, NULL, NULL, NULL) > 0)
			fusd_dispatch(fd);
	}
}
