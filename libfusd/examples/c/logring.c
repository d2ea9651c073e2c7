/* What is written stays in a ring; readers get it all, then wait for more. Usage: logring [NAME] */
#include "ring.h"
#include <errno.h>
#include <fcntl.h>
#include <fusd.h>
#include <stdio.h>
#include <string.h>

static struct reader {
	int is_open;
	unsigned long long place;           /* in the ring */
	struct fusd_file_info *read, *poll; /* its calls that wait, or NULL */
} readers[64], *const end = readers + 64;

#define READER(file) ((struct reader *) (file)->private_data)

static int state(const struct reader *reader)
{
	return FUSD_NOTIFY_OUTPUT | (reader->place < written ? FUSD_NOTIFY_INPUT : 0);
}

static int open_log(struct fusd_file_info *file)
{
	struct reader *reader = readers;

	while (reader->is_open)
		if (++reader == end)
			return -EBUSY;
	reader->is_open = 1;
	file->private_data = reader;
	return 0;
}

static int unblock_log(struct fusd_file_info *file)
{
	fusd_destroy(READER(file)->read);
	READER(file)->read = NULL;
	return 0;
}

static int close_log(struct fusd_file_info *file)
{
	fusd_destroy(READER(file)->read);
	fusd_destroy(READER(file)->poll);
	memset(READER(file), 0, sizeof(struct reader));
	return 0;
}

static ssize_t read_log(struct fusd_file_info *file, char *buffer, size_t length, fusd_offset_t *at)
{
	size_t count = get(&READER(file)->place, buffer, length);

	(void) at;
	if (count > 0 || length == 0)
		return (ssize_t) count;
	if ((file->flags & O_NONBLOCK) || READER(file)->read)
		return -EAGAIN;
	READER(file)->read = file;
	return -FUSD_NOREPLY;
}

static ssize_t write_log(struct fusd_file_info *file, const char *data, size_t length, fusd_offset_t *at)
{
	(void) file, (void) at;
	put(data, length);
	for (struct reader *reader = readers; reader < end; reader++) {
		struct fusd_file_info *read = reader->read, *poll = reader->poll;
		unsigned long long before = reader->place;

		reader->read = reader->poll = NULL;
		if (read && fusd_return(read, (ssize_t) get(&reader->place, fusd_get_read_buffer(read),
							    fusd_get_length(read))) < 0)
			reader->place = before; /* the client had gone: its next read gets it */
		if (poll)
			fusd_return(poll, state(reader));
	}
	return (ssize_t) length;
}

static int poll_log(struct fusd_file_info *file, unsigned int cached)
{
	fusd_destroy(READER(file)->poll);
	READER(file)->poll = (unsigned int) state(READER(file)) == cached ? file : NULL;
	return READER(file)->poll ? -FUSD_NOREPLY : state(READER(file));
}

int main(int argc, char **argv)
{
	static const struct fusd_file_operations operations = {
		open_log, close_log, read_log, write_log, NULL, poll_log, unblock_log, NULL
	};

	if (fusd_register_or_warn(argc > 1 ? argv[1] : "logring", 0666, NULL, &operations) < 0)
		return 1;
	puts("ready");
	fflush(stdout);
	fusd_run();
}
