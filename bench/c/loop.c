/*
 * What the clock of a guest counts: runs a known number of instructions and prints how many
 * nanoseconds passed. In a guest whose clock counts instructions the two are the same.
 *
 * Usage: fusd-bench-loop. Prints "INSTRUCTIONS NANOSECONDS".
 */
#include <stdio.h>
#include <time.h>

/* Some ten ticks of the kernel's timer at 250 Hz, whose own instructions are then too few to see. */
#define ROUNDS 20000000ul

/* One decrement and one jump each. */
#define INSTRUCTIONS (2 * ROUNDS)

static unsigned long now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000ul + time.tv_nsec;
}

int main(void)
{
	unsigned long left = ROUNDS;
	unsigned long begin = now();

	__asm__ volatile("1: dec %0\n\tjnz 1b" : "+r"(left) : : "cc");
	printf("%lu %lu\n", INSTRUCTIONS, now() - begin);
	return 0;
}
