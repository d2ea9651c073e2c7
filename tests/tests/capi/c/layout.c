/* Prints the layout of what drivers share with the library, for machines with 64 bits. */
#include <fusd.h>
#include <fusd_device.h>
#include <stdio.h>

#define SIZE(type) printf("layout %s %zu\n", #type, sizeof(type))
#define FIELD(type, field) printf("layout %s.%s %zu\n", #type, #field, offsetof(type, field))

int main(void)
{
	SIZE(struct fusd_file_info);
	FIELD(struct fusd_file_info, device_info);
	FIELD(struct fusd_file_info, private_data);
	FIELD(struct fusd_file_info, flags);
	FIELD(struct fusd_file_info, pid);
	FIELD(struct fusd_file_info, uid);
	FIELD(struct fusd_file_info, gid);
	SIZE(struct fusd_file_operations);
	FIELD(struct fusd_file_operations, open);
	FIELD(struct fusd_file_operations, close);
	FIELD(struct fusd_file_operations, read);
	FIELD(struct fusd_file_operations, write);
	FIELD(struct fusd_file_operations, ioctl);
	FIELD(struct fusd_file_operations, poll_diff);
	FIELD(struct fusd_file_operations, unblock);
	FIELD(struct fusd_file_operations, mmap);
	SIZE(struct fusd_ops);
	FIELD(struct fusd_ops, open);
	FIELD(struct fusd_ops, release);
	FIELD(struct fusd_ops, read);
	FIELD(struct fusd_ops, write);
	FIELD(struct fusd_ops, ioctl);
	FIELD(struct fusd_ops, interrupted);
	FIELD(struct fusd_ops, sync);
	SIZE(struct fusd_options);
	FIELD(struct fusd_options, name);
	FIELD(struct fusd_options, path);
	FIELD(struct fusd_options, backend);
	FIELD(struct fusd_options, flags);
	FIELD(struct fusd_options, mode);
	FIELD(struct fusd_options, owner);
	FIELD(struct fusd_options, group);
	FIELD(struct fusd_options, workers);
	FIELD(struct fusd_options, max_open);
	SIZE(struct fusd_area);
	return 0;
}
