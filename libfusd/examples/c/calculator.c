/*
 * A calculator: ioctls add and divide numbers, tell the last result, and set it.
 * Usage: calculator [NAME]
 */
#include <errno.h>
#include <fusd.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

struct sum {
	int a;
	int b;
	int result;
};

#define CALCULATOR_ADD _IOWR('k', 1, struct sum)
#define CALCULATOR_DIVIDE _IOWR('k', 2, struct sum)
#define CALCULATOR_LAST _IOR('k', 3, int)
#define CALCULATOR_PRESET _IOW('k', 4, int)
#define CALCULATOR_CLEAR _IO('k', 5) /* to the argument's value */

static int last;

static int accept_it(struct fusd_file_info *file)
{
	(void) file;
	return 0;
}

static int calculate(struct fusd_file_info *file, int request, void *data)
{
	struct sum *sum = (struct sum *) data;
	int *number = (int *) data;
	long long result;

	(void) file;
	switch ((unsigned int) request) {
	case CALCULATOR_ADD:
		result = (long long) sum->a + sum->b;
		break;
	case CALCULATOR_DIVIDE:
		if (sum->b == 0)
			return -EDOM;
		result = (long long) sum->a / sum->b;
		break;
	case CALCULATOR_LAST:
		*number = last;
		return 0;
	case CALCULATOR_PRESET:
		last = *number;
		return 0;
	case CALCULATOR_CLEAR:
		last = (int) (intptr_t) data;
		return 0;
	default:
		return -ENOTTY;
	}
	if (result < INT_MIN || result > INT_MAX)
		return -ERANGE;
	last = sum->result = (int) result;
	return 0;
}

int main(int argc, char **argv)
{
	struct fusd_file_operations operations;

	memset(&operations, 0, sizeof operations);
	operations.open = accept_it;
	operations.ioctl = calculate;
	if (fusd_register(argc > 1 ? argv[1] : "calculator", 0666, NULL, &operations) < 0) {
		fprintf(stderr, "calculator: %s\n", fusd_error_text());
		return 1;
	}
	puts("ready");
	fflush(stdout);
	fusd_run();
	return 0;
}
