/*
 * A driver that does what it must not: ./bad NAME. The client chooses the sin by the number it
 * writes; the result of each is checked on both sides. Says "ready", and "bad: ..." for each
 * promise of fusd.h that is not kept; ends by itself when told to.
 */
#include <errno.h>
#include <fcntl.h>
#include <fusd.h>
#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(condition) \
	((condition) ? (void) 0 : (void) printf("bad: line %d: %s\n", __LINE__, #condition))

static jmp_buf loop;
static int sin_of_next_read;
static int own;
static int ended;
static int leaves;
static struct fusd_file_info *kept;
static struct fusd_file_info *old;
static struct fusd_file_info *closing;
static struct fusd_file_info *asked; /* a poll_diff of the file whose close is kept */

static int accept_it(struct fusd_file_info *file)
{
	(void) file;
	return 0;
}

static ssize_t choose(struct fusd_file_info *file, const char *data, size_t length,
		      fusd_offset_t *offset)
{
	(void) offset;
	CHECK(data[length] == 0);
	sin_of_next_read = atoi(data);
	if (sin_of_next_read == 14)
		file->private_data = &closing;
	return sin_of_next_read == 20 ? (ssize_t) length + 1 : (ssize_t) length;
}

static void check_answers_of_child(struct fusd_file_info *file)
{
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		CHECK(fusd_return(file, 1) == -ENODEV);
		fusd_destroy(file);
		CHECK(errno == ENODEV);
		CHECK(fusd_return(file, 1) == -ENODEV);
		/* As in check_child. */
		raise(SIGKILL);
	}
	CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
	CHECK(fusd_get_call_type(file) == FUSD_READ);
}

static ssize_t sin_now(struct fusd_file_info *file, char *buffer, size_t length,
		       fusd_offset_t *offset)
{
	int result;

	(void) offset;
	switch (sin_of_next_read) {
	case 1: /* more than was asked for */
		return (ssize_t) length + 1;
	case 2: /* no errno */
		return -5000;
	case 3:
		return SSIZE_MAX;
	case 4: /* returned twice, then a result as well */
		memcpy(buffer, "once", 4);
		CHECK(fusd_return(file, 4) == 0);
		CHECK(fusd_return(file, 4) == -EINVAL);
		fusd_destroy(file);
		return 4;
	case 5: /* destroyed while the client waits */
		fusd_destroy(file);
		CHECK(fusd_return(file, 1) == -EINVAL);
		return -FUSD_NOREPLY;
	case 6: /* questions that do not fit */
		CHECK(fusd_get_write_buffer(file) == NULL && errno == EINVAL);
		CHECK(fusd_get_ioctl_buffer(file) == NULL);
		CHECK(fusd_get_ioctl_request(file) == -1);
		CHECK(fusd_get_poll_diff_cached_state(file) == -1);
		CHECK(fusd_get_interrupted(file) == NULL);
		CHECK(fusd_get_call_type(file) == FUSD_READ);
		CHECK(fusd_get_read_buffer(file) == buffer && fusd_get_length(file) == length);
		return 0;
	case 7: /* kept for longer than the client lives */
		kept = file;
		puts("kept");
		return -FUSD_NOREPLY;
	case 8: /* answered after the client has gone */
		CHECK(fusd_get_call_type(kept) == FUSD_READ);
		CHECK(fusd_return(kept, 0) == -EPIPE);
		CHECK(fusd_return(kept, 0) == -EINVAL);
		CHECK(fusd_get_length(kept) == 0);
		return 0;
	case 9: /* leaves the library without returning to it; the call is kept */
		old = file;
		longjmp(loop, 1);
	case 10: /* the file of the call that longjmp has left */
		CHECK(fusd_return(old, 0) == 0);
		return 0;
	case 11: /* dispatches from within: the close of an earlier file may still come */
		while ((result = fusd_dispatch(own)) == 0)
			continue;
		CHECK(result == -1 && errno == EAGAIN);
		return 0;
	case 12: /* ends its device from within a callback */
		CHECK(fusd_unregister(own) == 0);
		ended = 1;
		CHECK(fusd_unregister(own) == -1 && errno == EBADF);
		CHECK(fusd_dispatch(own) == -1 && errno == EBADF);
		return 0;
	case 13: /* crashes */
		raise(SIGSEGV);
		return 0;
	case 15: /* ends the close of another file; what was asked of that is void only then */
		CHECK(fusd_get_call_type(closing) == FUSD_CLOSE);
		CHECK(fusd_get_call_type(asked) == FUSD_POLL_DIFF);
		CHECK(fusd_return(closing, 0) == 0);
		CHECK(fusd_return(closing, 0) == -EINVAL);
		CHECK(fusd_get_call_type(asked) == -1 && errno == EINVAL);
		return 0;
	case 16: /* the poll_diff that follows leaves by longjmp */
		leaves = 1;
		return 0;
	case 17: /* answered by a child: that is for its parent to do */
		check_answers_of_child(file);
		return 0;
	default:
		return -EDOM;
	}
}

static int close_it(struct fusd_file_info *file)
{
	if (file->private_data != &closing)
		return 0;
	closing = file;
	puts("closing");
	return -FUSD_NOREPLY;
}

/* Always ready; so it is asked anew after each read, but not for a device that is not there. */
static int ready(struct fusd_file_info *file, unsigned int state)
{
	CHECK(!ended);
	if (leaves) {
		leaves = 0;
		longjmp(loop, 1);
	}
	if (state != 3)
		return 3;
	if (file->private_data == &closing)
		asked = file;
	return -FUSD_NOREPLY;
}

static int nothing(struct fusd_file_info *file)
{
	(void) file;
	return 0;
}

/* A driver without standard files, as daemons are, does not get devices in their places. */
static void check_standard_files(const char *name, const struct fusd_file_operations *operations)
{
	int kept[3], taken = 0, fd, i;

	for (i = 0; i < 3; i++) {
		kept[i] = fcntl(i, F_DUPFD, 10);
		close(i);
	}
	fd = fusd_register(name, 0600, NULL, operations);
	for (i = 0; i < 3; i++) {
		taken += fcntl(i, F_GETFD) != -1;
		dup2(kept[i], i);
		close(kept[i]);
	}
	CHECK(fd > 2 && taken == 0);
	CHECK(fusd_unregister(fd) == 0);
}

static void check_arguments(const char *name, const struct fusd_file_operations *operations)
{
	struct fusd_file_info never;
	char long_name[2000];
	int local, fds[2];
	fd_set set;

	memset(&never, 0, sizeof never);
	memset(long_name, 'x', sizeof long_name);
	long_name[sizeof long_name - 1] = 0;
	CHECK(fusd_register(NULL, 0666, NULL, operations) == -1 && errno == EINVAL);
	CHECK(strlen(fusd_error_text()) > 0);
	CHECK(fusd_register(name, 0666, NULL, NULL) == -1 && errno == EINVAL);
	CHECK(fusd_register("", 0666, NULL, operations) == -1 && errno == EINVAL);
	CHECK(fusd_register("/dev/../x", 0666, NULL, operations) == -1 && errno == EINVAL);
	CHECK(fusd_register("%s%n", 0666, NULL, operations) == -1 && errno == EINVAL);
	CHECK(fusd_register("\xff", 0666, NULL, operations) == -1 && errno == EINVAL);
	CHECK(fusd_register(long_name, 0666, NULL, operations) == -1 && errno == ENAMETOOLONG);
	CHECK(fusd_register(name, 0200666, NULL, operations) == -1 && errno == EINVAL);
	CHECK(fusd_register("null", NULL, NULL, 0666, NULL, operations) == -1 && errno == EEXIST);
	CHECK(strstr(fusd_error_text(), "/dev/null") != NULL);
	for (local = -1; local < 3; local++) {
		CHECK(fusd_unregister(local) == -1 && errno == EBADF);
		CHECK(fusd_dispatch(local) == -1 && errno == EBADF);
	}
	CHECK(fusd_unregister(INT_MAX) == -1 && fusd_unregister(INT_MIN) == -1);
	CHECK(fusd_return(NULL, 0) == -EINVAL && fusd_return(&never, 0) == -EINVAL);
	CHECK(fusd_return((struct fusd_file_info *) 8, 0) == -EINVAL);
	fusd_destroy(NULL);
	fusd_destroy(&never);
	CHECK(fusd_get_call_type(NULL) == -1 && errno == EINVAL);
	CHECK(fusd_get_read_buffer(&never) == NULL && fusd_get_offset(&never) == NULL);
	fusd_fdset_add(NULL, NULL);
	fusd_dispatch_fdset(NULL);
	FD_ZERO(&set);
	fusd_fdset_add(&set, NULL);
	CHECK(strcmp(fusd_unparse_flags(-1), "RWE") == 0);
	CHECK(strcmp(fusd_unparse_flags(FUSD_NOTIFY_OUTPUT), "-W-") == 0);
	/* a descriptor that is closed behind the library's back, and its number used again */
	local = fusd_register(name, 0600, NULL, operations);
	CHECK(local > 2);
	close(local);
	CHECK(fusd_dispatch(local) == -1 && errno == EBADF);
	local = fusd_register(name, 0600, NULL, operations);
	CHECK(local > 2 && pipe(fds) == 0);
	CHECK(dup2(fds[0], local) == local);
	CHECK(fusd_unregister(local) == -1 && errno == EBADF);
	CHECK(fcntl(local, F_GETFD) != -1);
	close(local);
	close(fds[0]);
	close(fds[1]);
	local = fusd_register(name, 0600, NULL, operations);
	CHECK(local > 2 && fusd_unregister(local) == 0 && fcntl(local, F_GETFD) == -1);
	check_standard_files(name, operations);
}

/* A child does not serve the device, and finds that out at once. It can have one of its own, also where
 * that gets the descriptor of the parent's. */
static void check_child(const char *name, const struct fusd_file_operations *operations)
{
	char its_name[200];
	int status = 0, fd;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		CHECK(fusd_dispatch(own) == -1 && errno == ENODEV);
		CHECK(fusd_unregister(own) == -1 && errno == ENODEV);
		fusd_run();
		/* Processes that the library starts are looked at by valgrind as well: see below. */
		if (!getenv("NO_DEVICE_IN_CHILD")) {
			snprintf(its_name, sizeof its_name, "%s-child", name);
			close(own);
			/* the library makes another one before it: that gets the number below */
			do
				fd = dup(0);
			while (fd >= 0 && fd < own);
			close(own - 1);
			close(own);
			CHECK(fusd_register(its_name, 0600, NULL, operations) == own);
			CHECK(fusd_dispatch(own) == -1 && errno == EAGAIN);
			CHECK(fusd_unregister(own) == 0);
		}
		fflush(stdout);
		/* What watches memory must not look here: that of the lost threads has no owner. */
		raise(SIGKILL);
	}
	CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
}

int main(int argc, char **argv)
{
	struct fusd_file_operations operations;

	setvbuf(stdout, NULL, _IOLBF, 0);
	memset(&operations, 0, sizeof operations);
	operations.open = accept_it;
	operations.close = close_it;
	operations.read = sin_now;
	operations.write = choose;
	operations.poll_diff = ready;
	operations.unblock = nothing;
	if (argc < 2)
		return 2;
	check_arguments(argv[1], &operations);
	own = fusd_register(argv[1], 0666, NULL, &operations);
	if (own < 0) {
		fprintf(stderr, "%s\n", fusd_error_text());
		return 1;
	}
	check_child(argv[1], &operations);
	memset(&operations, 0xff, sizeof operations); /* the table has been copied */
	if (setjmp(loop) == 0)
		puts("ready");
	else
		puts("jumped");
	fusd_run();
	puts("over");
	return 0;
}
