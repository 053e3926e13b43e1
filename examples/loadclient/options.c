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
#define TOPIC_BYTES 64
#define WORD_BYTES 256

static const double max_rate = 10000000;
static const double min_rate = 0.000001; /* one message in 12 days: the time of the next one has to fit into 64 bits */

static const char *read_time(void *ns, const char *text) {
  return values_read_whole(text, VALUES_SECONDS, UINT64_MAX, ns)
             ? NULL
             : "a time is above 0 and up to a year, such as 30, 1.5s or 2m";
}

static const char *read_word(void *word, const char *text) {
  *(const char **) word = text;
  for (const char *byte = text; *byte != '\0'; byte++)
    if ((unsigned char) *byte <= ' ' || *byte == 0x7f) return "blanks and control characters are not allowed";
  return *text != '\0' && strlen(text) <= WORD_BYTES ? NULL : "1 to 256 bytes are allowed";
}

/* The name goes into requests, commands and JSON as it is. */
static const char *read_topic(void *topic, const char *text) {
  for (const char *byte = text; *byte != '\0'; byte++)
    if ((unsigned char) *byte > '~' || strchr("%&#+?\"\\", *byte) != NULL)
      return "a name may hold letters, digits and signs, but none of %&#+?\"\\";
  return strlen(text) <= TOPIC_BYTES ? read_word(topic, text) : "a name has 64 bytes at most";
}

static const char *read_target(void *target, const char *text) {
  const char *problem = target_parse(target, text);
  if (problem != NULL || ((struct target *) target)->kind <= TARGET_STREAM) return problem;
  return "clients can't get messages there; use tcp://, tcp-length://, ws:// or sse://";
}

static const char *read_publish(void *target, const char *text) {
  const char *problem = target_parse(target, text);
  if (problem != NULL || ((struct target *) target)->kind != TARGET_STREAM) return problem;
  return "that isn't published to; use http://, tcp://, tcp-length://, nats:// or -";
}

static const char *read_sources(void *sources, const char *text) {
  return sources_parse(sources, text);
}

static const char *read_sizes(void *sizes, const char *text) {
  return sizes_parse(sizes, text);
}

static const char *read_mix(void *mix, const char *text) {
  return mix_parse(mix, text);
}

static const char *read_slo(void *options, const char *text) {
  struct options *all = options;
  return all->slo_count < OPTIONS_SLOS ? slo_parse(&all->slos[all->slo_count++], text) : "there may be 32 at most";
}

static const char *read_ramp(void *per_second, const char *text) {
  return values_read_whole(text, VALUES_RATE, MAX_CONNECTIONS, per_second) ? NULL : "expected a rate, such as 500/s";
}

static const char *read_rate(void *options, const char *text) {
  struct options *all = options;
  all->has_rate = true;
  all->pace = strcmp(text, "max") == 0 ? PUBLISH_AT_MAX : PUBLISH_AT_RATE;
  if (all->pace == PUBLISH_AT_MAX) return NULL;
  bool is_rate = values_read(text, VALUES_RATE, &all->rate) && all->rate >= min_rate && all->rate <= max_rate;
  return is_rate ? NULL : "expected messages a second from 0.000001 to 10000000, such as 1000/s or 0.5, or max";
}

static const char *read_rcvbuf(void *bytes, const char *text) {
  return values_read_whole(text, VALUES_BYTES, 1 << 30, bytes) ? NULL : "expected bytes up to 1G, such as 4096 or 16K";
}

/* The file is written after the run; a run whose report can't be written is refused before. No file is made or emptied
 * here. */
static const char *read_file(void *file, const char *name) {
  char directory[PATH_MAX];
  struct stat status;
  const char *slash = strrchr(name, '/');
  bool is_there = stat(name, &status) == 0;
  snprintf(directory, sizeof directory, "%.*s", slash != NULL ? (int) (slash - name) + 1 : 1,
           slash != NULL ? name : ".");
  *(const char **) file = name;
  bool may_write = is_there ? !S_ISDIR(status.st_mode) && access(name, W_OK) == 0
                            : errno == ENOENT && *name != '\0' && name[strlen(name) - 1] != '/' &&
                                  access(directory, W_OK | X_OK) == 0;
  return may_write ? NULL : "it can't be written: name a file in a directory that you may write to";
}

#define PLACE(member) .offset = offsetof(struct options, member), .size = sizeof((struct options *) NULL)->member
#define READ(function, member) NULL, function, PLACE(member)
#define NUMBER(member, least, most) command_line_take_number, NULL, PLACE(member), .min = (least), .max = (most)
#define SWITCH(member) command_line_take_switch, NULL, PLACE(member)
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
     READ(read_target, target)},
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
     READ(read_mix, mix)},
    {"ramp", "RATE",
     "open so many connections a second, such as 500/s (default: as fast as\n"
     "the server accepts them)",
     READ(read_ramp, ramp_per_second)},
    {"source", "FIRST[-LAST]", "connect from these addresses in turn, such as 127.0.0.2-127.0.0.9",
     READ(read_sources, sources)},
    {"topic", "NAME", "subscribe to it (default: say nothing, get what the server gives)", READ(read_topic, topic)},
    {"token", "TOKEN", "say it to the server", READ(read_word, token)},
    {"stalled-rcvbuf", "BYTES", "receive buffer of the stalled clients, so that a short feed fills it, too",
     READ(read_rcvbuf, stalled_rcvbuf_bytes)},
    TEXT("\nMessages\n"),
    {"publish", "URL",
     "send them: http://HOST:PORT[/PATH] (POST), tcp://HOST:PORT or\n"
     "tcp-length://HOST:PORT (PUB), nats://HOST:PORT[/SUBJECT], or - (lines\nto standard output)",
     READ(read_publish, publish)},
    {"rate", "N[/s]|max", "so many a second, whatever the server does (default 100), or as many as\nit takes",
     .read = read_rate},
    {"size", "SIZES", "bytes (default 200): 200, 100-1000, or 64:90,1024:10 with weights", READ(read_sizes, sizes)},
    {"lines", NULL, "send the lines of standard input, at --rate or as they come", SWITCH(takes_lines)},
    {"messages", "N", "end after so many", NUMBER(messages, 1, 1000000000000)},
    {"publishers", "N", "connections to send over, each with a sequence of its own (default 1)",
     NUMBER(publishers, 1, INTEGRITY_PUBLISHERS)},
    /* integrity.c reads numbers up to this maximum. */
    {"until", "COUNT", "without --publish, for a feed of numbered lines: 1 to COUNT",
     NUMBER(until, 1, 900000000000000000)},
    {"unchecked", NULL, "the feed is something else: count messages only", SWITCH(is_unchecked)},
    TEXT("\nThe end\n"),
    {"duration", "TIME", "measure for so long, such as 30s", READ(read_time, duration_ns)},
    {"timeout", "TIME", "give up when nothing new has come for so long (default 60s)", READ(read_time, timeout_ns)},
    {"slo", "OBJECTIVE",
     "may be given several times: 'p99<5ms', 'p99.9(slow)<1s', 'max<=50ms',\n"
     "'loss(healthy)==0', 'evicted(stalled)==all', 'eviction<5.5s', 'rate>1000'",
     .read = read_slo},
    {"json", "FILE", "write a report", READ(read_file, json_file)},
    {"hgrm", "FILE", "write the percentiles of the healthy clients' latencies, for plots", READ(read_file, hgrm_file)},
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
  options->publishes = options->publish.text != NULL;
  if (options->sources.count > 0 && options->sources.first.ss_family != options->target.address.ss_family)
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
  *options =
      (struct options){.connections = 100, .processes = 1, .timeout_ns = 60 * NS_PER_S, .rate = 100, .publishers = 1};
  target_parse(&options->target, "tcp://127.0.0.1:9000");
  mix_parse(&options->mix, "healthy=100");
  sizes_parse(&options->sizes, "200");
  enum command_line_outcome outcome = command_line_read(&line, options, argc, argv);
  if (outcome == COMMAND_LINE_DONE) return EXIT_CODE_OK;
  return outcome == COMMAND_LINE_RUN && combine(options) ? -1 : EXIT_CODE_USAGE;
}
