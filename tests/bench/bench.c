/* SPDX-License-Identifier: MIT */
/*
 * bench: options by a table, medians by sorting, the machine's load by /proc/stat.
 */
#define _GNU_SOURCE /* program_invocation_short_name */
#include "bench.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

static const uint64_t SECOND_NS = 1000000000;

void bench_die(const char *what, int err) {
  (void) fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, uv_strerror(err));
  exit(1);
}

void bench_must(int err, const char *what) {
  if (err) bench_die(what, err);
}

int bench_check(int result, const char *what) {
  if (result < 0) bench_die(what, uv_translate_sys_error(errno));
  return result;
}

void *bench_alloc(size_t count, size_t size) {
  void *memory = calloc(count, size);
  if (memory == NULL) bench_die("memory", UV_ENOMEM);
  return memory;
}

/* ---- options ---- */

static void print_usage(FILE *out, const bench_option_t *options, size_t count) {
  (void) fprintf(out, "%s [options]\n\n", program_invocation_short_name);
  for (size_t i = 0; i < count; i++)
    (void) fprintf(out, "  %-16s %s (1 to %llu, default %llu)\n", options[i].name, options[i].help,
                   (unsigned long long) options[i].most, (unsigned long long) *options[i].value);
  (void) fprintf(out, "  %-16s besides the table\n", "--json FILE");
}

static bool parse_count(const char *text, uint64_t most, uint64_t *count) {
  char *end;
  if (text == NULL || *text < '0' || *text > '9') return false;
  *count = strtoull(text, &end, 10);
  return *end == 0 && *count >= 1 && *count <= most;
}

static bool take_option(const char *name, const char *text, const bench_option_t *options, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (strcmp(name, options[i].name) == 0) return parse_count(text, options[i].most, options[i].value);
  return false;
}

static FILE *open_json(const char *path) {
  FILE *file = fopen(path, "we");
  if (file == NULL) bench_die(path, uv_translate_sys_error(errno));
  return file;
}

FILE *bench_options(int argc, char **argv, const bench_option_t *options, size_t count) {
  const char *json_path = NULL;
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--help") == 0) {
      print_usage(stdout, options, count);
      exit(0);
    }
    if (strcmp(argv[i], "--json") == 0 && argv[i + 1] != NULL) {
      json_path = argv[++i];
    } else if (take_option(argv[i], argv[i + 1], options, count)) {
      i++;
    } else {
      print_usage(stderr, options, count);
      exit(2);
    }
  }
  return json_path != NULL ? open_json(json_path) : NULL;
}

/* ---- figures ---- */

void bench_round(bench_rounds_t *rounds, double value) {
  if (rounds->count == BENCH_ROUNDS_MAX) bench_die("rounds", UV_ENOSPC);
  rounds->values[rounds->count++] = value;
}

static int by_size(const void *a, const void *b) {
  double x = *(const double *) a, y = *(const double *) b;
  return (x > y) - (x < y);
}

bench_spread_t bench_spread(const bench_rounds_t *rounds) {
  bench_rounds_t sorted = *rounds;
  if (sorted.count == 0) return (bench_spread_t){0};
  qsort(sorted.values, sorted.count, sizeof sorted.values[0], by_size);
  return (bench_spread_t){.median = sorted.values[sorted.count / 2],
                          .lowest = sorted.values[0],
                          .highest = sorted.values[sorted.count - 1]};
}

/* ---- the machine ---- */

/* Seconds that the processors have worked since they were started, the hypervisor's for others included; -1:
 * unknown. */
static double machine_busy_s(void) {
  unsigned long long user, nice, system, idle, iowait, irq, softirq, steal;
  FILE *file = fopen("/proc/stat", "re");
  if (file == NULL) return -1;
  int found = fscanf(file, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system, &idle, &iowait, &irq,
                     &softirq, &steal);
  (void) fclose(file);
  if (found != 8) return -1;
  return (double) (user + nice + system + irq + softirq + steal) / (double) sysconf(_SC_CLK_TCK);
}

static double own_busy_s(void) {
  double sum = 0;
  int whose[] = {RUSAGE_SELF, RUSAGE_CHILDREN};
  for (int i = 0; i < 2; i++) {
    struct rusage usage;
    (void) bench_check(getrusage(whose[i], &usage), "getrusage");
    sum += (double) (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec);
    sum += (double) (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
  }
  return sum;
}

void bench_load_begin(bench_load_t *load) {
  load->begun_ns = uv_hrtime();
  load->busy_s = machine_busy_s();
  if (load->busy_s >= 0) load->busy_s -= own_busy_s();
}

double bench_load_of_others(const bench_load_t *load) {
  double busy_s = machine_busy_s();
  if (busy_s < 0 || load->busy_s < 0) return -1;
  double others_s = busy_s - own_busy_s() - load->busy_s;
  double passed_s = (double) (uv_hrtime() - load->begun_ns) / (double) SECOND_NS;
  return others_s > 0 ? others_s / passed_s : 0;
}

void bench_load_exclude(bench_load_t *load, double us) {
  if (load->busy_s >= 0) load->busy_s += us / 1e6;
}

bench_time_t bench_spent(void) {
  struct rusage usage;
  (void) bench_check(getrusage(RUSAGE_SELF, &usage), "getrusage");
  return (bench_time_t){.user_us = (double) usage.ru_utime.tv_sec * 1e6 + (double) usage.ru_utime.tv_usec,
                        .system_us = (double) usage.ru_stime.tv_sec * 1e6 + (double) usage.ru_stime.tv_usec};
}

static double thread_us(const char *path) {
  unsigned long long ns = 0;
  FILE *file = fopen(path, "re");
  if (file == NULL) return 0; /* it has just ended */
  if (fscanf(file, "%llu", &ns) != 1) ns = 0;
  (void) fclose(file);
  return (double) ns / 1e3;
}

double bench_process_us(int pid) {
  char path[320];
  double sum_us = 0;
  (void) snprintf(path, sizeof path, "/proc/%d/task", pid);
  DIR *tasks = opendir(path);
  if (tasks == NULL) bench_die("a server has ended", UV_ESRCH);
  for (const struct dirent *task; (task = readdir(tasks)) != NULL;) {
    if (task->d_name[0] == '.') continue;
    (void) snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", pid, task->d_name);
    sum_us += thread_us(path);
  }
  (void) closedir(tasks);
  return sum_us;
}

void bench_sleep_until(uint64_t time_ns) {
  struct timespec until = {.tv_sec = (time_t) (time_ns / SECOND_NS), .tv_nsec = (long) (time_ns % SECOND_NS)};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) {
  }
}

void bench_need_descriptors(uint64_t count) {
  struct rlimit limit;
  (void) bench_check(getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
  if (limit.rlim_max < count) bench_die("so many connections (see ulimit -n)", UV_EMFILE);
  limit.rlim_cur = limit.rlim_max;
  (void) bench_check(setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
}
