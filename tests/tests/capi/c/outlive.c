/*
 * A driver with a callback that runs for longer than its device: ./outlive NAME. The write of a client
 * waits until the device has been freed, which the end of standard input leads to. Says "bad: ..." for
 * each promise of fusd_device.h that is not kept.
 */
#include <errno.h>
#include <fusd_device.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define CHECK(condition) \
	((condition) ? (void) 0 : (void) printf("bad: line %d: %s\n", __LINE__, #condition))

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int freed;
static int over;

static void write_it(struct fusd_call *call, const void *data, size_t length, uint64_t offset)
{
	(void) offset;
	pthread_mutex_lock(&lock);
	puts("runs");
	while (!freed)
		pthread_cond_wait(&changed, &lock);
	CHECK(length == 5 && memcmp(data, "hello", 5) == 0);
	CHECK(fusd_call_context(call) == &freed);
	CHECK(fusd_reply_count(call, length) == -1 && errno == EPIPE);
	over = 1;
	pthread_cond_signal(&changed);
	pthread_mutex_unlock(&lock);
}

int main(int argc, char **argv)
{
	struct fusd_options options;
	struct fusd_ops ops;
	struct fusd_device *device;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc < 2)
		return 2;
	memset(&options, 0, sizeof options);
	options.size = sizeof options;
	options.name = argv[1];
	memset(&ops, 0, sizeof ops);
	ops.size = sizeof ops;
	ops.write = write_it;
	device = fusd_device_new(&options, &ops, &freed);
	if (!device || fusd_device_start(device) < 0) {
		fprintf(stderr, "%s\n", fusd_error_text());
		return 1;
	}
	puts("ready");
	while (getchar() != EOF)
		;
	/* gives up waiting after a while, whatever it says of that */
	fusd_device_free(device);
	pthread_mutex_lock(&lock);
	freed = 1;
	pthread_cond_broadcast(&changed);
	while (!over)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
	puts("over");
	return 0;
}
