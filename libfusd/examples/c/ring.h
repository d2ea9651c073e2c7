/* The last 4096 bytes of all that was put in, for logring.c. */
#include <stddef.h>

static char ring[4096];
static unsigned long long written; /* bytes since the beginning */

static inline void put(const char *data, size_t length)
{
	while (length-- > 0)
		ring[written++ % sizeof ring] = *data++;
}

/* Gets at most `length` bytes, and moves `place`: the bytes that the reader has had or missed. */
static inline size_t get(unsigned long long *place, char *buffer, size_t length)
{
	size_t count = 0;

	if (written - *place > sizeof ring)
		*place = written - sizeof ring;
	while (count < length && *place < written)
		buffer[count++] = ring[(*place)++ % sizeof ring];
	return count;
}
