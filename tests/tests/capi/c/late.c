/*
 * A driver in the modern interface that keeps an open for longer than its device: ./late NAME. The end
 * of standard input stops the device. Says "bad: ..." for each promise of fusd_device.h that is not kept.
 */
#include <errno.h>
#include <fusd_device.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define CHECK(condition) \
	((condition) ? (void) 0 : (void) printf("bad: line %d: %s\n", __LINE__, #condition))

static struct fusd_call *kept;

static void keep_it(struct fusd_call *call)
{
	kept = call;
	puts("waits");
}

static void release_it(void *data, void *context)
{
	(void) data, (void) context;
	puts("bad: released, and never open");
}

static void *stop_it(void *device)
{
	while (getchar() != EOF)
		;
	/* it is in fusd_device_run */
	CHECK(fusd_device_free((struct fusd_device *) device) == -1 && errno == EBUSY);
	CHECK(strstr(fusd_error_text(), "fusd_device_run") != NULL);
	CHECK(fusd_device_stop((struct fusd_device *) device) == 0);
	return NULL;
}

int main(int argc, char **argv)
{
	struct fusd_options options;
	struct fusd_file *file = NULL;
	struct fusd_ops ops;
	struct fusd_device *device;
	pthread_t thread;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc < 2)
		return 2;
	memset(&options, 0, sizeof options);
	options.size = sizeof options;
	options.name = argv[1];
	memset(&ops, 0, sizeof ops);
	ops.size = sizeof ops;
	ops.open = keep_it;
	ops.release = release_it;
	device = fusd_device_new(&options, &ops, NULL);
	if (!device || pthread_create(&thread, NULL, stop_it, device) != 0) {
		fprintf(stderr, "%s\n", fusd_error_text());
		return 1;
	}
	puts("ready");
	CHECK(fusd_device_run(device) == 0);
	pthread_join(thread, NULL);
	CHECK(fusd_reply_open(kept, &ops, 0, &file) == -1 && errno == ENODEV && file == NULL);
	CHECK(fusd_reply_open(kept, &ops, 0, &file) == -1 && errno == EINVAL);
	CHECK(fusd_device_free(device) == 0);
	puts("over");
	return 0;
}
