/* A device that says hello: the smallest driver there is. Usage: hello [NAME] */
#include <fusd.h>
#include <stdio.h>
#include <string.h>

static const char text[] = "Hello, world!\n";

static int accept_it(struct fusd_file_info *file)
{
	(void) file;
	return 0;
}

static ssize_t say(struct fusd_file_info *file, char *buffer, size_t length, fusd_offset_t *offset)
{
	size_t left = sizeof text - 1;

	(void) file;
	if (*offset < 0 || *offset >= (fusd_offset_t) left)
		return 0; /* the end of the file */
	left -= (size_t) *offset;
	if (length > left)
		length = left;
	memcpy(buffer, text + *offset, length);
	*offset += (fusd_offset_t) length;
	return (ssize_t) length;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "hello";
	struct fusd_file_operations operations;

	memset(&operations, 0, sizeof operations);
	operations.open = accept_it;
	operations.read = say;
	if (fusd_register(name, 0666, NULL, &operations) < 0) {
		fprintf(stderr, "hello: %s\n", fusd_error_text());
		return 1;
	}
	puts("ready");
	fflush(stdout);
	fusd_run();
	return 0;
}
