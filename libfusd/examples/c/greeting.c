/* Says hello to each user by number, in the modern interface. Usage: greeting [NAME] */
#include <fusd_device.h>
#include <stdio.h>
#include <string.h>

static void greet(struct fusd_call *call, size_t length, uint64_t offset)
{
	char text[64];
	size_t all = (size_t) snprintf(text, sizeof text, "Hello, user %u!\n",
				       (unsigned int) fusd_call_uid(call));
	size_t begin = offset < all ? (size_t) offset : all;

	fusd_reply_data(call, text + begin, length < all - begin ? length : all - begin);
}

int main(int argc, char **argv)
{
	struct fusd_options options;
	struct fusd_ops ops;
	struct fusd_device *device;

	memset(&options, 0, sizeof options);
	options.size = sizeof options;
	options.name = argc > 1 ? argv[1] : "greeting";
	memset(&ops, 0, sizeof ops);
	ops.size = sizeof ops;
	ops.read = greet;
	device = fusd_device_new(&options, &ops, NULL);
	if (!device) {
		fprintf(stderr, "greeting: %s\n", fusd_error_text());
		return 1;
	}
	puts("ready");
	fflush(stdout);
	return fusd_device_run(device) < 0;
}
