/*
 * A driver in the manner of the releases for udev: two devices of one process, made with
 * fusd_simple_register, served by a select loop, with reads that another thread answers.
 */
#include <errno.h>
#include <fusd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;
static struct fusd_file_info *queue[64];
static int queued = 0;

static int do_open_or_close(struct fusd_file_info *file)
{
  return 0;
}

static ssize_t do_read(struct fusd_file_info *file, char *buf, size_t len, loff_t *off)
{
  pthread_mutex_lock(&lock);
  queue[queued++] = file;
  pthread_cond_signal(&more);
  pthread_mutex_unlock(&lock);
  return -FUSD_NOREPLY;
}

/* A position of its own: it counts reads, not bytes. */
static ssize_t do_count(struct fusd_file_info *file, char *buf, size_t len, loff_t *off)
{
  *off += 1;
  return snprintf(buf, len, "%d ", (int) *off);
}

static void *worker(void *arg)
{
  for (;;) {
    struct fusd_file_info *file;
    int n;

    pthread_mutex_lock(&lock);
    while (queued == 0)
      pthread_cond_wait(&more, &lock);
    file = queue[--queued];
    pthread_mutex_unlock(&lock);
    n = snprintf(fusd_get_read_buffer(file), fusd_get_length(file), "%s at %d",
                 (char *) file->device_info, (int) *fusd_get_offset(file));
    fusd_return(file, n);
  }
  return arg;
}

int main(int argc, char **argv)
{
  pthread_t thread;
  char other[256];

  (void) argc;
  pthread_create(&thread, NULL, worker, NULL);
  fusd_simple_register(argv[1], "misc", argv[1], 0666, "threads",
                       open: do_open_or_close, close: do_open_or_close,
                       read: do_read);
  snprintf(other, sizeof(other), "%s-count", argv[1]);
  fusd_simple_register(other, 0600, NULL, .open = do_open_or_close, .read = do_count);
  /* a name that is taken: a warning, and on it goes */
  fusd_simple_register(other, 0600, NULL, .open = do_open_or_close);
  printf("ready\n");
  fflush(stdout);
  for (;;) {
    fd_set set;
    int max = 0;

    FD_ZERO(&set);
    FD_SET(0, &set);
    fusd_fdset_add(&set, &max);
    if (select(max + 1, &set, NULL, NULL, NULL) < 0) {
      perror("select");
      return 1;
    }
    if (FD_ISSET(0, &set)) {
      char line[8];
      if (read(0, line, sizeof line) <= 0)
        return 0;
    }
    fusd_dispatch_fdset(&set);
  }
}
