/* SPDX-License-Identifier: MIT */
/*
 * options: the table of the command line, from which --help is printed within 100 columns, and the readers of its
 * values. Every error that can be known without connecting is refused here.
 */
#include "options.h"

#include "common/option_table.h"
#include "common/options.h"
#include "common/units.h"
#include "integrity.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_CONNECTIONS UINT64_C(1000000)

static const double max_rate = 10000000,
                    min_rate = 0.000001; /* one message in 12 days: the time of the next one has to fit into 64 bits */

static int is_word(const char *text) {
  size_t length = strlen(text);
  for (size_t i = 0; i < length; i++)
    if (!isgraph((unsigned char) text[i])) return false;
  return length > 0 && length <= 256;
}

/* The name goes into requests, commands and JSON as it is. */
static int is_topic(const char *text) {
  return is_word(text) && strlen(text) <= 64 && strpbrk(text, "%&#+?\"\\") == NULL;
}

static const char *read_target(void *target, const char *text) {
  const char *problem = target_parse(target, text);
  if (problem != NULL || ((struct target *) target)->kind <= TARGET_HTTP) return problem;
  return "clients can't get messages there; use tcp://, tcp-length://, ws://, sse:// or the like with TLS";
}

static const char *read_publish(void *target, const char *text) {
  const char *problem = target_parse(target, text);
  if (problem != NULL || ((struct target *) target)->kind != TARGET_STREAM) return problem;
  return "that isn't published to; use http://, tcp://, tcp-length://, https://, tls://, tls-length://, nats:// or -";
}

static const char *read_slo(void *options, const char *text) {
  struct options *all = options;
  return all->slo_count < OPTIONS_SLOS ? slo_parse(&all->slos[all->slo_count++], text) : "there may be 32 at most";
}

static const char *read_rate(void *options, const char *text) {
  struct options *all = options;
  all->pace = strcmp(text, "max") == 0 ? PUBLISH_AT_MAX : PUBLISH_AT_RATE;
  if (all->pace == PUBLISH_AT_MAX) return NULL;
  bool is_rate = units_read(text, UNITS_RATE, &all->rate) && all->rate >= min_rate && all->rate <= max_rate;
  return is_rate ? NULL : "expected messages a second from 0.000001 to 10000000, such as 1000/s or 0.5, or max";
}

/* The file is written after the run; a run whose report can't be written is refused before. No file is made or emptied
 * here. */
static const char *read_file(void *file, const char *name) {
  char directory[PATH_MAX];
  struct stat status;
  const char *slash = strrchr(name, '/');
  bool is_there = stat(name, &status) == 0;
  snprintf(directory, sizeof directory, "%.*s.", slash != NULL ? (int) (slash - name) + 1 : 0, name);
  *(const char **) file = name;
  bool may_write = is_there ? !S_ISDIR(status.st_mode) && access(name, W_OK) == 0
                            : errno == ENOENT && *name != '\0' && name[strlen(name) - 1] != '/' &&
                                  access(directory, W_OK | X_OK) == 0;
  return may_write ? NULL : "it can't be written: name a file in a directory that you may write to";
}

#define TIME AMOUNT(UNITS_SECONDS, UINT64_MAX, "a time above 0 and up to a year, such as 30, 1.5s or 2m")

/* clang-format off: one entry begins a line */
static const struct option_entry entries[] = {
    {OPTION_HEADING, .name = "Clients"},
    {OPTION_READ, "target", "URL",
     "the server: tcp://HOST:PORT (lines), tcp-length://HOST:PORT,\n"
     "ws://HOST:PORT[/PATH], sse://HOST:PORT[/PATH] or http:// (SSE);\n"
     "with TLS: tls://, tls-length://, wss://, https://",
     "tcp://127.0.0.1:9000", PLACE(target), .read = read_target},
    {OPTION_VALUE, "connections", "N", "how many clients; 0 with --publish: publish only", "100",
     NUMBER(0, MAX_CONNECTIONS), PLACE(connections)},
    {OPTION_VALUE, "processes", "N", "spread over so many", "1", NUMBER(1, OPTIONS_PROCESSES), PLACE(processes)},
    {OPTION_READ, "mix", "CLASS=WEIGHT,...",
     "their kinds, in proportion\n"
     "  healthy     reads at once; has to get everything\n"
     "  slow        reads 64KB/s, or slow:RATE; 16 KiB receive buffer\n"
     "  stalled     never reads; it is measured when the server resets it\n"
     "  bursty      reads and pauses in turns of 1s, or bursty:TIME\n"
     "  reconnect   cut at random after 2s on average, or reconnect:TIME;\n"
     "              resumes; has to get everything, over all its connections",
     "healthy=100", PLACE(mix), .read = mix_parse},
    {OPTION_AMOUNT, "ramp", "RATE", "open so many connections a second, such as 500/s (default: no limit)", NULL,
     PLACE(ramp_per_second), AMOUNT(UNITS_RATE, MAX_CONNECTIONS, "a rate up to 1000000/s, such as 500/s")},
    {OPTION_READ, "source", "FIRST[-LAST]", "connect from these addresses in turn, such as 127.0.0.2-127.0.0.9",
     .read = sources_parse, PLACE(sources)},
    {OPTION_TEXT, "topic", "NAME", "subscribe to it (default: say nothing, get what the server gives)", NULL,
     PLACE(topic), .is_right = is_topic, .rule = "1 to 64 letters, digits and signs, but none of %&#+?\"\\"},
    {OPTION_TEXT, "token", "TOKEN", "say it to the server", NULL, PLACE(token), .is_right = is_word,
     .rule = "1 to 256 visible characters"},
    CLIENT_TLS_ENTRIES,
    {OPTION_AMOUNT, "stalled-rcvbuf", "BYTES",
     "receive buffer of the stalled clients, so that a short feed fills it, too", NULL, PLACE(stalled_rcvbuf_bytes),
     AMOUNT(UNITS_BYTES, 1 << 30, "bytes up to 1G, such as 4096 or 16K")},

    {OPTION_HEADING, .name = "Messages"},
    {OPTION_READ, "publish", "URL",
     "send them: http://HOST:PORT[/PATH] (POST), tcp:// or tcp-length://HOST:PORT\n"
     "(PUB), also with TLS; nats://HOST:PORT[/SUBJECT]; or - (standard output)",
     .read = read_publish, PLACE(publish)},
    {OPTION_READ, "rate", "N[/s]|max", "so many a second, whatever the server does, or as many as it takes", "100",
     .read = read_rate},
    {OPTION_READ, "size", "SIZES", "bytes: 200, 100-1000, or 64:90,1024:10 with weights", "200", PLACE(sizes),
     .read = sizes_parse},
    {OPTION_VALUE, "lines", NULL, "send the lines of standard input, at --rate or as they come", "off", SWITCH,
     PLACE(takes_lines)},
    {OPTION_VALUE, "messages", "N", "end after so many", NULL, NUMBER(1, 1000000000000), PLACE(messages)},
    {OPTION_VALUE, "publishers", "N", "connections to send over, each with a sequence of its own", "1",
     NUMBER(1, INTEGRITY_PUBLISHERS), PLACE(publishers)},
    /* integrity.c reads numbers up to this maximum. */
    {OPTION_VALUE, "until", "COUNT", "without --publish, for a feed of numbered lines: 1 to COUNT", NULL,
     NUMBER(1, 900000000000000000), PLACE(until)},
    {OPTION_VALUE, "unchecked", NULL, "count messages, whatever the feed is", "off", SWITCH, PLACE(is_unchecked)},

    {OPTION_HEADING, .name = "The end"},
    {OPTION_AMOUNT, "duration", "TIME", "measure for so long, such as 30s", NULL, PLACE(duration_ns), TIME},
    {OPTION_AMOUNT, "timeout", "TIME", "give up when nothing new has come for so long", "60s", PLACE(timeout_ns), TIME},
    {OPTION_READ, "slo", "OBJECTIVE",
     "may be given several times: 'p99<5ms', 'p99.9(slow)<1s', 'max<=50ms',\n"
     "'loss(healthy)==0', 'evicted(stalled)==all', 'eviction<5.5s', 'rate>1000'",
     .read = read_slo},
    {OPTION_READ, "json", "FILE", "write a report", .read = read_file, PLACE(json_file)},
    {OPTION_READ, "hgrm", "FILE", "write the percentiles of the healthy clients' latencies, for plots",
     .read = read_file, PLACE(hgrm_file)},
    {OPTION_VALUE, "quiet", NULL, "no progress", "off", SWITCH, PLACE(is_quiet)},
    {OPTION_ACTION, .name = "help", .help = "show this"},
    {OPTION_ACTION, .name = "version", .help = "show the version"},
};
/* clang-format on */

static const char help_begin[] =
    "Usage: loadclient [OPTION]...\n"
    "Connects many clients to a server that broadcasts, some of which misbehave on purpose, and checks\n"
    "for each of the healthy ones that it gets every message once and in order. With --publish it sends\n"
    "the messages, too, and measures how long each takes, from its planned time to its receipt.\n";

static const char help_end[] =
    "\n"
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
    "  loadclient --connections 220 --mix healthy=200,stalled=20 --until 1000000\n";

static const struct option_table table = {.program = "loadclient",
                                          .entries = entries,
                                          .count = sizeof entries / sizeof entries[0],
                                          .column = 26,
                                          .help_begin = help_begin,
                                          .help_end = help_end,
                                          .argument_hint = "see "};

/* Refuse options that contradict each other, and adapt those that depend on others. */
static bool combine(struct options *options, struct givens *givens) {
  bool has_rate = options_have(givens, "rate");
  options->publishes = options->publish.text != NULL;
  if (options->sources.count > 0 && options->sources.first.ss_family != options->target.address.ss_family)
    return givens_refuse(givens, "--source and --target have to be of the same kind, both IPv4 or both IPv6");
  if (options->json_file != NULL && options->hgrm_file != NULL && strcmp(options->json_file, options->hgrm_file) == 0)
    return givens_refuse(givens, "--json and --hgrm have to be two files, not both '%s'", options->json_file);
  if (options->connections == 0 && !options->publishes)
    return givens_refuse(givens, "--connections 0 leaves nothing to do without --publish");
  if (!options->publishes && (has_rate || options->messages > 0 || options->takes_lines))
    return givens_refuse(givens, "--rate, --messages and --lines are for a publisher: name one by --publish URL");
  if (options->until > 0 && options->publishes)
    return givens_refuse(givens, "--until is for feeds of numbered lines; with --publish use --messages or --duration");
  if (options->processes > options->connections && options->connections > 0) options->processes = options->connections;
  if (options->takes_lines && !has_rate) options->pace = PUBLISH_LINES;
  mix_share_out(&options->mix, options->connections);
  return client_tls_open(&options->tls, options->target.is_secure || options->publish.is_secure, givens);
}

int options_parse(struct options *options, int argc, char **argv) {
  static struct givens givens = {.table = &table}; /* has the texts of the options for as long as the program runs */
  enum options_outcome outcome = options_read(&givens, options, argc, argv);
  if (outcome == OPTIONS_RUN && combine(options, &givens)) return -1;
  if (outcome == OPTIONS_DONE) return EXIT_CODE_OK;
  options_refuse(&givens);
  return EXIT_CODE_USAGE;
}
