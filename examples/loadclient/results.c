/* SPDX-License-Identifier: MIT */
/*
 * results: the memory, and sums.
 */
#define _DEFAULT_SOURCE
#include "results.h"

#include "values.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

static size_t bytes_of(uint32_t process_count) {
  return sizeof(struct results) + process_count * sizeof(struct process_results);
}

struct results *results_create(uint32_t process_count) {
  void *memory = mmap(NULL, bytes_of(process_count), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return NULL;
  struct results *results = memory; /* zeros */
  results->process_count = process_count;
  return results;
}

void results_destroy(struct results *results) {
  if (results != NULL) munmap(results, bytes_of(results->process_count));
}

void results_sum_class(const struct results *results, enum client_class class, struct class_results *sum) {
  memset(sum, 0, sizeof *sum);
  for (uint32_t i = 0; i < results->process_count; i++) {
    const struct class_results *part = &results->processes[i].classes[class];
    sum->clients += part->clients;
    sum->connected += part->connected;
    sum->ever_connected += part->ever_connected;
    sum->messages += part->messages;
    sum->bytes += part->bytes;
    sum->ok += part->ok;
    sum->failed += part->failed;
    sum->evicted += part->evicted;
    sum->cuts += part->cuts;
    sum->resumes += part->resumes;
    sum->too_old += part->too_old;
    integrity_add_totals(&sum->integrity, &part->integrity);
    histogram_add(&sum->latency, &part->latency);
    histogram_add(&sum->connect, &part->connect);
    histogram_add(&sum->eviction, &part->eviction);
  }
}

static uint64_t nanoseconds(struct timeval time) {
  return (uint64_t) time.tv_sec * NS_PER_S + (uint64_t) time.tv_usec * NS_PER_US;
}

uint64_t results_cpu_ns(void) {
  struct rusage usage;
  if (getrusage(RUSAGE_SELF, &usage) != 0) return 0;
  return nanoseconds(usage.ru_utime) + nanoseconds(usage.ru_stime);
}
