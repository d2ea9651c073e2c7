/*
 * A driver with three threads in fusd_run(): ./threads NAME. A read of NAME registers NAME-second and
 * waits until two reads of that are served at the same time: by the other two threads.
 */
#include <fusd.h>
#include <stdio.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static char second[300];
static int inside; /* reads of the second device that have begun */

static void wait_for_both(void)
{
	while (inside < 2)
		pthread_cond_wait(&changed, &lock);
}

static int accept_it(struct fusd_file_info *file)
{
	(void) file;
	return 0;
}

static ssize_t read_second(struct fusd_file_info *file, char *buffer, size_t length,
			   fusd_offset_t *offset)
{
	(void) file, (void) length, (void) offset;
	pthread_mutex_lock(&lock);
	inside++;
	pthread_cond_broadcast(&changed);
	wait_for_both();
	pthread_mutex_unlock(&lock);
	memcpy(buffer, "met", 3);
	return 3;
}

static const struct fusd_file_operations second_device = {
	accept_it, accept_it, read_second, NULL, NULL, NULL, NULL, NULL
};

static ssize_t read_first(struct fusd_file_info *file, char *buffer, size_t length,
			  fusd_offset_t *offset)
{
	(void) file, (void) length, (void) offset;
	if (fusd_register_or_warn(second, 0600, NULL, &second_device) >= 0)
		puts("registered");
	pthread_mutex_lock(&lock);
	wait_for_both();
	pthread_mutex_unlock(&lock);
	memcpy(buffer, "done", 4);
	return 4;
}

static const struct fusd_file_operations first_device = {
	accept_it, accept_it, read_first, NULL, NULL, NULL, NULL, NULL
};

static void *run(void *nothing)
{
	fusd_run();
	return nothing;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	int i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc < 2 || fusd_register_or_warn(argv[1], 0600, NULL, &first_device) < 0)
		return 1;
	snprintf(second, sizeof second, "%s-second", argv[1]);
	for (i = 0; i < 2; i++)
		if (pthread_create(&thread, NULL, run, NULL) != 0)
			return 1;
	puts("ready");
	fusd_run();
	return 0;
}
