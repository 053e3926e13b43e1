/* SPDX-License-Identifier: MIT */
/*
 * options: the table of the command line, from which --help is printed within 100 columns, and the readers of its
 * values. Every error that can be known without connecting is refused here.
 */
#include "options.h"

#include "common/command_line.h"
#include "fluxbp/version.h"
#include "integrity.h"
#include "message.h"
#include "values.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_CONNECTIONS UINT64_C(1000000)

static const uint64_t max_rcvbuf_bytes = 1 << 30;
static const double max_rate = 10000000;
static const double min_rate = 0.000001; /* one message in 12 days: the time of the next one has to fit into 64 bits */

static void *place_of(struct options *options, const struct command_option *option) {
  return (char *) options + option->offset;
}

static bool take_number(void *options, const struct command_option *option, const char *text) {
  uint64_t value;
  if (!values_read_number(text, strlen(text), option->max, &value) || value < option->min)
    return command_line_refuse("--%s wants a whole number from %" PRIu64 " to %" PRIu64 ", not '%s'", option->name,
                               option->min, option->max, text);
  if (option->size == sizeof(uint32_t))
    *(uint32_t *) place_of(options, option) = (uint32_t) value;
  else
    *(uint64_t *) place_of(options, option) = value;
  return true;
}

static bool take_time(void *options, const struct command_option *option, const char *text) {
  uint64_t *ns = place_of(options, option);
  if (values_read_duration(text, strlen(text), true, ns) && *ns > 0) return true;
  return command_line_refuse("--%s wants a time of up to a year, such as 30, 1.5s or 2m, not '%s'", option->name, text);
}

static bool take_word(void *options, const struct command_option *option, const char *text) {
  size_t length = strlen(text);
  bool is_word = length > 0 && length <= option->max;
  for (size_t i = 0; i < length; i++) is_word = is_word && (unsigned char) text[i] > ' ' && text[i] != 0x7f;
  if (!is_word)
    return command_line_refuse("--%s wants 1 to %" PRIu64 " bytes without blanks or control characters", option->name,
                               option->max);
  *(const char **) place_of(options, option) = text;
  return true;
}

/* The name goes into requests, commands and JSON as it is. */
static bool take_topic(void *options, const struct command_option *option, const char *text) {
  if (!take_word(options, option, text)) return false;
  for (const char *byte = text; *byte != '\0'; byte++)
    if ((unsigned char) *byte > '~' || strchr("%&#+?\"\\", *byte) != NULL)
      return command_line_refuse("--topic '%s': a name may hold letters, digits and signs, but none of %%&#+?\"\\",
                                 text);
  return true;
}

/* Refuse `text` if there is a problem with it. */
static bool is_taken(const struct command_option *option, const char *text, const char *problem) {
  return problem == NULL || command_line_refuse("--%s '%s': %s", option->name, text, problem);
}

static bool take_target(void *arg, const struct command_option *option, const char *text) {
  struct options *options = arg;
  const char *problem = target_parse(&options->target, text);
  if (problem == NULL && !target_is_feed(&options->target))
    problem = "clients can't get messages there; use tcp://, tcp-length://, ws:// or sse://";
  return is_taken(option, text, problem);
}

static bool take_publish(void *arg, const struct command_option *option, const char *text) {
  struct options *options = arg;
  const char *problem = target_parse(&options->publish, text);
  options->publishes = true;
  if (problem == NULL && !target_takes_messages(&options->publish))
    problem = "that isn't published to; use http://, tcp://, tcp-length://, nats:// or -";
  return is_taken(option, text, problem);
}

static bool take_sources(void *options, const struct command_option *option, const char *text) {
  return is_taken(option, text, sources_parse(place_of(options, option), text));
}

static bool take_size(void *options, const struct command_option *option, const char *text) {
  return is_taken(option, text, sizes_parse(place_of(options, option), text, MESSAGE_MAX_BYTES - 1024));
}

static bool take_mix(void *options, const struct command_option *option, const char *text) {
  char problem[MIX_PROBLEM_BYTES];
  return mix_parse(place_of(options, option), text, problem) || command_line_refuse("--mix %s", problem);
}

static bool take_slo(void *arg, const struct command_option *option, const char *text) {
  struct options *options = arg;
  if (options->slo_count == OPTIONS_SLOS) return command_line_refuse("there may be %d --slo at most", OPTIONS_SLOS);
  return is_taken(option, text, slo_parse(&options->slos[options->slo_count++], text));
}

static bool take_ramp(void *arg, const struct command_option *option, const char *text) {
  struct options *options = arg;
  (void) option;
  return (values_read_rate(text, strlen(text), MAX_CONNECTIONS, &options->ramp_per_second) &&
          options->ramp_per_second > 0) ||
         command_line_refuse("--ramp wants connections a second, such as 500/s, not '%s'", text);
}

static bool take_rate(void *arg, const struct command_option *option, const char *text) {
  struct options *options = arg;
  size_t length = strlen(text);
  (void) option;
  options->has_rate = true;
  options->pace = strcmp(text, "max") == 0 ? PUBLISH_AT_MAX : PUBLISH_AT_RATE;
  if (options->pace == PUBLISH_AT_MAX) return true;
  if (length > 2 && strcmp(text + length - 2, "/s") == 0) length -= 2;
  if (values_read_decimal(text, length, &options->rate) && options->rate >= min_rate && options->rate <= max_rate)
    return true;
  return command_line_refuse(
      "--rate wants messages a second from 0.000001 to 10000000, such as 1000/s or 0.5, or max, not '%s'", text);
}

static bool take_rcvbuf(void *arg, const struct command_option *option, const char *text) {
  struct options *options = arg;
  uint64_t bytes;
  (void) option;
  if (!values_read_bytes(text, strlen(text), &bytes) || bytes == 0 || bytes > max_rcvbuf_bytes)
    return command_line_refuse("--stalled-rcvbuf wants bytes up to 1G, such as 4096 or 16K, not '%s'", text);
  options->stalled_rcvbuf_bytes = (int) bytes;
  return true;
}

/* Return whether files may be made in the directory of the file `name`. */
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

/* The file is written after the run; a run whose report can't be written is refused before. No file is made or emptied
 * here. */
static bool take_file(void *options, const struct command_option *option, const char *name) {
  struct stat status;
  bool is_there = stat(name, &status) == 0;
  bool may_write = is_there ? !S_ISDIR(status.st_mode) && access(name, W_OK) == 0
                            : errno == ENOENT && *name != '\0' && name[strlen(name) - 1] != '/' && may_make_file(name);
  *(const char **) place_of(options, option) = name;
  return may_write ||
         command_line_refuse("--%s '%s' can't be written: name a file in a directory that you may write to",
                             option->name, name);
}

#define PLACE(member) .offset = offsetof(struct options, member), .size = sizeof((struct options *) NULL)->member
#define NUMBER(member, least, most) take_number, PLACE(member), .min = (least), .max = (most)
#define SWITCH(member) command_line_take_switch, PLACE(member)
#define TEXT(text)                                                                                                     \
  { .help = (text) }

/* clang-format off: one entry begins a line */
static const struct command_option entries[] = {
    TEXT("Usage: loadclient [OPTION]...\n"
         "Connects many clients to a server that broadcasts, some of which misbehave on purpose, and checks\n"
         "for each of the healthy ones that it gets every message once and in order. With --publish it sends\n"
         "the messages, too, and measures how long each takes, from its planned time to its receipt.\n"
         "\nClients\n"),
    {"target", "URL",
     "the server: tcp://HOST:PORT (lines; default tcp://127.0.0.1:9000),\n"
     "tcp-length://HOST:PORT, ws://HOST:PORT[/PATH], sse://HOST:PORT[/PATH]",
     take_target, PLACE(target)},
    {"connections", "N", "how many clients (default 100); 0 with --publish: publish only",
     NUMBER(connections, 0, MAX_CONNECTIONS)},
    {"processes", "N", "spread over so many processes (default 1)", NUMBER(processes, 1, OPTIONS_PROCESSES)},
    {"mix", "CLASS=WEIGHT,...",
     "their kinds, in proportion (default healthy=100)\n"
     "  healthy     reads at once; has to get everything\n"
     "  slow        reads 64KB/s, or slow:RATE; 16 KiB receive buffer\n"
     "  stalled     never reads; it is measured when the server resets it\n"
     "  bursty      reads and pauses in turns of 1s, or bursty:TIME\n"
     "  reconnect   cut at random after 2s on average, or reconnect:TIME;\n"
     "              resumes; has to get everything, over all its connections",
     take_mix, PLACE(mix)},
    {"ramp", "RATE",
     "open so many connections a second, such as 500/s (default: as fast as\n"
     "the server accepts them)",
     take_ramp, PLACE(ramp_per_second)},
    {"source", "FIRST[-LAST]", "connect from these addresses in turn, such as 127.0.0.2-127.0.0.9", take_sources,
     PLACE(sources)},
    {"topic", "NAME", "subscribe to it (default: say nothing, get what the server gives)", take_topic, PLACE(topic),
     .max = 64},
    {"token", "TOKEN", "say it to the server", take_word, PLACE(token), .max = 256},
    {"stalled-rcvbuf", "BYTES", "receive buffer of the stalled clients, so that a short feed fills it, too",
     take_rcvbuf, PLACE(stalled_rcvbuf_bytes)},
    TEXT("\nMessages\n"),
    {"publish", "URL",
     "send them: http://HOST:PORT[/PATH] (POST), tcp://HOST:PORT or\n"
     "tcp-length://HOST:PORT (PUB), nats://HOST:PORT[/SUBJECT], or - (lines\nto standard output)",
     take_publish, PLACE(publish)},
    {"rate", "N[/s]|max", "so many a second, whatever the server does (default 100), or as many as\nit takes",
     take_rate, PLACE(rate)},
    {"size", "SIZES", "bytes (default 200): 200, 100-1000, or 64:90,1024:10 with weights", take_size, PLACE(sizes)},
    {"lines", NULL, "send the lines of standard input, at --rate or as they come", SWITCH(takes_lines)},
    {"messages", "N", "end after so many", NUMBER(messages, 1, 1000000000000)},
    {"publishers", "N", "connections to send over, each with a sequence of its own (default 1)",
     NUMBER(publishers, 1, INTEGRITY_PUBLISHERS)},
    /* integrity.c reads numbers up to this maximum. */
    {"until", "COUNT", "without --publish, for a feed of numbered lines: 1 to COUNT",
     NUMBER(until, 1, 900000000000000000)},
    {"unchecked", NULL, "the feed is something else: count messages only", SWITCH(is_unchecked)},
    TEXT("\nThe end\n"),
    {"duration", "TIME", "measure for so long, such as 30s", take_time, PLACE(duration_ns)},
    {"timeout", "TIME", "give up when nothing new has come for so long (default 60s)", take_time, PLACE(timeout_ns)},
    {"slo", "OBJECTIVE",
     "may be given several times: 'p99<5ms', 'p99.9(slow)<1s', 'max<=50ms',\n"
     "'loss(healthy)==0', 'evicted(stalled)==all', 'eviction<5.5s', 'rate>1000'",
     take_slo, PLACE(slos)},
    {"json", "FILE", "write a report", take_file, PLACE(json_file)},
    {"hgrm", "FILE", "write the percentiles of the healthy clients' latencies, for plots", take_file, PLACE(hgrm_file)},
    {"quiet", NULL, "no progress", SWITCH(is_quiet)},
    TEXT("  --help, --version\n\n"
         "Without --publish what is checked depends on the feed: messages of another loadclient by sequence\n"
         "and checksum, lines that begin with a number by their number; anything else is counted.\n\n"
         "Exit codes\n"
         "  0    every healthy client got every message once and in order, and all objectives are met\n"
         "  1    a healthy client was disconnected, evicted or refused, or nothing came for too long\n"
         "  2    wrong options, an unknown host, or more connections than the limits allow\n"
         "  3    could not connect\n"
         "  98   integrity: a message was lost, or came twice, out of order or corrupt\n"
         "  99   an objective was missed\n"
         "  130  interrupted by Ctrl-C (143: by SIGTERM) before any of these was found\n\n"
         "Examples, with build/examples/gateway running:\n"
         "  loadclient --connections 500 --publish http://127.0.0.1:9001 --rate 1000 --duration 30s \\\n"
         "      --mix healthy=90,slow=5,stalled=3,bursty=1,reconnect=1 --slo 'p99<5ms' --json report.json\n"
         "  seq 1 1000000 | gateway --stdin --wait-clients 220     and in another terminal:\n"
         "  loadclient --connections 220 --mix healthy=200,stalled=20 --until 1000000\n"),
};
/* clang-format on */

/* Refuse options that contradict each other, and adapt those that depend on others. */
static bool combine(struct options *options) {
  if (options->sources.count > 0 && options->sources.single.ss_family != options->target.address.ss_family)
    return command_line_refuse("--source and --target have to be addresses of the same kind, both IPv4 or both IPv6");
  if (options->json_file != NULL && options->hgrm_file != NULL && strcmp(options->json_file, options->hgrm_file) == 0)
    return command_line_refuse("--json and --hgrm have to be two files, not both '%s'", options->json_file);
  if (options->connections == 0 && !options->publishes)
    return command_line_refuse("--connections 0 leaves nothing to do without --publish");
  if (!options->publishes && (options->has_rate || options->messages > 0 || options->takes_lines))
    return command_line_refuse("--rate, --messages and --lines are for a publisher: name one by --publish URL");
  if (options->until > 0 && options->publishes)
    return command_line_refuse("--until is for feeds of numbered lines; with --publish use --messages or --duration");
  if (options->processes > options->connections && options->connections > 0) options->processes = options->connections;
  if (options->takes_lines && !options->has_rate) options->pace = PUBLISH_LINES;
  mix_share_out(&options->mix, options->connections);
  return true;
}

int options_parse(struct options *options, int argc, char **argv) {
  static const struct command_line line = {"loadclient", "loadclient " FLUXBP_VERSION_STRING, 26,
                                           sizeof entries / sizeof entries[0], entries};
  char problem[MIX_PROBLEM_BYTES];
  *options =
      (struct options){.connections = 100, .processes = 1, .timeout_ns = 60 * NS_PER_S, .rate = 100, .publishers = 1};
  target_parse(&options->target, "tcp://127.0.0.1:9000");
  mix_parse(&options->mix, "healthy=100", problem);
  sizes_parse(&options->sizes, "200", MESSAGE_MAX_BYTES);
  enum command_line_outcome outcome = command_line_read(&line, options, argc, argv);
  if (outcome == COMMAND_LINE_DONE) return EXIT_CODE_OK;
  return outcome == COMMAND_LINE_RUN && combine(options) ? -1 : EXIT_CODE_USAGE;
}
