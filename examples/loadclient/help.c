/* SPDX-License-Identifier: MIT */
/*
 * help: kept within 100 columns, as it is read on a terminal.
 */
#include "help.h"

/* clang-format off */
static const char clients_text[] =
    "Usage: loadclient [OPTION]...\n"
    "Connects many clients to a server that broadcasts, some of which misbehave on purpose, and checks\n"
    "for each of the healthy ones that it gets every message once and in order. With --publish it sends\n"
    "the messages, too, and measures how long each takes, from its planned time to its receipt.\n"
    "\n"
    "Clients\n"
    "  --target URL            the server: tcp://HOST:PORT (lines; default tcp://127.0.0.1:9000),\n"
    "                          tcp-length://HOST:PORT, ws://HOST:PORT[/PATH], sse://HOST:PORT[/PATH]\n"
    "  --connections N         how many clients (default 100); 0 with --publish: publish only\n"
    "  --processes N           spread over so many processes (default 1)\n"
    "  --mix CLASS=WEIGHT,...  their kinds, in proportion (default healthy=100)\n"
    "                            healthy     reads at once; has to get everything\n"
    "                            slow        reads 64KB/s, or slow:RATE; 16 KiB receive buffer\n"
    "                            stalled     never reads; it is measured when the server resets it\n"
    "                            bursty      reads and pauses in turns of 1s, or bursty:TIME\n"
    "                            reconnect   cut at random after 2s on average, or reconnect:TIME;\n"
    "                                        resumes; has to get everything, over all its connections\n"
    "  --ramp RATE             open so many connections a second, such as 500/s (default: as fast as\n"
    "                          the server accepts them)\n"
    "  --source FIRST[-LAST]   connect from these addresses in turn, such as 127.0.0.2-127.0.0.9\n"
    "  --topic NAME            subscribe to it (default: say nothing, get what the server gives)\n"
    "  --token TOKEN           say it to the server\n"
    "  --stalled-rcvbuf BYTES  receive buffer of the stalled clients, so that a short feed fills it, too\n"
    "\n";

static const char messages_text[] =
    "Messages\n"
    "  --publish URL           send them: http://HOST:PORT[/PATH] (POST), tcp://HOST:PORT or\n"
    "                          tcp-length://HOST:PORT (PUB), nats://HOST:PORT[/SUBJECT], or - (lines\n"
    "                          to standard output)\n"
    "  --rate N[/s]|max        so many a second, whatever the server does (default 100), or as many as\n"
    "                          it takes\n"
    "  --size SIZES            bytes (default 200): 200, 100-1000, or 64:90,1024:10 with weights\n"
    "  --lines                 send the lines of standard input, at --rate or as they come\n"
    "  --messages N            end after so many\n"
    "  --publishers N          connections to send over, each with a sequence of its own (default 1)\n"
    "  --until COUNT           without --publish, for a feed of numbered lines: 1 to COUNT\n"
    "  --unchecked             the feed is something else: count messages only\n"
    "\n"
    "The end\n"
    "  --duration TIME         measure for so long, such as 30s\n"
    "  --timeout TIME          give up when nothing new has come for so long (default 60s)\n"
    "  --slo OBJECTIVE         may be given several times: 'p99<5ms', 'p99.9(slow)<1s', 'max<=50ms',\n"
    "                          'loss(healthy)==0', 'evicted(stalled)==all', 'eviction<5.5s', 'rate>1000'\n"
    "  --json FILE             write a report\n"
    "  --hgrm FILE             write the percentiles of the healthy clients' latencies, for plots\n"
    "  --quiet                 no progress\n"
    "  --help, --version\n"
    "\n"
    "Without --publish what is checked depends on the feed: messages of another loadclient by sequence\n"
    "and checksum, lines that begin with a number by their number; anything else is counted.\n"
    "\n"
    "Exit codes\n"
    "  0    every healthy client got every message once and in order, and all objectives are met\n"
    "  1    a healthy client was disconnected, evicted or refused, or nothing came for too long\n"
    "  2    wrong options, an unknown host, or more connections than the limits allow\n"
    "  3    could not connect\n"
    "  98   integrity: a message was lost, or came twice, out of order or corrupt\n"
    "  99   an objective was missed\n"
    "  130  interrupted by Ctrl-C (143: by SIGTERM) before any of these was found\n"
    "\n"
    "Examples, with build/examples/gateway running:\n"
    "  loadclient --connections 500 --publish http://127.0.0.1:9001 --rate 1000 --duration 30s \\\n"
    "      --mix healthy=90,slow=5,stalled=3,bursty=1,reconnect=1 --slo 'p99<5ms' --json report.json\n"
    "  seq 1 1000000 | gateway --stdin --wait-clients 220     and in another terminal:\n"
    "  loadclient --connections 220 --mix healthy=200,stalled=20 --until 1000000\n";
/* clang-format on */

void help_print(FILE *file) {
  fputs(clients_text, file);
  fputs(messages_text, file);
}
