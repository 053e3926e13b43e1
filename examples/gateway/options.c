/* SPDX-License-Identifier: MIT */
/*
 * options: the command line. One table says of each option what it is called, what it means and what it may be; parsing
 * and --help both follow it. What can be known to be wrong without opening anything is refused here, with a message
 * that says what would be right.
 */
#include "options.h"

#include "common/address.h"
#include "common/log.h"
#include "topics.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KIB ((uint64_t) 1 << 10)
#define MIB ((uint64_t) 1 << 20)
#define GIB ((uint64_t) 1 << 30)
#define DAY_MS ((uint64_t) 24 * 60 * 60 * 1000)

/* A line is in memory as a message and once for each codec, in blocks of the next larger size, and others want room. */
#define LINES_IN_BUDGET 16

/*
 * Slots where the input waits for clients. Connections without progress may hold it up for 5 s in any minute, all of
 * them together, so those that stall at about the same time must do so within one wait: their kernels take amounts that
 * differ by some tens of KB, and the rings are long enough to hide that. It also makes for larger batches.
 */
#define SLOTS_WITH_PATIENCE 16384

/* The stall limit that --patience falls back to where --stall is off. */
#define PATIENCE_WITHOUT_STALL_MS 5000

enum kind { HEADING, FLAG, TEXT, NUMBER, BYTES };

enum option_id {
  NO_OPTION,
  TCP,
  MAX_CONNECTIONS,
  MAX_PER_ADDRESS,
  ACCEPT_RATE,
  THREADS,
  TOPIC,
  STDIN,
  WAIT_CLIENTS,
  ONCE,
  MAX_LINE,
  PATIENCE,
  SLOTS,
  RING_BYTES,
  HIGH,
  LOW,
  OVERFLOW_RULE,
  STALL,
  SLOW,
  LAG,
  GRACE,
  SHADOW,
  BUDGET,
  KERNEL_BYTES,
  DRAIN,
  LOG_LEVEL,
  HELP,
  VERSION,
  OPTION_COUNT
};

struct option_entry {
  enum option_id id;
  enum kind kind;
  const char *name;
  const char *argument;
  uint64_t min, max;
  const char *help;
};

static const struct option_entry entries[] = {
    {NO_OPTION, HEADING, "Serving", NULL, 0, 0, NULL},
    {TCP, TEXT, "tcp", "HOST:PORT", 0, 0, "where to listen; port 0 picks a free one, which the ready line names"},
    {MAX_CONNECTIONS, NUMBER, "max-connections", "N", 1, 10000000,
     "clients at a time; fewer if the limit of file descriptors wants it"},
    {MAX_PER_ADDRESS, NUMBER, "max-per-address", "N", 0, 10000000,
     "clients at a time from one IPv4 address or IPv6 /64 prefix; 0 is no limit"},
    {ACCEPT_RATE, NUMBER, "accept-rate", "N", 0, 10000000, "clients let in per second; 0 is no limit"},
    {THREADS, NUMBER, "threads", "N", 1, FLUXBP_WORKERS_MAX, "serve clients on so many threads"},
    {TOPIC, TEXT, "topic", "NAME", 0, 0, "the topic of a client that says nothing, and of standard input"},

    {NO_OPTION, HEADING, "Feeding", NULL, 0, 0, NULL},
    {STDIN, FLAG, "stdin", NULL, 0, 0, "publish each line of standard input"},
    {WAIT_CLIENTS, NUMBER, "wait-clients", "N", 0, 10000000, "begin to read when so many are connected"},
    {ONCE, FLAG, "once", NULL, 0, 0, "at the end of the input deliver what is queued and exit, instead of serving on"},
    {MAX_LINE, BYTES, "max-line", "BYTES", 1, 64 * MIB, "longer lines are skipped whole, logged and counted"},
    {PATIENCE, TEXT, "patience", "MS", 0, 0,
     "how long a client that makes progress may hold up the input; 0 is live: nobody is waited for"},

    {NO_OPTION, HEADING, "Slow clients", NULL, 0, 0, NULL},
    {SLOTS, NUMBER, "slots", "N", 2, FLUXBP_SLOTS_MAX, "messages that may wait for one client"},
    {RING_BYTES, BYTES, "ring-bytes", "BYTES", 1, 1024 * GIB, "bytes that may wait for one client"},
    {HIGH, NUMBER, "high", "PERCENT", 1, 100, "a client is backpressured from this fill on"},
    {LOW, NUMBER, "low", "PERCENT", 0, 99, "until it is down at this one"},
    {OVERFLOW_RULE, TEXT, "overflow", "RULE", 0, 0,
     "when more would wait: drop-newest, drop-oldest or evict (default evict, with --patience 0 drop-newest)"},
    {STALL, NUMBER, "stall", "MS", 0, DAY_MS, "evict a client without any progress for so long; 0 is off"},
    {SLOW, NUMBER, "slow", "MS", 0, DAY_MS, "evict a client that is backpressured and not catching up for so long"},
    {LAG, NUMBER, "lag", "MS", 0, DAY_MS, "evict a client whose oldest waiting message is older; 0 is off"},
    {GRACE, NUMBER, "grace", "MS", 0, DAY_MS, "a new client isn't evicted by any of these three before it is so old"},
    {SHADOW, FLAG, "shadow", NULL, 0, 0, "log who would be evicted, and evict nobody but for memory's sake"},
    {BUDGET, BYTES, "budget", "BYTES", MIB, 1024 * GIB, "memory for all messages and queues together"},
    {KERNEL_BYTES, TEXT, "kernel-bytes", "BYTES", 0, 0,
     "what slow clients together may leave in the kernel's buffers; 0 is no limit\n                           "
     "(default: a quarter of the kernel's own mark)"},

    {NO_OPTION, HEADING, "Operation", NULL, 0, 0, NULL},
    {DRAIN, NUMBER, "drain-ms", "MS", 0, DAY_MS, "time for clients to take what is queued when the gateway stops"},
    {LOG_LEVEL, TEXT, "log-level", "LEVEL", 0, 0, "debug, info, warn or error"},
    {HELP, FLAG, "help", NULL, 0, 0, "show this"},
    {VERSION, FLAG, "version", NULL, 0, 0, "show the version"},
};

#define ENTRIES (sizeof entries / sizeof entries[0])

/* What the user gave, or the default: a text or a number for each option. */
struct values {
  const char *text[OPTION_COUNT];
  uint64_t number[OPTION_COUNT];
};

static const char help_begin[] = "Usage: gateway [OPTION]...\n"
                                 "Sends lines to every TCP client that connects: nc 127.0.0.1 9000 shows the feed.\n";

static const char help_end[] =
    "\n"
    "BYTES take a suffix K, M or G. A client may send the lines SUB topic, UNSUB topic and PING.\n"
    "With --stdin and patience the feed is lossless: whoever isn't evicted gets every line, in order. Empty lines and\n"
    "those over --max-line are skipped.\n"
    "SIGTERM and SIGINT drain and exit; a second one exits at once.\n"
    "\n"
    "Exit codes: 0 done, 1 failed while running, 2 wrong options, 3 cannot listen.\n"
    "\n"
    "Example:\n"
    "  tail -F access.log | gateway --stdin\n";

__attribute__((format(printf, 1, 2))) static bool refuse(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("gateway: ", stderr);
  vfprintf(stderr, format, arguments);
  fputs("\n", stderr);
  va_end(arguments);
  return false;
}

static void set_defaults(struct values *values) {
  fluxbp_policy_t policy;
  fluxbp_pool_options_t pool;
  fluxbp_policy_init(&policy);
  fluxbp_pool_options_init(&pool);
  *values = (struct values){
      .text = {[TCP] = "127.0.0.1:9000", [TOPIC] = "default", [PATIENCE] = "default", [LOG_LEVEL] = "info"},
      .number = {[MAX_CONNECTIONS] = 100000,
                 [THREADS] = 1,
                 [MAX_LINE] = 64 * KIB,
                 [RING_BYTES] = policy.max_bytes,
                 [HIGH] = policy.high_percent,
                 [LOW] = policy.low_percent,
                 [STALL] = policy.stall_ms,
                 [SLOW] = policy.slow_ms,
                 [LAG] = policy.lag_ms,
                 [GRACE] = policy.grace_ms,
                 [BUDGET] = pool.max_bytes,
                 [DRAIN] = 5000},
  };
}

static void print_default(const struct option_entry *entry, const struct values *values) {
  uint64_t number = values->number[entry->id];
  fluxbp_policy_t policy;
  fluxbp_policy_init(&policy);
  if (entry->id == SLOTS)
    printf(" (default %" PRIu32 ", with patience %d)", policy.slots, SLOTS_WITH_PATIENCE);
  else if (entry->kind == NUMBER)
    printf(" (default %" PRIu64 ")", number);
  else if (entry->kind == BYTES && number % MIB == 0)
    printf(" (default %" PRIu64 "M)", number / MIB);
  else if (entry->kind == BYTES)
    printf(" (default %" PRIu64 "K)", number / KIB);
  else if (entry->id == PATIENCE)
    printf("\n%27s(default with --stdin: that of --stall)", "");
  else if (entry->kind == TEXT && values->text[entry->id] != NULL)
    printf(" (default %s)", values->text[entry->id]);
}

static void print_help(void) {
  struct values values;
  set_defaults(&values);
  fputs(help_begin, stdout);
  for (size_t i = 0; i < ENTRIES; i++) {
    const struct option_entry *entry = &entries[i];
    if (entry->kind == HEADING) {
      printf("\n%s:\n", entry->name);
      continue;
    }
    const char *argument = entry->argument != NULL ? entry->argument : "";
    int room = 21 - (int) strlen(entry->name);
    printf("  --%s %-*s %s", entry->name, room, argument, entry->help);
    print_default(entry, &values);
    printf("\n");
  }
  fputs(help_end, stdout);
}

static void print_version(void) {
  printf("gateway %s (libfluxbp %s, libuv %s)\n", FLUXBP_VERSION_STRING, fluxbp_version(), uv_version_string());
}

static const struct option_entry *entry_of(int id) {
  for (size_t i = 0; i < ENTRIES; i++)
    if (entries[i].kind != HEADING && (int) entries[i].id == id) return &entries[i];
  return NULL;
}

/* Digits only: strtoull alone would take a sign and blanks as well. */
static bool parse_number(const char *text, bool takes_suffix, uint64_t *number) {
  char *end;
  if (*text < '0' || *text > '9') return false;
  errno = 0;
  uint64_t value = strtoull(text, &end, 10);
  uint64_t unit = 1;
  if (takes_suffix && *end != '\0') {
    unit = *end == 'K' || *end == 'k' ? KIB : *end == 'M' || *end == 'm' ? MIB : *end == 'G' || *end == 'g' ? GIB : 0;
    end++;
  }
  if (errno != 0 || *end != '\0' || unit == 0 || value > UINT64_MAX / unit) return false;
  *number = value * unit;
  return true;
}

static bool take_option(struct values *values, const struct option_entry *entry, const char *argument) {
  if (entry->kind == FLAG) {
    values->number[entry->id] = 1;
    return true;
  }
  if (entry->kind == TEXT) {
    values->text[entry->id] = argument;
    return true;
  }
  uint64_t number;
  if (!parse_number(argument, entry->kind == BYTES, &number) || number < entry->min || number > entry->max)
    return refuse("--%s %s: it must be a number from %" PRIu64 " to %" PRIu64 "%s", entry->name, argument, entry->min,
                  entry->max, entry->kind == BYTES ? ", with a suffix K, M or G if you like" : "");
  values->number[entry->id] = number;
  return true;
}

static bool parse_patience(struct options *options, const char *text) {
  uint64_t number = 0;
  if (strcmp(text, "default") == 0) {
    uint32_t stall_ms = options->policy.stall_ms;
    if (options->feeds_stdin) number = stall_ms != 0 ? stall_ms : PATIENCE_WITHOUT_STALL_MS;
  } else if (!parse_number(text, false, &number) || number > DAY_MS) {
    return refuse("--patience %s: it must be a number of milliseconds from 0 to %" PRIu64 ", or 'default'", text,
                  DAY_MS);
  }
  options->patience_ms = (uint32_t) number;
  return true;
}

static bool parse_overflow(struct options *options, const char *text) {
  static const char *const rules[] = {
      [FLUXBP_OVERFLOW_DROP_NEWEST] = "drop-newest",
      [FLUXBP_OVERFLOW_DROP_OLDEST] = "drop-oldest",
      [FLUXBP_OVERFLOW_EVICT] = "evict",
  };
  if (text == NULL) {
    options->policy.overflow = options->patience_ms > 0 ? FLUXBP_OVERFLOW_EVICT : FLUXBP_OVERFLOW_DROP_NEWEST;
    return true;
  }
  for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
    if (strcmp(text, rules[i]) == 0) {
      options->policy.overflow = (fluxbp_overflow_t) i;
      return true;
    }
  }
  return refuse("--overflow %s: it must be drop-newest, drop-oldest or evict", text);
}

static bool parse_kernel_bytes(struct options *options, const char *text) {
  options->kernel_bytes = FLUXBP_KERNEL_BYTES_AUTO;
  if (text == NULL || parse_number(text, true, &options->kernel_bytes)) return true;
  return refuse("--kernel-bytes %s: it must be a number, with a suffix K, M or G if you like", text);
}

static bool check_numbers(const struct values *values) {
  const uint64_t *number = values->number;
  if (number[LOW] >= number[HIGH])
    return refuse("--low %" PRIu64 " must be below --high %" PRIu64, number[LOW], number[HIGH]);
  if (number[MAX_LINE] * LINES_IN_BUDGET > number[BUDGET])
    return refuse("--budget must be at least %d times --max-line: make it %" PRIu64 " or more", LINES_IN_BUDGET,
                  number[MAX_LINE] * LINES_IN_BUDGET);
  if (number[STDIN] == 0 && (number[ONCE] != 0 || number[WAIT_CLIENTS] != 0))
    return refuse("--%s is about standard input: add --stdin", number[ONCE] != 0 ? "once" : "wait-clients");
  if (number[WAIT_CLIENTS] > number[MAX_CONNECTIONS])
    return refuse("--wait-clients %" PRIu64 " would wait for ever: it is more than --max-connections %" PRIu64,
                  number[WAIT_CLIENTS], number[MAX_CONNECTIONS]);
  return true;
}

static void take_numbers(struct options *options, const uint64_t *number) {
  options->max_connections = number[MAX_CONNECTIONS];
  options->max_per_address = (uint32_t) number[MAX_PER_ADDRESS];
  options->accepts_per_second = (uint32_t) number[ACCEPT_RATE];
  options->threads = (uint32_t) number[THREADS];
  options->feeds_stdin = number[STDIN] != 0;
  options->once = number[ONCE] != 0;
  options->wait_clients = number[WAIT_CLIENTS];
  options->max_line = number[MAX_LINE];
  options->budget = number[BUDGET];
  options->drain_ms = (uint32_t) number[DRAIN];

  fluxbp_policy_init(&options->policy);
  if (number[SLOTS] != 0) options->policy.slots = (uint32_t) number[SLOTS];
  options->policy.max_bytes = number[RING_BYTES];
  options->policy.high_percent = (uint32_t) number[HIGH];
  options->policy.low_percent = (uint32_t) number[LOW];
  options->policy.stall_ms = (uint32_t) number[STALL];
  options->policy.slow_ms = (uint32_t) number[SLOW];
  options->policy.lag_ms = (uint32_t) number[LAG];
  options->policy.grace_ms = (uint32_t) number[GRACE];
  options->policy.is_shadow = number[SHADOW] != 0;
}

static bool take_values(struct options *options, const struct values *values) {
  enum log_level level;
  if (!check_numbers(values)) return false;
  take_numbers(options, values->number);
  if (!log_level_parse(values->text[LOG_LEVEL], &level))
    return refuse("--log-level %s: it must be debug, info, warn or error", values->text[LOG_LEVEL]);
  log_set_level(level);

  options->topic = values->text[TOPIC];
  if (!topics_is_name(options->topic, strlen(options->topic)))
    return refuse("--topic %s: a topic's name is " TOPICS_NAME_RULE, options->topic);
  if (!parse_patience(options, values->text[PATIENCE]) || !parse_overflow(options, values->text[OVERFLOW_RULE]))
    return false;
  if (!parse_kernel_bytes(options, values->text[KERNEL_BYTES])) return false;
  if (values->number[SLOTS] == 0 && options->patience_ms > 0) options->policy.slots = SLOTS_WITH_PATIENCE;

  options->tcp_text = values->text[TCP];
  const char *problem = address_parse(options->tcp_text, &options->tcp);
  if (problem != NULL) return refuse("--tcp %s: %s", options->tcp_text, problem);
  return true;
}

enum options_outcome options_parse(struct options *options, int argc, char **argv) {
  struct option long_options[ENTRIES + 1];
  struct values values;
  size_t count = 0;
  int id;
  for (size_t i = 0; i < ENTRIES; i++)
    if (entries[i].kind != HEADING)
      long_options[count++] = (struct option){
          entries[i].name, entries[i].kind == FLAG ? no_argument : required_argument, NULL, (int) entries[i].id};
  long_options[count] = (struct option){0};

  set_defaults(&values);
  while ((id = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
    if (id == HELP || id == VERSION) {
      id == HELP ? print_help() : print_version();
      return OPTIONS_DONE;
    }
    const struct option_entry *entry = entry_of(id);
    if (entry == NULL) { /* getopt_long has said what is wrong */
      fputs("See 'gateway --help'.\n", stderr);
      return OPTIONS_REFUSED;
    }
    if (!take_option(&values, entry, optarg)) return OPTIONS_REFUSED;
  }
  if (optind < argc) {
    refuse("'%s' is not an option; input comes from standard input, with --stdin. See 'gateway --help'.", argv[optind]);
    return OPTIONS_REFUSED;
  }
  return take_values(options, &values) ? OPTIONS_RUN : OPTIONS_REFUSED;
}
