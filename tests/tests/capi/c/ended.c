/*
 * A driver with a select loop whose device ends by itself: ./ended NAME. It keeps all reads, and opens
 * for appending. It says what its callbacks are told, and ends when it has no device any more.
 */
#include <errno.h>
#include <fcntl.h>
#include <fusd.h>
#include <stdio.h>

static int open_files;
static struct fusd_file_info *kept_open;

static int open_it(struct fusd_file_info *file)
{
	if (file->flags & O_APPEND) {
		kept_open = file;
		puts("keeps an open");
		return -FUSD_NOREPLY;
	}
	open_files++;
	return 0;
}

static int close_it(struct fusd_file_info *file)
{
	(void) file;
	open_files--;
	return 0;
}

static ssize_t keep_it(struct fusd_file_info *file, char *buffer, size_t length, fusd_offset_t *at)
{
	(void) file, (void) buffer, (void) length, (void) at;
	puts("keeps a read");
	return -FUSD_NOREPLY;
}

/* Answers the call, too late. Of an open, that makes a file: it gets its close. */
static int unblock_it(struct fusd_file_info *file)
{
	struct fusd_file_info *call = fusd_get_interrupted(file);

	if (call == kept_open)
		open_files++;
	if (fusd_return(call, 0) != -EPIPE)
		puts("bad: the client has waited");
	return 0;
}

int main(int argc, char **argv)
{
	static const struct fusd_file_operations operations = {
		open_it, close_it, keep_it, NULL, NULL, NULL, unblock_it, NULL
	};
	int fd, max;
	fd_set set;

	setvbuf(stdout, NULL, _IOLBF, 0);
	fd = argc > 1 ? fusd_register_or_warn(argv[1], 0600, NULL, &operations) : -1;
	if (fd < 0)
		return 1;
	puts("ready");
	for (;;) {
		max = -1;
		FD_ZERO(&set);
		fusd_fdset_add(&set, &max);
		if (max < 0)
			break;
		if (select(max + 1, &set, NULL, NULL, NULL) > 0)
			fusd_dispatch_fdset(&set);
	}
	if (fcntl(fd, F_GETFD) != -1)
		puts("bad: the descriptor is still open");
	printf("%d files are open\n", open_files);
	return 0;
}
