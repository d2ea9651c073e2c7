/*
 * A counter in memory that clients share with the driver. Usage: counter [NAME]; it takes kfusd.
 *
 * A client that maps a page of the device has the counter at its beginning, an unsigned long long, and
 * counts there, with atomics and without a call. Who reads the device gets the number as text.
 */
#include <errno.h>
#include <fusd_device.h>
#include <stdio.h>
#include <string.h>

static struct fusd_memory *memory;

static void let_in(struct fusd_call *call)
{
	if (fusd_call_offer(call, memory, 0) < 0) {
		fprintf(stderr, "counter: %s\n", fusd_error_text());
		fusd_reply_error(call, errno);
		return;
	}
	fusd_reply_open(call, NULL, FUSD_READY_READ, NULL);
}

static void read_counter(struct fusd_call *call, size_t length, uint64_t offset)
{
	unsigned long long *counter = (unsigned long long *) fusd_memory_address(memory);
	char text[32];
	size_t count;

	count = (size_t) snprintf(text, sizeof text, "%llu\n",
				  __atomic_load_n(counter, __ATOMIC_SEQ_CST));
	if (offset >= count) {
		fusd_reply_data(call, NULL, 0);
		return;
	}
	count -= (size_t) offset;
	fusd_reply_data(call, text + offset, count < length ? count : length);
}

int main(int argc, char **argv)
{
	struct fusd_options options;
	struct fusd_device *device;
	struct fusd_ops ops;

	memset(&options, 0, sizeof options);
	options.size = sizeof options;
	options.name = argc > 1 ? argv[1] : "counter";
	memset(&ops, 0, sizeof ops);
	ops.size = sizeof ops;
	ops.open = let_in;
	ops.read = read_counter;
	memory = fusd_memory_new(1);
	device = memory ? fusd_device_new(&options, &ops, NULL) : NULL;
	if (!device) {
		fprintf(stderr, "counter: %s\n", fusd_error_text());
		return 1;
	}
	puts("ready");
	fflush(stdout);
	return fusd_device_run(device) < 0;
}
