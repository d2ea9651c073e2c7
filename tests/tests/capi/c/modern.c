/*
 * A driver in the modern interface: ./modern NAME. Its device keeps one message: readers wait for it,
 * from whatever thread it comes; ioctls tell of the caller, add numbers and follow a pointer. Commands
 * on standard input end it. Says "bad: ..." for each promise of fusd_device.h that is not kept.
 */
#include <errno.h>
#include <fcntl.h>
#include <fusd_device.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(condition) \
	((condition) ? (void) 0 : (void) printf("bad: line %d: %s\n", __LINE__, #condition))

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct fusd_call *reader; /* a read that waits */
static struct fusd_file *file;   /* of the latest open */
static char message[64];
static size_t length;
static int released;

struct pointed {
	uint64_t address;
	uint64_t length;
};

static void open_it(struct fusd_call *call)
{
	int *number = (int *) malloc(sizeof *number);
	struct fusd_file *opened = NULL;

	CHECK(fusd_call_context(call) == message);
	CHECK(fusd_call_data(call) == NULL && fusd_call_file(call) == NULL);
	CHECK(fusd_call_pid(call) > 0 && fusd_call_uid(call) == 0 && fusd_call_gid(call) == 0);
	if (fusd_call_flags(call) & O_APPEND) {
		free(number);
		CHECK(fusd_reply_error(call, EROFS) == 0);
		return;
	}
	*number = 42;
	CHECK(fusd_reply_data(call, "x", 1) == -1 && errno == EINVAL);
	CHECK(fusd_reply_open(call, number, 32, NULL) == -1 && errno == EINVAL);
	CHECK(fusd_reply_error(call, 0) == -1 && fusd_reply_error(call, 4096) == -1);
	pthread_mutex_lock(&lock);
	CHECK(fusd_reply_open(call, number, FUSD_READY_WRITE, &opened) == 0);
	file = opened;
	pthread_mutex_unlock(&lock);
	CHECK(fusd_file_data(opened) == number);
	CHECK(fusd_reply_open(call, number, 0, NULL) == -1 && errno == EINVAL);
	CHECK(fusd_call_context(call) == NULL && errno == EINVAL);
}

static void release_it(void *data, void *context)
{
	CHECK(*(int *) data == 42 && context == message);
	free(data);
	pthread_mutex_lock(&lock);
	released++;
	pthread_mutex_unlock(&lock);
}

static void read_it(struct fusd_call *call, size_t room, uint64_t offset)
{
	CHECK(offset == 0);
	CHECK(*(int *) fusd_call_data(call) == 42);
	pthread_mutex_lock(&lock);
	if (length > 0) {
		CHECK(fusd_reply_data(call, message, room + 1) == -1 && errno == EINVAL);
		CHECK(fusd_reply_data(call, message, SIZE_MAX) == -1 && errno == EINVAL);
		fusd_file_set_ready(fusd_call_file(call), FUSD_READY_WRITE);
		if (fusd_reply_data(call, message, length) == 0)
			length = 0;
	} else if (fusd_call_flags(call) & O_NONBLOCK) {
		fusd_reply_error(call, EAGAIN);
	} else {
		CHECK(reader == NULL && fusd_call_is_interrupted(call) == 0);
		reader = call;
		puts("waits");
	}
	pthread_mutex_unlock(&lock);
}

static void interrupted(struct fusd_call *call)
{
	pthread_mutex_lock(&lock);
	CHECK(call == reader && fusd_call_is_interrupted(call) == 1);
	CHECK(fusd_reply_data(call, "late", 4) == -1 && errno == EPIPE);
	CHECK(fusd_reply_data(call, "late", 4) == -1 && errno == EINVAL);
	reader = NULL;
	puts("interrupted");
	pthread_mutex_unlock(&lock);
}

static void write_it(struct fusd_call *call, const void *data, size_t bytes, uint64_t offset)
{
	CHECK(offset == 0);
	CHECK(fusd_reply_count(call, bytes + 1) == -1 && errno == EINVAL);
	if (bytes > sizeof message) {
		fusd_reply_error(call, EMSGSIZE);
		return;
	}
	pthread_mutex_lock(&lock);
	memcpy(message, data, length = bytes);
	if (reader && fusd_reply_data(reader, message, length) == 0) {
		length = 0;
		reader = NULL;
	}
	if (length > 0)
		CHECK(fusd_file_set_ready(file, FUSD_READY_READ | FUSD_READY_WRITE) == 0);
	pthread_mutex_unlock(&lock);
	CHECK(fusd_reply_count(call, bytes) == 0);
}

static void check_answers_of_child(struct fusd_call *call)
{
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		CHECK(fusd_reply_ioctl(call, 1, NULL, 0) == -1 && errno == ENODEV);
		CHECK(fusd_reply_error(call, EIO) == -1 && errno == ENODEV);
		/* As in check_child. */
		raise(SIGKILL);
	}
	CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
}

static void ioctl_it(struct fusd_call *call, unsigned int number, uint64_t argument,
		     const void *input, size_t bytes, size_t room)
{
	struct pointed pointed;
	unsigned char sum = 0;
	size_t i;

	switch (_IOC_NR(number)) {
	case 1: /* who calls */
		i = (size_t) fusd_call_pid(call);
		CHECK(room == sizeof i);
		CHECK(fusd_reply_ioctl(call, -1, NULL, 0) == -1 && errno == EINVAL);
		CHECK(fusd_reply_ioctl(call, 0, &i, sizeof i + 1) == -1 && errno == EINVAL);
		CHECK(fusd_reply_ioctl(call, 0, NULL, 1) == -1 && errno == EINVAL);
		CHECK(fusd_reply_ioctl(call, 0, &i, SIZE_MAX) == -1 && errno == EINVAL);
		CHECK(fusd_reply_ioctl(call, 7, &i, sizeof i) == 0);
		return;
	case 2: /* the sum of the bytes that the argument points to */
		memcpy(&pointed, input, sizeof pointed);
		if (bytes == sizeof pointed && pointed.length > 0) {
			struct fusd_area areas[2];

			areas[0].address = argument;
			areas[0].length = sizeof pointed;
			areas[1].address = pointed.address;
			areas[1].length = (size_t) pointed.length;
			CHECK(fusd_reply_again(call, areas, 0, NULL, 0) == -1 && errno == EINVAL);
			CHECK(fusd_reply_again(call, areas, 257, NULL, 0) == -1 && errno == EINVAL);
			fusd_reply_again(call, areas, 2, NULL, 0);
			return;
		}
		for (i = sizeof pointed; i < bytes; i++)
			sum = (unsigned char) (sum + ((const unsigned char *) input)[i]);
		fusd_reply_ioctl(call, sum, NULL, 0);
		return;
	case 3: /* answered by a child: that is for its parent to do */
		check_answers_of_child(call);
		CHECK(fusd_reply_ioctl(call, 3, NULL, 0) == 0);
		return;
	default:
		fusd_reply_error(call, ENOTTY);
	}
}

static void sync_it(struct fusd_call *call, int data_only)
{
	if (data_only)
		fusd_reply_error(call, ENOSPC);
	else
		CHECK(fusd_reply_done(call) == 0);
}

/* The structures as programs may have them: NULL, without a size, older, newer. */
static void check_sizes(const char *name)
{
	struct fusd_options options;
	struct fusd_device *device;
	struct {
		struct fusd_ops ops;
		void *more;
	} newer;

	memset(&options, 0, sizeof options);
	memset(&newer, 0, sizeof newer);
	options.name = name;
	CHECK(fusd_device_new(NULL, &newer.ops, NULL) == NULL && errno == EINVAL);
	CHECK(fusd_device_new(&options, &newer.ops, NULL) == NULL && errno == EINVAL);
	options.size = sizeof options;
	CHECK(fusd_device_new(&options, NULL, NULL) == NULL && errno == EINVAL);
	CHECK(fusd_device_new(&options, &newer.ops, NULL) == NULL && errno == EINVAL);
	newer.ops.size = sizeof newer;
	newer.more = name ? &newer : NULL;
	CHECK(fusd_device_new(&options, &newer.ops, NULL) == NULL && errno == E2BIG);
	newer.more = NULL;
	options.flags = 0x8000;
	CHECK(fusd_device_new(&options, &newer.ops, NULL) == NULL && errno == EINVAL);
	options.flags = 0;
	options.path = "/dev/null";
	CHECK(fusd_device_new(&options, &newer.ops, NULL) == NULL && errno == EINVAL);
	options.name = NULL;
	CHECK(fusd_device_new(&options, &newer.ops, NULL) == NULL && errno == EEXIST);
	CHECK(strstr(fusd_error_text(), "/dev/null") != NULL);
	options.path = NULL;
	options.name = name;
	options.backend = "none";
	CHECK(fusd_device_new(&options, &newer.ops, NULL) == NULL && errno == EINVAL);
	options.backend = NULL;
	device = fusd_device_new(&options, &newer.ops, NULL); /* newer, but with nothing new */
	CHECK(device != NULL && strstr(fusd_device_path(device), name) != NULL);
	CHECK(fusd_device_free(device) == 0);
	CHECK(fusd_device_free(device) == -1 && errno == EINVAL);
	CHECK(fusd_device_path(device) == NULL && fusd_device_run(device) == -1);
	CHECK(fusd_device_free(NULL) == 0 && fusd_device_stop(NULL) == -1);
	CHECK(fusd_reply_error(NULL, EIO) == -1 && fusd_call_flags(NULL) == -1);
	CHECK(fusd_file_set_ready((struct fusd_file *) &options, 1) == -1 && errno == EINVAL);
}

/* A child can do nothing with the device, and does no harm to it. */
static void check_child(struct fusd_device *device)
{
	int status = 0;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		CHECK(fusd_device_run(device) == -1 && errno == ENODEV);
		CHECK(fusd_device_start(device) == -1 && errno == ENODEV);
		CHECK(fusd_device_stop(device) == -1 && errno == ENODEV);
		CHECK(fusd_device_free(device) == -1 && errno == ENODEV);
		CHECK(fusd_device_free(device) == -1 && errno == EINVAL);
		fflush(stdout);
		/* What watches memory must not look here: that of the lost threads has no owner. */
		raise(SIGKILL);
	}
	CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
}

int main(int argc, char **argv)
{
	struct fusd_options options;
	struct fusd_ops ops;
	struct fusd_device *device;
	char line[16];

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc < 2)
		return 2;
	check_sizes(argv[1]);
	memset(&options, 0, sizeof options);
	options.size = sizeof options;
	options.name = argv[1];
	options.flags = FUSD_SET_MODE | FUSD_STREAM | FUSD_ANY_IOCTL;
	options.mode = 0640;
	memset(&ops, 0, sizeof ops);
	ops.size = sizeof ops;
	ops.open = open_it;
	ops.release = release_it;
	ops.read = read_it;
	ops.write = write_it;
	ops.ioctl = ioctl_it;
	ops.interrupted = interrupted;
	ops.sync = sync_it;
	if (argc > 2) {
		/* As a driver that was compiled before there was `sync`. */
		ops.size = offsetof(struct fusd_ops, sync);
	}
	device = fusd_device_new(&options, &ops, message);
	if (!device) {
		fprintf(stderr, "%s\n", fusd_error_text());
		return 1;
	}
	memset(&ops, 0xff, sizeof ops);
	CHECK(fusd_device_start(device) == 0);
	CHECK(fusd_device_start(device) == -1 && errno == EBUSY);
	CHECK(fusd_device_run(device) == -1 && errno == EBUSY);
	check_child(device);
	puts("ready");
	while (fgets(line, sizeof line, stdin))
		;
	CHECK(fusd_device_stop(device) == 0);
	CHECK(fusd_device_free(device) == 0);
	printf("released %d\n", released);
	return 0;
}
