/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fusd.h: devices under /dev that an ordinary program, the driver, implements.
 *
 * This is the interface of the original FUSD (2001 to 2007): a driver that was written for it
 * compiles unchanged. libfusd(3) tells how it behaves and where that differs from the original.
 *
 *	#include <fusd.h>
 *
 *	static int accept_it(struct fusd_file_info *file) { (void) file; return 0; }
 *	static ssize_t say(struct fusd_file_info *file, char *buffer, size_t length, loff_t *offset);
 *
 *	static struct fusd_file_operations operations = {
 *		.open = accept_it, .close = accept_it, .read = say
 *	};
 *
 *	int main(void)
 *	{
 *		if (fusd_register("hello", 0666, NULL, &operations) < 0)
 *			return 1;
 *		fusd_run();
 *	}
 *
 * Link with -lfusd (pkg-config --cflags --libs fusd).
 *
 * Threads. All functions may be called from any thread. Callbacks run on the thread that calls
 * fusd_run(), fusd_dispatch() or fusd_dispatch_fdset(), and nowhere else: a program in which one
 * thread does that needs no locks of its own. Where several threads do, they share the devices: the
 * callbacks of one file can then run at the same time and in another order than the calls, a close
 * beside a call whose client was killed among them, and the driver's locks are what keeps them apart.
 * (The library does not: a callback that leaves by longjmp(3) would keep its file's turn for ever.)
 *
 * The library has threads, too, with all signals blocked; so register after fork(2) and daemon(3), not
 * before: a child has no threads but one. Its parent's devices and calls are ENODEV in it; those that
 * it holds without execve(2) go on until it has ended as well.
 *
 * Results. Callbacks return 0 or more for success and a negated error number for failure, as in
 * the kernel. What is neither, such as more bytes than were asked for, is EIO for the client and a
 * line in the driver's log (standard error; the variable FUSD_LOG sets the least level of what is
 * told: off, error, warn, info or debug; it is warn if not set).
 *
 * Pointers to a struct fusd_file_info are looked up before they are used. A function that gets one
 * of a call that has been answered, or destroyed, or never was, does nothing and fails with EINVAL.
 */
#ifndef FUSD_H
#define FUSD_H

#include <pthread.h> /* old drivers expect it from here */
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A position in a file, in bytes: the type that <sys/types.h> calls loff_t, where it has that. */
typedef int64_t fusd_offset_t;

/* -------------------------------------------------------------- what callbacks see */

/*
 * A client's call. The pointer that a callback gets is good until the callback returns, or, where
 * it returns -FUSD_NOREPLY, until fusd_return() or fusd_destroy(). It is another one in each call,
 * also of the same open file.
 */
struct fusd_file_info {
	void *device_info;  /* what fusd_register() was given; a change has no effect */
	void *private_data; /* the driver's own, for each open file; NULL at first, changes last */
	unsigned int flags; /* the file's O_ flags (open(2)) as they are now; a change has no effect */
	pid_t pid;          /* the process that calls; 0 if the driver cannot see it */
	uid_t uid;          /* its user */
	gid_t gid;          /* its group */
};

/*
 * What happens when clients call. A callback that is NULL fails with ENOSYS (ioctl(2): with ENOTTY
 * on some backends; open(2): with EOPNOTSUPP there); without poll_diff the file is always ready;
 * close and unblock need not be there. The table is copied by fusd_register().
 */
struct fusd_file_operations {
	/* A client opens the device: 0 lets it in. */
	int (*open)(struct fusd_file_info *file);

	/* The last descriptor of a file is closed; exactly once for each successful open, also where
	 * the device ends by itself, but not where the driver has unregistered it. Nobody gets the
	 * result. The pid, uid and gid are those of the file's last call. */
	int (*close)(struct fusd_file_info *file);

	/* A client reads: put at most `length` bytes into `buffer` and return how many; 0 is the
	 * end of the file. *offset is the position in the file, in bytes from 0; what the callback
	 * leaves there is the position of the next call, unless the client seeks. */
	ssize_t (*read)(struct fusd_file_info *file, char *buffer, size_t length,
			fusd_offset_t *offset);

	/* A client writes: return how many of the `length` bytes were taken. The byte behind the
	 * last one is 0. *offset as for read. */
	ssize_t (*write)(struct fusd_file_info *file, const char *buffer, size_t length,
			 fusd_offset_t *offset);

	/* A client makes an ioctl(2). If its number encodes a size (_IOR, _IOW, _IOWR), `data` is
	 * memory of that size, with what the client handed in (_IOW, _IOWR), and goes back to the
	 * client if the result is not negative (_IOR, _IOWR). Else `data` is the argument itself,
	 * which must not be dereferenced. */
	int (*ioctl)(struct fusd_file_info *file, int request, void *data);

	/* The client is known to believe that the file's state is `cached_state` (FUSD_NOTIFY_
	 * bits). Return the state if it is another one; else return -FUSD_NOREPLY, and give the
	 * state to fusd_return() once it changes. A new poll_diff for the same file makes the one
	 * before void: fusd_destroy() that. */
	int (*poll_diff)(struct fusd_file_info *file, unsigned int cached_state);

	/* A call that the driver keeps has been interrupted (signal), or its client has died. The
	 * client has gone on already; the driver still has to end the call by fusd_return() or
	 * fusd_destroy(). fusd_get_interrupted() tells which call it is. (Where several threads
	 * dispatch, that call's own callback may still run.) */
	int (*unblock)(struct fusd_file_info *file);

	/* What a client may map: put into *addr and *out_length where memory of the driver's own is,
	 * and how long. It is asked once for each open, after `open` and before the client is in,
	 * not for each mmap(2) (`offset` is 0, `length` a page, `flags` MAP_SHARED), and cannot
	 * answer later; a negative result means that there is none, or, where `prot` has
	 * PROT_WRITE, none to be written to: then it is asked again with PROT_READ. The memory begins
	 * at a page, all of its pages are seen by clients, and it is private memory of the driver
	 * (static, malloc(3), mmap(2) with MAP_PRIVATE): it stays where it is, but becomes shared with
	 * clients, and with children of the driver; let no other thread write to it during the first
	 * open, and do not free it. Called on the backend kfusd alone; on others there is no mmap(2)
	 * of a driver's memory. */
	int (*mmap)(struct fusd_file_info *file, int offset, size_t length, int prot, int flags,
		    void **addr, size_t *out_length);
};

/* Negated, the result of a callback that answers later. */
#define FUSD_NOREPLY 0x1000

/* The bits of a poll state. */
#define FUSD_NOTIFY_INPUT 0x1  /* a read will not wait */
#define FUSD_NOTIFY_OUTPUT 0x2 /* a write will not wait */
#define FUSD_NOTIFY_EXCEPT 0x4 /* something exceptional (POLLPRI) */

/* What fusd_get_call_type() returns. */
#define FUSD_OPEN 100
#define FUSD_CLOSE 101
#define FUSD_READ 102
#define FUSD_WRITE 103
#define FUSD_IOCTL 104
#define FUSD_POLL_DIFF 105
#define FUSD_UNBLOCK 106
#define FUSD_MMAP 107

/* -------------------------------------------------------------- devices */

/*
 * Makes the device `name`: the node /dev/NAME ("/dev/" at its beginning is skipped), or, for an
 * ordinary user, $XDG_RUNTIME_DIR/fusd/NAME. A name has letters, digits, ".", "_" and "-", with "/"
 * for subdirectories. `mode` is the node's permissions, 0 to 07777. `device_info` appears in each
 * call. `operations` is copied. FUSD_BACKEND in the environment chooses the backend (kfusd, cuse,
 * fuse).
 *
 * Returns a descriptor that is readable for select(2), poll(2) and epoll(7) while there is
 * something for fusd_dispatch(); or -1 with errno: EEXIST if something is at the node's place,
 * EINVAL for an impossible name or mode or a NULL pointer, EACCES or EPERM without the rights,
 * ENOPKG if no backend can be used here; fusd_error_text() says more.
 *
 * The later releases' form with six arguments has the device's class and its name in sysfs, which
 * are not used, behind the name. Both have this one name: it is the type of the second argument
 * that tells them apart.
 */
int fusd_register(const char *name, mode_t mode, void *device_info,
		  const struct fusd_file_operations *operations);
int fusd_register_class(const char *name, const char *device_class, const char *device_name,
			mode_t mode, void *device_info,
			const struct fusd_file_operations *operations);

/* Likewise, with a line on standard error where that fails. */
int fusd_register_or_warn(const char *name, mode_t mode, void *device_info,
			  const struct fusd_file_operations *operations);

/*
 * Ends the device: its node goes, calls that wait fail with EPIPE, `fd` is closed. No callback runs
 * for it any more, not even close; calls that the driver has kept are still to be destroyed. (The
 * end of the process does all that as well.) Returns 0, or -1 with errno: EBADF if `fd` is no device's,
 * ENODEV if its device is that of the process that has forked this one.
 */
int fusd_unregister(int fd);

/* What this thread's last failed registration was about, as a line of text; "" if there was none.
 * Good until the next one. */
const char *fusd_error_text(void);

/* -------------------------------------------------------------- the loop */

/* Serves all devices of the process. Returns when there are none (any more). */
void fusd_run(void);

/*
 * Runs the callbacks for what clients have done. Never waits, unless a callback does. Returns 0, or
 * -1 with errno: EAGAIN if there was nothing, EBADF if `fd` is no device's, ENODEV if the device has
 * ended by itself (the reason is in the log; fusd_unregister() it) and its files have got their close,
 * or is that of the process that has forked this one.
 */
int fusd_dispatch(int fd);

/* Adds the descriptors of all devices to `set`, and raises *max to the highest. A descriptor that
 * is too high for a set (FD_SETSIZE) is left out, with a line in the log. */
void fusd_fdset_add(fd_set *set, int *max);

/* fusd_dispatch() of each descriptor in `set` that is a device's; fusd_unregister() of it if its device
 * has ended by itself. */
void fusd_dispatch_fdset(const fd_set *set);

/* -------------------------------------------------------------- answers that come later */

/*
 * Ends a call that the driver has kept, as if its callback had returned `result`; `file` is not
 * valid any more. It may come before the callback has returned -FUSD_NOREPLY, and from any thread.
 * Returns 0, or a negated error number: -EPIPE if the client had stopped waiting, and nothing of the
 * answer has reached it; -EINVAL if there is no such call; -ENODEV if it is that of the process that has
 * forked this one. An open that comes to -EPIPE was successful nevertheless: its close follows.
 */
int fusd_return(struct fusd_file_info *file, ssize_t result);

/* Ends a call that nobody waits for: `file` is not valid any more. A client that does wait gets
 * EIO. NULL is ignored. */
void fusd_destroy(struct fusd_file_info *file);

/*
 * What a call that the driver has kept is about. Buffers are good until it is ended. A question that
 * does not fit the call gets NULL, 0 (the length) or -1, with errno EINVAL.
 */
int fusd_get_call_type(struct fusd_file_info *file);         /* FUSD_OPEN and so on */
char *fusd_get_read_buffer(struct fusd_file_info *file);     /* of fusd_get_length() bytes */
const char *fusd_get_write_buffer(struct fusd_file_info *file);
size_t fusd_get_length(struct fusd_file_info *file);         /* of a read or write, in bytes */
fusd_offset_t *fusd_get_offset(struct fusd_file_info *file); /* as the callback got it */
int fusd_get_ioctl_request(struct fusd_file_info *file);
int fusd_get_ioctl_arg(struct fusd_file_info *file);         /* an argument without a size */
void *fusd_get_ioctl_buffer(struct fusd_file_info *file);    /* one with a size */
int fusd_get_poll_diff_cached_state(struct fusd_file_info *file);

/* In unblock: the call that was interrupted, or NULL if the driver has ended it meanwhile. */
struct fusd_file_info *fusd_get_interrupted(struct fusd_file_info *file);

/* A poll state as text: "RWE", with "-" for a bit that is not set. Not to be freed or changed. */
char *fusd_unparse_flags(int state);

/* -------------------------------------------------------------- fusd_simple_register
 *
 * fusd_simple_register(name, mode, device_info, OPERATIONS...) and
 * fusd_simple_register(name, class, device_name, mode, device_info, OPERATIONS...)
 *
 * register a device with a table made of OPERATIONS, which are designated initialisers (open:
 * do_open, read: do_read; or .open = do_open and so on), and return what fusd_register() does.
 * Where that fails they say so on standard error. The second form is for C alone, as C++ does not mix
 * designated initialisers with others: there it is fusd_simple_register_class().
 */

/* The table with room for what comes before it in the second form. Not for drivers. (C++ would warn
 * of what an initialiser leaves out.) */
#ifdef __cplusplus
#define FUSD_NONE_ = 0
#else
#define FUSD_NONE_
#endif
struct fusd_simple_table_ {
	mode_t mode_ FUSD_NONE_;
	void *device_info_ FUSD_NONE_;
	int (*open)(struct fusd_file_info *) FUSD_NONE_;
	int (*close)(struct fusd_file_info *) FUSD_NONE_;
	ssize_t (*read)(struct fusd_file_info *, char *, size_t, fusd_offset_t *) FUSD_NONE_;
	ssize_t (*write)(struct fusd_file_info *, const char *, size_t, fusd_offset_t *) FUSD_NONE_;
	int (*ioctl)(struct fusd_file_info *, int, void *) FUSD_NONE_;
	int (*poll_diff)(struct fusd_file_info *, unsigned int) FUSD_NONE_;
	int (*unblock)(struct fusd_file_info *) FUSD_NONE_;
	int (*mmap)(struct fusd_file_info *, int, size_t, int, int, void **, size_t *) FUSD_NONE_;
};
#undef FUSD_NONE_

static inline int fusd_simple_mode_(const char *name, mode_t mode, void *device_info,
				    const struct fusd_simple_table_ *table)
{
	struct fusd_file_operations operations;

	operations.open = table->open;
	operations.close = table->close;
	operations.read = table->read;
	operations.write = table->write;
	operations.ioctl = table->ioctl;
	operations.poll_diff = table->poll_diff;
	operations.unblock = table->unblock;
	operations.mmap = table->mmap;
	return fusd_register_or_warn(name, mode, device_info, &operations);
}

static inline int fusd_simple_class_(const char *name, const char *device_class,
				     const char *device_name, const struct fusd_simple_table_ *table)
{
	(void) device_class;
	(void) device_name;
	return fusd_simple_mode_(name, table->mode_, table->device_info_, table);
}

#ifdef __cplusplus
} /* extern "C" */

static inline int fusd_register(const char *name, const char *device_class,
				const char *device_name, mode_t mode, void *device_info,
				const struct fusd_file_operations *operations)
{
	return fusd_register_class(name, device_class, device_name, mode, device_info, operations);
}

static inline int fusd_simple_(const char *name, mode_t mode, void *device_info,
			       const fusd_simple_table_ &table)
{
	return fusd_simple_mode_(name, mode, device_info, &table);
}

#define fusd_simple_register(name, second, third, ...) \
	fusd_simple_((name), (second), (third), fusd_simple_table_{__VA_ARGS__})
#else
/* Which of two functions, by whether `second` is a string. (__extension__: _Generic is older than
 * C11 in the compilers that have it.) */
#define fusd_by_second_(second, if_string, if_mode) \
	__extension__ _Generic((second), \
		char *: if_string, const char *: if_string, void *: if_string, default: if_mode)

#define fusd_register(name, second, ...) \
	(fusd_by_second_(second, fusd_register_class, fusd_register)(name, second, __VA_ARGS__))

#define fusd_simple_register(name, second, third, ...) \
	(fusd_by_second_(second, fusd_simple_class_, fusd_simple_mode_)( \
		name, second, third, &(struct fusd_simple_table_){__VA_ARGS__}))
#endif

/* The second form under a name of its own, for C++ as well. */
#define fusd_simple_register_class(name, device_class, device_name, mode, device_info, ...) \
	((void) (device_class), (void) (device_name), \
	 fusd_simple_register(name, mode, device_info, __VA_ARGS__))

#endif /* FUSD_H */
