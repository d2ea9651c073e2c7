/* Each open file gives back what was written to it last. Usage: echo [NAME] */
#include <errno.h>
#include <fusd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct memory {
	char *bytes;
	size_t length;
};

static int open_it(struct fusd_file_info *file)
{
	file->private_data = calloc(1, sizeof(struct memory));
	return file->private_data ? 0 : -ENOMEM;
}

static int close_it(struct fusd_file_info *file)
{
	struct memory *memory = (struct memory *) file->private_data;

	free(memory->bytes);
	free(memory);
	return 0;
}

/* Where in the text a read is does not matter here: what has been read is gone. */
static ssize_t read_it(struct fusd_file_info *file, char *buffer, size_t length,
		       fusd_offset_t *offset)
{
	struct memory *memory = (struct memory *) file->private_data;

	(void) offset;
	if (length > memory->length)
		length = memory->length;
	if (length == 0)
		return 0;
	memcpy(buffer, memory->bytes, length);
	memory->length -= length;
	memmove(memory->bytes, memory->bytes + length, memory->length);
	return (ssize_t) length;
}

static ssize_t write_it(struct fusd_file_info *file, const char *buffer, size_t length,
			fusd_offset_t *offset)
{
	struct memory *memory = (struct memory *) file->private_data;
	char *bytes = (char *) malloc(length + 1);

	(void) offset;
	if (!bytes)
		return -ENOMEM;
	memcpy(bytes, buffer, length);
	free(memory->bytes);
	memory->bytes = bytes;
	memory->length = length;
	return (ssize_t) length;
}

int main(int argc, char **argv)
{
	struct fusd_file_operations operations;

	memset(&operations, 0, sizeof operations);
	operations.open = open_it;
	operations.close = close_it;
	operations.read = read_it;
	operations.write = write_it;
	if (fusd_register(argc > 1 ? argv[1] : "echo", 0666, NULL, &operations) < 0) {
		fprintf(stderr, "echo: %s\n", fusd_error_text());
		return 1;
	}
	puts("ready");
	fflush(stdout);
	fusd_run();
	return 0;
}
