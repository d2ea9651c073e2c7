/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fusd_device.h: devices under /dev that an ordinary program, the driver, implements: the interface
 * for drivers that are written today. (fusd.h has that of the original FUSD. A program can use both.)
 *
 *	#include <fusd_device.h>
 *
 *	static void say(struct fusd_call *call, size_t length, uint64_t offset)
 *	{
 *		fusd_reply_data(call, "hello\n", offset == 0 && length >= 6 ? 6 : 0);
 *	}
 *
 *	int main(void)
 *	{
 *		struct fusd_options options = { .size = sizeof options, .name = "hello" };
 *		struct fusd_ops ops = { .size = sizeof ops, .read = say };
 *		struct fusd_device *device = fusd_device_new(&options, &ops, NULL);
 *
 *		return device == NULL || fusd_device_run(device) < 0;
 *	}
 *
 * Calls. A callback gets a call and has it answered by one of the fusd_reply_ functions: at once, or
 * later, from any thread. Until then the client waits; a client that is interrupted or killed goes on
 * at once, whatever the driver does.
 *
 * Threads. All functions may be called from any thread, but not from a signal handler. Callbacks run
 * on threads of the library, in which all signals are blocked: those of one file one after the other,
 * in the order of the calls; those of different files at the same time (fusd_options.workers). A
 * callback that waits keeps its thread and its file; one that returns without an answer keeps neither.
 * Callbacks must return: no longjmp(3), no C++ exception. Make devices after fork(2) and daemon(3): in a
 * child, those of its parent, and calls of them, are ENODEV; those that it holds without execve(2) go on
 * until it has ended as well.
 *
 * Handles. Pointers to a fusd_device, fusd_file or fusd_call lead nowhere and are never used twice. A
 * function that gets one which is not valid (any more) does nothing and fails with EINVAL.
 *
 * Failure. Functions that return int give 0, or -1 with errno. Those of a device also leave a line of
 * text in fusd_error_text(). EIO is a bug of the library; the log tells.
 *
 * Growth. Structures begin with their size, which the driver sets to sizeof. A driver that was compiled
 * with a smaller one goes on working; zeros mean the default everywhere.
 */
#ifndef FUSD_DEVICE_H
#define FUSD_DEVICE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct fusd_device; /* a registered device; the driver frees it */
struct fusd_file;   /* a client's open file; valid from its fusd_reply_open() to its release */
struct fusd_call;   /* a client's call; valid until it is answered, or its device freed */
struct fusd_memory; /* memory that clients map; the driver frees it */

/* What polls of a file see: bits of fusd_reply_open() and fusd_file_set_ready(). */
#define FUSD_READY_READ 0x1     /* a read will not wait (POLLIN) */
#define FUSD_READY_WRITE 0x2    /* a write will not wait (POLLOUT) */
#define FUSD_READY_PRIORITY 0x4 /* something exceptional (POLLPRI) */
#define FUSD_READY_ERROR 0x8    /* the device is in error (POLLERR) */
#define FUSD_READY_HANG_UP 0x10 /* the other side has hung up (POLLHUP) */

/*
 * What a driver does when clients call. `size` is sizeof(struct fusd_ops). A callback that is NULL
 * leaves the answer to the kernel's default, given below.
 */
struct fusd_ops {
	size_t size;

	/* A client opens the device: fusd_reply_open() lets it in. NULL: all are let in. */
	void (*open)(struct fusd_call *call);

	/* The last descriptor of a file is closed: `data` is what fusd_reply_open() was given,
	 * `context` what fusd_device_new() was. Exactly once for each fusd_reply_open(), also where
	 * that failed with EPIPE. NULL: nothing happens. */
	void (*release)(void *data, void *context);

	/* A client reads: fusd_reply_data() with at most `length` bytes; none is the end of the
	 * file. `offset` is where in the file, in bytes; 0 on a stream. NULL: EINVAL. */
	void (*read)(struct fusd_call *call, size_t length, uint64_t offset);

	/* A client writes: fusd_reply_count() tells how many of the `length` bytes at `data` were
	 * taken. They stay there until the answer. NULL: EINVAL. */
	void (*write)(struct fusd_call *call, const void *data, size_t length, uint64_t offset);

	/* A client makes an ioctl(2): fusd_reply_ioctl(). `argument` is its third argument, as a
	 * number. `input` are the bytes that it hands in, which stay there until the answer; `room`
	 * is how many it takes back. Sizes are those that `number` encodes; with FUSD_ANY_IOCTL also
	 * those of the old ones of terminals, and after fusd_reply_again() those of the areas named
	 * there. NULL: ENOTTY. */
	void (*ioctl)(struct fusd_call *call, unsigned int number, uint64_t argument,
		      const void *input, size_t length, size_t room);

	/* The client of a call that the driver has kept waits no more (a signal, its death). The call
	 * is still to be answered, which will fail with EPIPE. Runs at any time after the call's own
	 * callback has returned, on any thread, and must not wait. NULL: nothing happens. */
	void (*interrupted)(struct fusd_call *call);

	/* A client asks for what it wrote to be made safe (fsync(2); fdatasync(2) if `data_only`):
	 * fusd_reply_done(). NULL, and through CUSE always: EINVAL. */
	void (*sync)(struct fusd_call *call, int data_only);
};

/* What a device is. `size` is sizeof(struct fusd_options). Strings are copied. */
struct fusd_options {
	size_t size;
	const char *name;     /* the node is /dev/NAME, or $XDG_RUNTIME_DIR/fusd/NAME; or NULL */
	const char *path;     /* the node itself, instead of a name; or NULL */
	const char *backend;  /* "kfusd", "cuse", "fuse", or "auto" for the best one; NULL: FUSD_BACKEND
			       * in the environment, else the best one */
	unsigned int flags;   /* FUSD_SET_MODE and so on */
	mode_t mode;          /* permissions, 0 to 07777, if FUSD_SET_MODE; else 0666 less the umask */
	uid_t owner;          /* if FUSD_SET_OWNER; else the driver's */
	gid_t group;          /* if FUSD_SET_GROUP; else the driver's */
	unsigned int workers; /* callbacks at a time; 0: 16 */
	unsigned int max_open; /* files open at a time, beyond which open(2) is EBUSY; 0: no limit */
};

#define FUSD_SET_MODE 0x1
#define FUSD_SET_OWNER 0x2
#define FUSD_SET_GROUP 0x4
#define FUSD_STREAM 0x8     /* files have no position: lseek(2) and pread(2) fail with ESPIPE */
#define FUSD_ANY_IOCTL 0x10 /* ioctls of any number and fusd_reply_again(); not with fuse */

/* An area of a client's memory. */
struct fusd_area {
	uint64_t address; /* in the client's address space */
	size_t length;    /* in bytes */
};

/* -------------------------------------------------------------- devices */

/*
 * Makes the device: when this returns, clients find its node; their calls wait until it is served.
 * `options` and `ops` are copied; `context` is the driver's own. Returns NULL with errno: EINVAL for an
 * impossible name, option or size, E2BIG for options or ops of a newer library, ENAMETOOLONG, EEXIST if
 * something is at the node's place, ENOENT if its directory is missing, EACCES or EPERM without the
 * rights, ENOPKG if no backend, or not the one asked for, can be used.
 */
struct fusd_device *fusd_device_new(const struct fusd_options *options, const struct fusd_ops *ops,
				    void *context);

/* Serves the device until fusd_device_stop(); the calling thread waits. EBUSY: it is served already, or
 * was. ENODEV: the node was taken away from outside. */
int fusd_device_run(struct fusd_device *device);

/* Serves the device in the background, until fusd_device_stop() or fusd_device_free(). EBUSY: likewise. */
int fusd_device_start(struct fusd_device *device);

/* Asks the device to end; does not wait. Its node goes, calls that wait fail with EPIPE, files that are
 * open are released. */
int fusd_device_stop(struct fusd_device *device);

/* Ends the device, waits until it has (two seconds for callbacks that run), and frees it with all calls
 * that the driver has kept. A callback that still runs then keeps its call until it returns, and
 * `context` must live until then. NULL is ignored. Not to be called from a callback of the device.
 * EBUSY: a thread is in fusd_device_run(); stop the device first, and wait for that to return. */
int fusd_device_free(struct fusd_device *device);

/* Where the node is, and what serves it ("kfusd", "cuse", "fuse"). Valid until the device is freed. */
const char *fusd_device_path(struct fusd_device *device);
const char *fusd_device_backend(struct fusd_device *device);

/* What this thread's last failure of these functions was about, as a line of text; "" if there was none.
 * Good until the next one. */
const char *fusd_error_text(void);

/* -------------------------------------------------------------- what a call is about */

void *fusd_call_context(struct fusd_call *call);         /* of fusd_device_new() */
void *fusd_call_data(struct fusd_call *call);            /* of fusd_reply_open(); NULL in open */
struct fusd_file *fusd_call_file(struct fusd_call *call); /* NULL in open */
pid_t fusd_call_pid(struct fusd_call *call);             /* the process; 0 if the driver cannot see it */
uid_t fusd_call_uid(struct fusd_call *call);
gid_t fusd_call_gid(struct fusd_call *call);
int fusd_call_flags(struct fusd_call *call);             /* the file's O_ flags as they are now */
int fusd_call_is_interrupted(struct fusd_call *call);    /* 1: the client waits no more; 0: it does */

/* -------------------------------------------------------------- answers
 *
 * Each ends the call, and its handle, if it returns 0 or fails with EPIPE, which says that the client
 * had stopped waiting: nothing has reached it, so what was taken from a queue can go back. With EINVAL
 * the call is not ended: the answer does not fit it (another kind of call, too long), or there is no such
 * call. Nor is it with ENODEV: it is that of the process that has forked this one. What the driver hands
 * in is copied.
 */

/* Lets a client in. `data` is the driver's own for the file; `ready` what polls see at first. Unless
 * `file` is NULL, *file is set, before the client's first call. ENODEV: the device has ended, and the call
 * with it; there is no file, and no release of it. */
int fusd_reply_open(struct fusd_call *call, void *data, unsigned int ready, struct fusd_file **file);

int fusd_reply_data(struct fusd_call *call, const void *data, size_t length); /* read */
int fusd_reply_count(struct fusd_call *call, size_t count);                   /* write */
int fusd_reply_done(struct fusd_call *call);                                  /* sync */

/* The client's ioctl(2) returns `result`, 0 or more, and `length` bytes of `output` go back. */
int fusd_reply_ioctl(struct fusd_call *call, int result, const void *output, size_t length);

/*
 * Has an ioctl come again as a new call, with what is at the `inputs` areas of the client's memory, one
 * after the other, as its input, and room for the `outputs` areas: for arguments with pointers. At most
 * 256 areas. The client can change its memory meanwhile: check anew what was checked. Takes
 * FUSD_ANY_IOCTL; the client gets ENOTTY where the backend cannot do it, EFAULT for a bad address, ENOMEM
 * beyond 128 KiB.
 */
int fusd_reply_again(struct fusd_call *call, const struct fusd_area *input, size_t inputs,
		     const struct fusd_area *output, size_t outputs);

/* The call fails with `error`, 1 to 4095: an errno, not negated. */
int fusd_reply_error(struct fusd_call *call, int error);

/* -------------------------------------------------------------- memory that clients map */

/*
 * Makes `length` bytes of memory, rounded up to whole pages, all zero, that clients can map by mmap(2).
 * What either side writes there the other one sees, at once and without a word to anybody. Returns NULL
 * with errno: EINVAL for a length of 0, ENOMEM, EMFILE or ENFILE (it takes a descriptor).
 */
struct fusd_memory *fusd_memory_new(size_t length);

/* Where it is, and how many bytes. Valid until it is freed. */
void *fusd_memory_address(struct fusd_memory *memory);
size_t fusd_memory_length(struct fusd_memory *memory);

/* Gives the memory up. Clients that may map it, or have, keep it. NULL is ignored. */
int fusd_memory_free(struct fusd_memory *memory);

/*
 * Lets the client of an open map the memory, once it is let in: call it before fusd_reply_open(). A second
 * one takes the place of the first. `flags`: 0, or FUSD_READ_ONLY. The driver hears no word when it is
 * mapped. Without this mmap(2) fails with ENODEV, beyond the memory's end with ENXIO. EOPNOTSUPP: files of
 * this backend cannot be mapped, only those of kfusd can. ENOENT: the client waits no more, or the device
 * has ended. ENOMEM.
 */
int fusd_call_offer(struct fusd_call *call, struct fusd_memory *memory, unsigned int flags);

/* To map it shared and writable fails with EACCES; copies of their own (MAP_PRIVATE) clients may change. */
#define FUSD_READ_ONLY 0x1

/* -------------------------------------------------------------- files */

/* Replaces what polls of the file see (FUSD_READY_ bits), and wakes those who wait. Call it before the
 * answer to the call that made the change, and under the lock that guards what it tells of. */
int fusd_file_set_ready(struct fusd_file *file, unsigned int ready);

/* What fusd_reply_open() was given. */
void *fusd_file_data(struct fusd_file *file);

#ifdef __cplusplus
}
#endif

#endif /* FUSD_DEVICE_H */
