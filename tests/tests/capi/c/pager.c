/*
 * A driver in the manner of 2003: a pager. Whoever writes to it pages all who read, and each reader
 * gets each page once. It says on standard output what its callbacks are told.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include "fusd.h"

struct client {
  int pages_seen;
  struct fusd_file_info *blocked;
  struct fusd_file_info *polling;
  struct client *next;
};

static struct client *clients = NULL;
static int pages = 0;
static char message[128];

static void
complete(struct client *c)
{
  struct fusd_file_info *f;

  if (c->blocked != NULL && c->pages_seen < pages) {
    f = c->blocked;
    c->blocked = NULL;
    c->pages_seen = pages;
    strcpy(fusd_get_read_buffer(f), message);
    fusd_return(f, strlen(message));
  }
  if (c->polling != NULL && c->pages_seen < pages) {
    f = c->polling;
    c->polling = NULL;
    fusd_return(f, FUSD_NOTIFY_INPUT);
  }
}

static int
pager_open(struct fusd_file_info *file)
{
  struct client *c;

  if ((c = malloc(sizeof(struct client))) == NULL)
    return -ENOMEM;
  memset(c, 0, sizeof(struct client));
  c->pages_seen = pages;
  c->next = clients;
  clients = c;
  file->private_data = c;
  printf("open %d %d %d %s\n", file->pid > 0, (int) file->uid, (int) file->gid,
	 (char *) file->device_info);
  return 0;
}

static int
pager_close(struct fusd_file_info *file)
{
  struct client *c = (struct client *) file->private_data;
  struct client **p;

  for (p = &clients; *p != c; p = &(*p)->next)
    ;
  *p = c->next;
  if (c->blocked != NULL)
    fusd_destroy(c->blocked);
  if (c->polling != NULL)
    fusd_destroy(c->polling);
  free(c);
  printf("close\n");
  return 0;
}

static ssize_t
pager_read(struct fusd_file_info *file, char *buf, size_t len, loff_t *offset)
{
  struct client *c = (struct client *) file->private_data;

  if (len < sizeof(message))
    return -EINVAL;
  if (c->blocked != NULL)
    return -EALREADY;
  c->blocked = file;
  complete(c);
  if (c->blocked != NULL)
    printf("waits\n");
  return -FUSD_NOREPLY;
}

static ssize_t
pager_write(struct fusd_file_info *file, const char *buf, size_t len, loff_t *offset)
{
  struct client *c;

  if (len >= sizeof(message))
    return -EMSGSIZE;
  /* the byte behind the data is a zero */
  strcpy(message, buf);
  pages++;
  for (c = clients; c != NULL; c = c->next)
    complete(c);
  return len;
}

static int
pager_polldiff(struct fusd_file_info *file, unsigned int cached_state)
{
  struct client *c = (struct client *) file->private_data;
  int state = c->pages_seen < pages ? FUSD_NOTIFY_INPUT : 0;

  if (c->polling != NULL) {
    fusd_destroy(c->polling);
    c->polling = NULL;
  }
  if ((unsigned int) state != cached_state)
    return state;
  c->polling = file;
  return -FUSD_NOREPLY;
}

static int
pager_unblock(struct fusd_file_info *file)
{
  struct client *c = (struct client *) file->private_data;

  printf("unblock %d\n", fusd_get_call_type(c->blocked) == FUSD_READ);
  if (c->blocked != NULL) {
    struct fusd_file_info *f = c->blocked;
    c->blocked = NULL;
    printf("late %d\n", fusd_return(f, -EINTR) == -EPIPE);
  }
  return 0;
}

struct fusd_file_operations pager_fops = {
  open: pager_open,
  close: pager_close,
  read: pager_read,
  write: pager_write,
  poll_diff: pager_polldiff,
  unblock: pager_unblock,
};

int
main(int argc, char *argv[])
{
  char name[256];

  setvbuf(stdout, NULL, _IOLBF, 0);
  sprintf(name, "/dev/%s", argv[1]);
  if (fusd_register(name, 0666, "info", &pager_fops) < 0) {
    perror("Unable to register device");
    exit(1);
  }
  printf("ready\n");
  fusd_run();
  return argc;
}
