/*
 * A driver whose memory clients map: ./map NAME. Reads and writes are of that memory as well. An open with
 * O_SYNC may map it to read it, one with O_APPEND may not, one with O_NONBLOCK gets what cannot be mapped, and
 * one with O_NOATIME is let in later. Says with which protection it is asked.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <fusd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static char *memory;
static struct fusd_file_info *kept;

static void *let_in(void *nothing)
{
	fusd_return(kept, 0);
	return nothing;
}

static int open_it(struct fusd_file_info *file)
{
	pthread_t thread;

	if (!(file->flags & O_NOATIME))
		return 0;
	kept = file;
	if (pthread_create(&thread, NULL, let_in, NULL) != 0)
		return -EAGAIN;
	pthread_detach(thread);
	return -FUSD_NOREPLY;
}

static int close_it(struct fusd_file_info *file)
{
	(void) file;
	return 0;
}

static ssize_t read_it(struct fusd_file_info *file, char *buffer, size_t length,
		       fusd_offset_t *offset)
{
	(void) file;
	memcpy(buffer, memory + *offset, length);
	*offset += (fusd_offset_t) length;
	return (ssize_t) length;
}

static ssize_t write_it(struct fusd_file_info *file, const char *data, size_t length,
			fusd_offset_t *offset)
{
	(void) file;
	memcpy(memory + *offset, data, length);
	*offset += (fusd_offset_t) length;
	return (ssize_t) length;
}

static int map_it(struct fusd_file_info *file, int offset, size_t length, int prot, int flags,
		  void **addr, size_t *out_length)
{
	if (offset != 0 || length == 0 || flags != MAP_SHARED)
		puts("bad: arguments");
	printf("mmap %d\n", prot);
	if ((file->flags & O_APPEND) || ((file->flags & O_SYNC) && (prot & PROT_WRITE)))
		return -EACCES;
	*addr = (file->flags & O_NONBLOCK) ? (void *) "text" : memory;
	*out_length = 100;
	return 0;
}

int main(int argc, char **argv)
{
	static const struct fusd_file_operations operations = {
		open_it, close_it, read_it, write_it, NULL, NULL, NULL, map_it
	};
	long page = sysconf(_SC_PAGESIZE);

	setvbuf(stdout, NULL, _IOLBF, 0);
	memory = (char *) aligned_alloc((size_t) page, (size_t) page);
	if (!memory || argc < 2)
		return 1;
	memset(memory, 0, (size_t) page);
	strcpy(memory, "first");
	if (fusd_register_or_warn(argv[1], 0600, NULL, &operations) < 0)
		return 1;
	puts("ready");
	fusd_run();
	return 0;
}
