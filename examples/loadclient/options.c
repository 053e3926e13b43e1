/* SPDX-License-Identifier: MIT */
/*
 * options: reads the command line. What can be known to be wrong without connecting is refused here, with a message
 * that says what would be right. The text of --help is in help.c.
 */
#include "options.h"

#include "fluxbp/version.h"
#include "help.h"
#include "integrity.h"
#include "message.h"
#include "processes.h"
#include "values.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char default_target[] = "tcp://127.0.0.1:9000";
static const char default_mix[] = "healthy=100";
static const char default_size[] = "200";
static const uint32_t default_connections = 100;
static const uint64_t default_timeout_ns = 60 * NS_PER_S;
static const double default_rate = 100;

static const uint64_t max_connections = 1000000;
static const uint64_t max_line_number = 900000000000000000; /* integrity.c reads numbers up to there */
static const uint64_t max_messages = 1000000000000;
static const uint64_t max_rcvbuf_bytes = 1 << 30;
static const double max_rate = 10000000;
static const double min_rate = 0.000001; /* one message in 12 days: the time of the next one has to fit into 64 bits */
static const size_t max_topic_bytes = 64;
static const size_t max_token_bytes = 256;

/* Above every character, so that getopt's optopt tells a long option from a short one. */
enum option_value {
  OPTION_TARGET = 256,
  OPTION_CONNECTIONS,
  OPTION_PROCESSES,
  OPTION_MIX,
  OPTION_UNTIL,
  OPTION_TOPIC,
  OPTION_TOKEN,
  OPTION_UNCHECKED,
  OPTION_SOURCE,
  OPTION_TIMEOUT,
  OPTION_DURATION,
  OPTION_RAMP,
  OPTION_STALLED_RCVBUF,
  OPTION_PUBLISH,
  OPTION_RATE,
  OPTION_LINES,
  OPTION_MESSAGES,
  OPTION_PUBLISHERS,
  OPTION_SIZE,
  OPTION_SLO,
  OPTION_JSON,
  OPTION_HGRM,
  OPTION_QUIET,
  OPTION_HELP,
  OPTION_VERSION
};

static const struct option long_options[] = {
    {"target", required_argument, NULL, OPTION_TARGET},
    {"connections", required_argument, NULL, OPTION_CONNECTIONS},
    {"processes", required_argument, NULL, OPTION_PROCESSES},
    {"mix", required_argument, NULL, OPTION_MIX},
    {"until", required_argument, NULL, OPTION_UNTIL},
    {"topic", required_argument, NULL, OPTION_TOPIC},
    {"token", required_argument, NULL, OPTION_TOKEN},
    {"unchecked", no_argument, NULL, OPTION_UNCHECKED},
    {"source", required_argument, NULL, OPTION_SOURCE},
    {"timeout", required_argument, NULL, OPTION_TIMEOUT},
    {"duration", required_argument, NULL, OPTION_DURATION},
    {"ramp", required_argument, NULL, OPTION_RAMP},
    {"stalled-rcvbuf", required_argument, NULL, OPTION_STALLED_RCVBUF},
    {"publish", required_argument, NULL, OPTION_PUBLISH},
    {"rate", required_argument, NULL, OPTION_RATE},
    {"lines", no_argument, NULL, OPTION_LINES},
    {"messages", required_argument, NULL, OPTION_MESSAGES},
    {"publishers", required_argument, NULL, OPTION_PUBLISHERS},
    {"size", required_argument, NULL, OPTION_SIZE},
    {"slo", required_argument, NULL, OPTION_SLO},
    {"json", required_argument, NULL, OPTION_JSON},
    {"hgrm", required_argument, NULL, OPTION_HGRM},
    {"quiet", no_argument, NULL, OPTION_QUIET},
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {NULL, 0, NULL, 0},
};

__attribute__((format(printf, 1, 2))) static bool refuse(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("loadclient: ", stderr);
  /* clang-tidy 14 does not see the va_start */
  vfprintf(stderr, format, arguments); /* NOLINT(clang-analyzer-valist.Uninitialized) */
  fputs("\n", stderr);
  va_end(arguments);
  return false;
}

static bool parse_number(const char *name, const char *text, uint64_t min, uint64_t max, uint64_t *value) {
  uint64_t read;
  if (!values_read_number(text, strlen(text), max, &read) || read < min)
    return refuse("--%s wants a whole number from %" PRIu64 " to %" PRIu64 ", not '%s'", name, min, max, text);
  *value = read;
  return true;
}

static bool parse_small_number(const char *name, const char *text, uint64_t min, uint64_t max, uint32_t *value) {
  uint64_t read;
  if (!parse_number(name, text, min, max, &read)) return false;
  *value = (uint32_t) read;
  return true;
}

static bool parse_seconds(const char *name, const char *text, uint64_t *ns) {
  if (values_read_duration(text, strlen(text), true, ns) && *ns > 0) return true;
  return refuse("--%s wants a time of up to a year, such as 30, 1.5s or 2m, not '%s'", name, text);
}

static bool parse_target(struct options *options, const char *text) {
  const char *problem = target_parse(&options->target, text);
  if (problem != NULL) return refuse("--target '%s': %s", text, problem);
  return target_is_feed(&options->target) || refuse("--target '%s': clients can't get messages there; use tcp://, "
                                                    "tcp-length://, ws:// or sse://",
                                                    text);
}

static bool parse_publish(struct options *options, const char *text) {
  const char *problem = target_parse(&options->publish, text);
  if (problem != NULL) return refuse("--publish '%s': %s", text, problem);
  options->publishes = true;
  return target_takes_messages(&options->publish) ||
         refuse("--publish '%s': that isn't published to; use http://, tcp://, tcp-length://, nats:// or -", text);
}

static bool parse_mix(struct options *options, const char *text) {
  char problem[MIX_PROBLEM_BYTES];
  return mix_parse(&options->mix, text, problem) || refuse("--mix %s", problem);
}

static bool parse_word(const char *name, const char *text, size_t max_bytes, const char **word) {
  size_t length = strlen(text);
  bool is_word = length > 0 && length <= max_bytes;
  for (size_t i = 0; i < length; i++) is_word = is_word && (unsigned char) text[i] > ' ' && text[i] != 0x7f;
  if (!is_word) return refuse("--%s wants 1 to %zu bytes without blanks or control characters", name, max_bytes);
  *word = text;
  return true;
}

/* It goes into requests, commands and JSON as it is. */
static bool parse_topic(struct options *options, const char *text) {
  if (!parse_word("topic", text, max_topic_bytes, &options->topic)) return false;
  for (const char *byte = text; *byte != '\0'; byte++)
    if ((unsigned char) *byte > '~' || strchr("%&#+?\"\\", *byte) != NULL)
      return refuse("--topic '%s': a name may hold letters, digits and signs, but none of %%&#+?\"\\", text);
  return true;
}

/* The directory that a new file would be in. */
static bool may_make_file(const char *name) {
  char directory[PATH_MAX];
  const char *slash = strrchr(name, '/');
  size_t length = slash != NULL ? (size_t) (slash - name) + 1 : 0;
  if (length == 0) return access(".", W_OK | X_OK) == 0;
  if (length >= sizeof directory) return false;
  memcpy(directory, name, length);
  directory[length] = '\0';
  return access(directory, W_OK | X_OK) == 0;
}

/* It is written at the end, when it would be a pity if it couldn't be. Nothing is made or emptied before. */
static bool parse_file(const char *option, const char *name, const char **file) {
  struct stat status;
  bool is_there = stat(name, &status) == 0;
  bool may_write = is_there ? !S_ISDIR(status.st_mode) && access(name, W_OK) == 0
                            : errno == ENOENT && *name != '\0' && name[strlen(name) - 1] != '/' && may_make_file(name);
  *file = name;
  return may_write ||
         refuse("--%s '%s' can't be written: name a file in a directory that you may write to", option, name);
}

static bool parse_sources(struct options *options, const char *text) {
  const char *problem = sources_parse(&options->sources, text);
  return problem == NULL || refuse("--source '%s': %s", text, problem);
}

static bool parse_ramp(struct options *options, const char *text) {
  uint64_t rate;
  if (!values_read_rate(text, strlen(text), max_connections, &rate) || rate == 0)
    return refuse("--ramp wants connections a second, such as 500/s, not '%s'", text);
  options->ramp_per_second = rate;
  return true;
}

static bool parse_rate(struct options *options, const char *text) {
  options->pace = strcmp(text, "max") == 0 ? PUBLISH_AT_MAX : PUBLISH_AT_RATE;
  if (options->pace == PUBLISH_AT_MAX) return true;
  size_t length = strlen(text);
  if (length > 2 && strcmp(text + length - 2, "/s") == 0) length -= 2;
  if (values_read_decimal(text, length, &options->rate) && options->rate >= min_rate && options->rate <= max_rate)
    return true;
  return refuse("--rate wants messages a second from 0.000001 to 10000000, such as 1000/s or 0.5, or max, not '%s'",
                text);
}

static bool parse_size(struct options *options, const char *text) {
  const char *problem = sizes_parse(&options->sizes, text, MESSAGE_MAX_BYTES - 1024);
  return problem == NULL || refuse("--size '%s': %s", text, problem);
}

static bool parse_rcvbuf(struct options *options, const char *text) {
  uint64_t bytes;
  if (!values_read_bytes(text, strlen(text), &bytes) || bytes == 0 || bytes > max_rcvbuf_bytes)
    return refuse("--stalled-rcvbuf wants bytes up to 1G, such as 4096 or 16K, not '%s'", text);
  options->stalled_rcvbuf_bytes = (int) bytes;
  return true;
}

static bool parse_slo(struct options *options, const char *text) {
  if (options->slo_count == OPTIONS_SLOS) return refuse("there may be %d --slo at most", OPTIONS_SLOS);
  const char *problem = slo_parse(&options->slos[options->slo_count++], text);
  return problem == NULL || refuse("--slo '%s': %s", text, problem);
}

static const char *name_of_option(int value) {
  for (const struct option *option = long_options; option->name != NULL; option++) {
    if (option->val == value) return option->name;
  }
  return "?";
}

static bool refuse_option(int answer, const char *text) {
  if (answer == ':') return refuse("--%s wants a value; see loadclient --help", name_of_option(optopt));
  if (optopt >= OPTION_TARGET) return refuse("--%s takes no value; see loadclient --help", name_of_option(optopt));
  if (optopt != 0) return refuse("unknown option '-%c'; see loadclient --help", optopt);
  return refuse("unknown or ambiguous option '%s'; see loadclient --help", text);
}

/* Those about publishing and reporting, with their value in optarg. */
static bool parse_other_option(struct options *options, int option, const char *text) {
  switch (option) {
  case OPTION_PUBLISH:
    return parse_publish(options, optarg);
  case OPTION_RATE:
    return parse_rate(options, optarg);
  case OPTION_LINES:
    options->takes_lines = true;
    return true;
  case OPTION_MESSAGES:
    return parse_number("messages", optarg, 1, max_messages, &options->messages);
  case OPTION_PUBLISHERS:
    return parse_small_number("publishers", optarg, 1, INTEGRITY_PUBLISHERS, &options->publishers);
  case OPTION_SIZE:
    return parse_size(options, optarg);
  case OPTION_SLO:
    return parse_slo(options, optarg);
  case OPTION_JSON:
    return parse_file("json", optarg, &options->json_file);
  case OPTION_HGRM:
    return parse_file("hgrm", optarg, &options->hgrm_file);
  case OPTION_QUIET:
    options->is_quiet = true;
    return true;
  default:
    return refuse_option(option, text);
  }
}

/* One option other than --help and --version, with its value in optarg. */
static bool parse_option(struct options *options, int option, const char *text) {
  switch (option) {
  case OPTION_TARGET:
    return parse_target(options, optarg);
  case OPTION_CONNECTIONS:
    return parse_small_number("connections", optarg, 0, max_connections, &options->connections);
  case OPTION_PROCESSES:
    return parse_small_number("processes", optarg, 1, PROCESSES_MAX, &options->processes);
  case OPTION_MIX:
    return parse_mix(options, optarg);
  case OPTION_UNTIL:
    return parse_number("until", optarg, 1, max_line_number, &options->until);
  case OPTION_TOPIC:
    return parse_topic(options, optarg);
  case OPTION_TOKEN:
    return parse_word("token", optarg, max_token_bytes, &options->token);
  case OPTION_UNCHECKED:
    options->is_unchecked = true;
    return true;
  case OPTION_SOURCE:
    return parse_sources(options, optarg);
  case OPTION_TIMEOUT:
    return parse_seconds("timeout", optarg, &options->timeout_ns);
  case OPTION_DURATION:
    return parse_seconds("duration", optarg, &options->duration_ns);
  case OPTION_RAMP:
    return parse_ramp(options, optarg);
  case OPTION_STALLED_RCVBUF:
    return parse_rcvbuf(options, optarg);
  default:
    return parse_other_option(options, option, text);
  }
}

/* What only makes sense together, or doesn't. */
static bool check_together(struct options *options, bool has_rate) {
  if (options->sources.count > 0 && options->sources.single.ss_family != options->target.address.ss_family)
    return refuse("--source and --target have to be addresses of the same kind, both IPv4 or both IPv6");
  if (options->json_file != NULL && options->hgrm_file != NULL && strcmp(options->json_file, options->hgrm_file) == 0)
    return refuse("--json and --hgrm have to be two files, not both '%s'", options->json_file);
  if (options->connections == 0 && !options->publishes)
    return refuse("--connections 0 leaves nothing to do without --publish");
  if (!options->publishes && (has_rate || options->messages > 0 || options->takes_lines))
    return refuse("--rate, --messages and --lines are for a publisher: name one by --publish URL");
  if (options->until > 0 && options->publishes)
    return refuse("--until is for feeds of numbered lines; with --publish use --messages or --duration");
  if (options->processes > options->connections && options->connections > 0) options->processes = options->connections;
  if (options->takes_lines && !has_rate) options->pace = PUBLISH_LINES;
  return true;
}

static void set_defaults(struct options *options) {
  memset(options, 0, sizeof *options);
  options->connections = default_connections;
  options->processes = 1;
  options->timeout_ns = default_timeout_ns;
  options->rate = default_rate;
  options->publishers = 1;
  parse_target(options, default_target);
  parse_mix(options, default_mix);
  parse_size(options, default_size);
}

int options_parse(struct options *options, int argc, char **argv) {
  bool has_rate = false;
  int option;
  set_defaults(options);
  opterr = 0; /* the messages are ours */
  while ((option = getopt_long(argc, argv, ":", long_options, NULL)) != -1) {
    if (option == OPTION_HELP) {
      help_print(stdout);
      return EXIT_CODE_OK;
    }
    if (option == OPTION_VERSION) {
      printf("loadclient %s\n", FLUXBP_VERSION_STRING);
      return EXIT_CODE_OK;
    }
    has_rate = has_rate || option == OPTION_RATE;
    if (!parse_option(options, option, argv[optind - 1])) return EXIT_CODE_USAGE;
  }
  if (optind < argc) {
    refuse("unexpected argument '%s'; see loadclient --help", argv[optind]);
    return EXIT_CODE_USAGE;
  }
  if (!check_together(options, has_rate)) return EXIT_CODE_USAGE;
  mix_share_out(&options->mix, options->connections);
  return -1;
}
