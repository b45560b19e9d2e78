// What a page costs a process here: one it writes to and shares with a file, as the heap image is; a fresh one; and a
// stretch of sixteen that it only reads. Each row is the time from fork to exit of a child that touches so many pages,
// less that of one that touches none.
//
//   musl-gcc -O1 -static -no-pie bench/pages.c -o pages && ./pages
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, WINDOW = 16 * PAGE, PAGES = 256, ROUNDS = 401 };

// In the file, so that the first write to a page copies it.
__attribute__((section(".image"), aligned(4096))) static volatile char image[PAGES * PAGE] = {1};
static volatile char fresh[PAGES * PAGE];

static void nothing(void) {}
static void write_to_image(void) { for (int at = 0; at < PAGES; at++) image[at * PAGE]++; }
static void write_to_fresh(void) { for (int at = 0; at < PAGES; at++) fresh[at * PAGE] = 1; }
static void read_windows(void) { for (int at = 0; at < PAGES * PAGE; at += WINDOW) (void)image[at]; }

static double microseconds(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1e6 + time.tv_nsec / 1e3;
}

static int ascending(const void *a, const void *b) {
  double difference = *(const double *)a - *(const double *)b;
  return (difference > 0) - (difference < 0);
}

int main(void) {
  struct { const char *name; void (*touch)(void); int count; double samples[ROUNDS]; } rows[] = {
      {"nothing", nothing, 0, {0}},
      {"a page of the file, written to", write_to_image, PAGES, {0}},
      {"a fresh page, written to", write_to_fresh, PAGES, {0}},
      {"sixteen pages of the file, read", read_windows, PAGES / 16, {0}},
  };
  const int count = sizeof rows / sizeof rows[0];
  for (int round = 0; round < ROUNDS; round++)
    for (int row = 0; row < count; row++) {
      double start = microseconds();
      pid_t child = fork();
      if (child == 0) {
        rows[row].touch();
        _exit(0);
      }
      waitpid(child, NULL, 0);
      rows[row].samples[round] = microseconds() - start;
    }
  for (int row = 0; row < count; row++) qsort(rows[row].samples, ROUNDS, sizeof(double), ascending);
  double base = rows[0].samples[ROUNDS / 2];
  for (int row = 1; row < count; row++)
    printf("%-34s %5.2f us\n", rows[row].name, (rows[row].samples[ROUNDS / 2] - base) / rows[row].count);
  return 0;
}
