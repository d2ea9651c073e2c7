/* Both forms of fusd_register and fusd_simple_register, in C and in C++; only compiled. */
#include <fusd.h>

static int accept_it(struct fusd_file_info *file)
{
	(void) file;
	return 0;
}

int forms(const char *name, const char *other, int mode);

int forms(const char *name, const char *other, int mode)
{
	static struct fusd_file_operations table;
	static const struct fusd_file_operations constant = {
		accept_it, accept_it, NULL, NULL, NULL, NULL, NULL, NULL
	};
	char text[] = "text";
	int result = 0;

	result += fusd_register(name, 0666, NULL, &table);
	result += fusd_register(name, (mode_t) mode, &result, &constant);
	result += fusd_register(text, mode | 0200, NULL, &table);
	result += fusd_register(name, "misc", "sysfs!name", 0666, NULL, &table);
	result += fusd_register(name, other, text, (mode_t) mode, &result, &constant);
	result += fusd_register("name", text, other, 0666, NULL, &constant);
	if (fusd_register(name, 0666, NULL, &table) < 0)
		return -1;
	result += fusd_simple_register(name, 0666, NULL, .open = accept_it);
	result += fusd_simple_register(name, 0666, &result, .open = accept_it, .close = accept_it);
	result += fusd_simple_register_class(name, "misc", other, 0666, NULL, .open = accept_it);
	fusd_simple_register_class(text, "misc", "a", (mode_t) mode, &result, .open = accept_it);
#ifndef __cplusplus
	result += fusd_simple_register(name, "misc", other, 0666, NULL, .open = accept_it);
	fusd_simple_register(text, "misc", "a", (mode_t) mode, &result, .open = accept_it);
#endif
	return result + (fusd_register)(name, 0666, NULL, &table);
}
