/* A driver in C++ whose callback throws: the call is kept, and ended where that is caught. */
#include <fusd.h>

#include <cerrno>
#include <cstdio>
#include <stdexcept>

struct Failure {
	fusd_file_info *file;
};

static int accept_it(fusd_file_info *)
{
	return 0;
}

static ssize_t fail(fusd_file_info *file, char *, size_t, fusd_offset_t *)
{
	throw Failure{file};
}

int main(int argc, char **argv)
{
	fusd_file_operations operations{};

	operations.open = accept_it;
	operations.read = fail;
	if (argc < 2 || fusd_register(argv[1], 0666, nullptr, &operations) < 0)
		return 1;
	std::puts("ready");
	std::fflush(stdout);
	for (;;) {
		try {
			fusd_run();
			return 0;
		} catch (const Failure &failure) {
			fusd_return(failure.file, -ERANGE);
			std::puts("caught");
			std::fflush(stdout);
		}
	}
}
