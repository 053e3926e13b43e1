/* SPDX-License-Identifier: MIT */
/*
 * options: reads the command line. What can be known to be wrong without connecting is refused here, with a message that
 * says what would be right.
 */
#include "options.h"

#include "common/address.h"
#include "fluxbp/version.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char default_target[] = "tcp://127.0.0.1:9000";
static const char default_mix[] = "healthy=100";
static const uint32_t default_connections = 100;
static const uint64_t default_timeout_seconds = 60;

static const uint64_t max_connections = 1000000;
static const uint64_t max_line_number = 1000000000000000000; /* lines.h reads numbers up to there */
static const uint64_t max_timeout_seconds = 86400;
static const uint64_t max_weight = 1000000;
static const uint64_t max_rcvbuf_bytes = 1 << 30;
static const size_t max_topic_bytes = 255;

static const char *const class_names[CLIENT_CLASSES] = {"healthy", "stalled"};

/* Above every character, so that getopt's optopt tells a long option from a short one. */
enum option_value {
  OPTION_TARGET = 256,
  OPTION_CONNECTIONS,
  OPTION_MIX,
  OPTION_UNTIL,
  OPTION_TOPIC,
  OPTION_TIMEOUT,
  OPTION_RAMP,
  OPTION_STALLED_RCVBUF,
  OPTION_PROGRESS,
  OPTION_HELP,
  OPTION_VERSION
};

static const struct option long_options[] = {
    {"target", required_argument, NULL, OPTION_TARGET},
    {"connections", required_argument, NULL, OPTION_CONNECTIONS},
    {"mix", required_argument, NULL, OPTION_MIX},
    {"until", required_argument, NULL, OPTION_UNTIL},
    {"topic", required_argument, NULL, OPTION_TOPIC},
    {"timeout", required_argument, NULL, OPTION_TIMEOUT},
    {"ramp", required_argument, NULL, OPTION_RAMP},
    {"stalled-rcvbuf", required_argument, NULL, OPTION_STALLED_RCVBUF},
    {"progress", no_argument, NULL, OPTION_PROGRESS},
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {NULL, 0, NULL, 0},
};

static const char help_of_options[] =
    "Usage: loadclient [OPTION]...\n"
    "Connects many clients to a server that broadcasts numbered lines, and checks for each of the healthy ones that "
    "it\n"
    "sees every line once and in order, while others misbehave on purpose.\n"
    "\n"
    "  --target URL            the server (default tcp://127.0.0.1:9000); tcp://[::1]:9000 for IPv6\n"
    "  --connections N         how many clients (default 100)\n"
    "  --mix CLASS=WEIGHT,...  their kinds, in proportion (default healthy=100)\n"
    "                            healthy  reads at once, is checked\n"
    "                            stalled  never reads; the summary says when the server reset it\n"
    "  --until COUNT           healthy clients see the lines 1 to COUNT, then close; without it they begin at the "
    "line\n"
    "                          they happen to see first, and go on until the server closes or Ctrl-C\n"
    "  --topic NAME            send 'SUB NAME' first (default: say nothing, get the server's default topic)\n"
    "  --timeout SECONDS       give up when no healthy client has made progress for so long (default 60)\n"
    "  --ramp N                open N connections a second (default: as fast as the server accepts them)\n"
    "  --stalled-rcvbuf BYTES  receive buffer of the stalled clients, so that a short feed fills it, too (default: "
    "the\n"
    "                          kernel's)\n"
    "  --progress              a progress line each second even where stderr is no terminal\n"
    "  --help, --version\n";

static const char help_of_protocol[] =
    "\n"
    "A line is a decimal number, optionally followed by a space and anything. A line that begins with '{', '+' or '-' "
    "is\n"
    "a notice: {\"gap\":...} and -ERR make a healthy client fail, others are ignored. A run of stalled clients alone "
    "ends\n"
    "when all of them were reset. The summary is written to stdout.\n"
    "\n"
    "Exit codes:\n"
    "  0    every healthy client saw every line once and in order\n"
    "  1    a healthy client was disconnected or refused too early, or nothing came for the time of --timeout\n"
    "  2    wrong options, an unknown host, or more connections than this process may open\n"
    "  3    could not connect to the target\n"
    "  98   integrity: a healthy client saw a line lost, twice, out of order or corrupt\n"
    "  130  interrupted by Ctrl-C (143: by SIGTERM) before any of these was found\n"
    "\n"
    "Example, in two terminals:\n"
    "  seq 1 1000000 | build/examples/gateway --stdin --wait-clients 220\n"
    "  build/examples/loadclient --connections 220 --mix healthy=200,stalled=20 --until 1000000\n";

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

/* Digits only: strtoull alone would take a sign and blanks as well. */
static bool parse_digits(const char *text, size_t length, uint64_t max, uint64_t *value) {
  char digits[21];
  if (length == 0 || length >= sizeof digits) return false;
  memcpy(digits, text, length);
  digits[length] = '\0';
  if (strspn(digits, "0123456789") != length) return false;
  errno = 0;
  *value = strtoull(digits, NULL, 10);
  return errno == 0 && *value <= max;
}

static bool parse_number(const char *name, const char *text, uint64_t max, uint64_t *value) {
  if (parse_digits(text, strlen(text), max, value) && *value >= 1) return true;
  return refuse("--%s wants a whole number from 1 to %" PRIu64 ", not '%s'", name, max, text);
}

/* Port 0, which lets a server choose, is nothing to connect to. */
static bool has_port(const struct sockaddr_storage *address) {
  if (address->ss_family == AF_INET6) return ((const struct sockaddr_in6 *) address)->sin6_port != 0;
  return ((const struct sockaddr_in *) address)->sin_port != 0;
}

static bool parse_target(struct options *options, const char *text) {
  static const char scheme[] = "tcp://";
  if (strncmp(text, scheme, sizeof scheme - 1) != 0)
    return refuse("--target wants tcp://HOST:PORT, such as %s, not '%s'", default_target, text);
  const char *problem = address_parse(text + sizeof scheme - 1, &options->address);
  if (problem != NULL) return refuse("--target '%s': %s", text, problem);
  if (!has_port(&options->address))
    return refuse("--target wants a port from 1 to 65535, such as %s, not '%s'", default_target, text);
  options->target = text;
  return true;
}

static int class_by_name(const char *name, size_t length) {
  for (int i = 0; i < CLIENT_CLASSES; i++) {
    if (strlen(class_names[i]) == length && memcmp(class_names[i], name, length) == 0) return i;
  }
  return -1;
}

static bool parse_mix(const char *text, uint64_t weights[CLIENT_CLASSES]) {
  bool is_given[CLIENT_CLASSES] = {false};
  uint64_t sum = 0;
  for (const char *part = text;; part++) {
    size_t length = strcspn(part, ",");
    const char *equals = memchr(part, '=', length);
    size_t name_length = equals != NULL ? (size_t) (equals - part) : length;
    int class = class_by_name(part, name_length);
    if (class < 0)
      return refuse("--mix knows the classes healthy and stalled, such as healthy=90,stalled=10, not '%.*s'",
                    (int) name_length, part);
    if (is_given[class]) return refuse("--mix names the class %s twice", class_names[class]);
    if (equals == NULL || !parse_digits(equals + 1, length - name_length - 1, max_weight, &weights[class]))
      return refuse("--mix wants a weight from 0 to %" PRIu64 " for each class, such as %s=10, not '%.*s'", max_weight,
                    class_names[class], (int) length, part);
    is_given[class] = true;
    sum += weights[class];
    part += length;
    if (*part == '\0') break;
  }
  return sum > 0 || refuse("--mix wants a weight above 0 for at least one class");
}

static bool parse_topic(struct options *options, const char *text) {
  size_t length = strlen(text);
  bool is_word = length > 0 && length <= max_topic_bytes;
  for (size_t i = 0; i < length; i++) is_word = is_word && (unsigned char) text[i] > ' ' && text[i] != 0x7f;
  if (!is_word)
    return refuse("--topic wants a name of 1 to %zu bytes without blanks or control characters", max_topic_bytes);
  options->topic = text;
  return true;
}

/* The class whose share is furthest below what its weight asks for. */
static int class_furthest_below(const uint64_t weights[CLIENT_CLASSES], const uint32_t share[CLIENT_CLASSES],
                                uint64_t sum, uint64_t connections) {
  int best = 0;
  int64_t most = INT64_MIN;
  for (int i = 0; i < CLIENT_CLASSES; i++) {
    int64_t below = (int64_t) (weights[i] * connections) - (int64_t) (share[i] * sum);
    if (weights[i] > 0 && below > most) {
      most = below;
      best = i;
    }
  }
  return best;
}

/* Largest remainders, except that a class which is wanted at all gets one client if there are enough. */
static void share_out(struct options *options, const uint64_t weights[CLIENT_CLASSES]) {
  uint64_t sum = 0;
  uint32_t wanted = 0, given = 0;
  for (int i = 0; i < CLIENT_CLASSES; i++) {
    sum += weights[i];
    wanted += weights[i] > 0;
  }
  assert(sum > 0); /* --mix was refused otherwise */
  for (int i = 0; i < CLIENT_CLASSES; i++) {
    uint64_t share = weights[i] * options->connections / sum;
    if (share == 0 && weights[i] > 0 && options->connections >= wanted) share = 1;
    options->share[i] = (uint32_t) share;
    given += options->share[i];
  }
  for (; given < options->connections; given++)
    options->share[class_furthest_below(weights, options->share, sum, options->connections)]++;
  for (; given > options->connections; given--) { /* the ones given above cost the largest i as many */
    int largest = 0;
    for (int i = 1; i < CLIENT_CLASSES; i++) {
      if (options->share[i] > options->share[largest]) largest = i;
    }
    options->share[largest]--;
  }
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

/* One option other than --help and --version, with its value in optarg. */
static bool parse_option(struct options *options, uint64_t weights[CLIENT_CLASSES], int option, const char *text) {
  uint64_t value = 0;
  switch (option) {
  case OPTION_TARGET:
    return parse_target(options, optarg);
  case OPTION_CONNECTIONS:
    if (!parse_number("connections", optarg, max_connections, &value)) return false;
    options->connections = (uint32_t) value;
    return true;
  case OPTION_MIX:
    memset(weights, 0, CLIENT_CLASSES * sizeof weights[0]);
    return parse_mix(optarg, weights);
  case OPTION_UNTIL:
    return parse_number("until", optarg, max_line_number, &options->until);
  case OPTION_TOPIC:
    return parse_topic(options, optarg);
  case OPTION_TIMEOUT:
    if (!parse_number("timeout", optarg, max_timeout_seconds, &value)) return false;
    options->timeout_ms = value * 1000;
    return true;
  case OPTION_RAMP:
    if (!parse_number("ramp", optarg, max_connections, &value)) return false;
    options->ramp_per_second = (uint32_t) value;
    return true;
  case OPTION_STALLED_RCVBUF:
    if (!parse_number("stalled-rcvbuf", optarg, max_rcvbuf_bytes, &value)) return false;
    options->stalled_rcvbuf_bytes = (int) value;
    return true;
  case OPTION_PROGRESS:
    options->always_shows_progress = true;
    return true;
  default:
    return refuse_option(option, text);
  }
}

int options_parse(struct options *options, int argc, char **argv) {
  uint64_t weights[CLIENT_CLASSES] = {0};
  memset(options, 0, sizeof *options);
  options->connections = default_connections;
  options->timeout_ms = default_timeout_seconds * 1000;
  parse_target(options, default_target);
  parse_mix(default_mix, weights);

  opterr = 0; /* the messages are ours */
  int option;
  while ((option = getopt_long(argc, argv, ":", long_options, NULL)) != -1) {
    if (option == OPTION_HELP) {
      printf("%s%s", help_of_options, help_of_protocol);
      return EXIT_CODE_OK;
    }
    if (option == OPTION_VERSION) {
      printf("loadclient %s\n", FLUXBP_VERSION_STRING);
      return EXIT_CODE_OK;
    }
    if (!parse_option(options, weights, option, argv[optind - 1])) return EXIT_CODE_USAGE;
  }
  if (optind < argc) {
    refuse("unexpected argument '%s'; see loadclient --help", argv[optind]);
    return EXIT_CODE_USAGE;
  }
  share_out(options, weights);
  return -1;
}
