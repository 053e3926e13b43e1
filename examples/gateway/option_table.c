/* SPDX-License-Identifier: MIT */
/*
 * option_table: the table, and what its texts may be.
 */
#include "option_table.h"

#include "options.h"

#include <ctype.h>
#include <string.h>

#define DAY_MS ((uint64_t) 24 * 60 * 60 * 1000)
#define KIB ((uint64_t) 1 << 10)
#define MIB ((uint64_t) 1 << 20)
#define GIB ((uint64_t) 1 << 30)
#define MANY 10000000

static int is_topic(const char *text) {
  return fluxbp_server_topic_is_right(text, strlen(text));
}

/* What a line of a config file can hold; see option_sources.c. */
static int is_path(const char *text) {
  size_t length = strlen(text);
  if (length == 0 || *text == '#' || *text == ' ' || text[length - 1] == ' ') return false;
  for (const char *byte = text; *byte != '\0'; byte++)
    if (iscntrl((unsigned char) *byte)) return false;
  return strstr(text, " #") == NULL;
}

static int is_url(const char *text) {
  size_t length = strlen(text);
  for (const char *byte = text; *byte != '\0'; byte++)
    if (!isgraph((unsigned char) *byte)) return false;
  return length > 0 && length <= 1024 && *text != '#';
}

static int is_authorize_url(const char *text) {
  return is_url(text) && fluxbp_authorize_url_is_right(text);
}

static int is_stream(const char *text) {
  size_t length = strlen(text);
  for (const char *byte = text; *byte != '\0'; byte++)
    if (!isalnum((unsigned char) *byte) && strchr("-_", *byte) == NULL) return false;
  return length > 0 && length <= 255;
}

static int is_one_text(const char *text) {
  size_t length = strlen(text);
  for (const char *byte = text; *byte != '\0'; byte++)
    if (iscntrl((unsigned char) *byte)) return false;
  return length > 0 && length <= 255 && text[0] != ' ' && text[length - 1] != ' ';
}

#define URL_RULE .is_right = is_url, .rule = "a URL such as nats://127.0.0.1:4222 or tls://nats.example.org:4222"
#define STREAM_RULE .is_right = is_stream, .rule = "the name of a stream: 1 to 255 of A-Z a-z 0-9 _ -"
#define TOPIC_RULE .is_right = is_topic, .rule = "the name of a topic: " FLUXBP_SERVER_TOPIC_RULE
#define PATTERN_RULE .is_right = fluxbp_topic_pattern_is_right, .rule = FLUXBP_TOPIC_PATTERN_RULE
#define COOKIE_RULE .is_right = is_stream, .rule = "the name of a cookie: A-Z a-z 0-9 _ -"
#define AUTHORIZE_RULE .is_right = is_authorize_url, .rule = FLUXBP_AUTHORIZE_URL_RULE
#define PROXY_RULE .is_right = fluxbp_network_is_right, .rule = FLUXBP_NETWORK_RULE
#define PATH_RULE                                                                                                      \
  .is_right = is_path, .rule = "a path without control characters, without ' #', and without blanks at its ends"
#define TEXT_RULE .is_right = is_one_text, .rule = "1 to 255 characters without blanks at the ends"
#define HOST_RULE                                                                                                      \
  .is_right = fluxbp_host_is_right,                                                                                    \
  .rule = "one name of a host without a port, such as feed.example.org, or '*' for any"
#define ORIGIN_RULE                                                                                                    \
  .is_right = fluxbp_origin_is_right,                                                                                  \
  .rule = "one SCHEME://HOST or SCHEME://HOST:PORT, such as https://example.org, or 'null', "                          \
          "or '*' for any"

static const char *const tls_clients_names[] = {"required", "optional", NULL}; /* as fluxbp_tls_clients_t */
static const char *const when_away_names[] = {"closed", "public", NULL};       /* as fluxbp_when_away_t */
static const char *const io_uring_names[] = {"auto", "off", NULL};             /* as fluxbp_io_uring_t */

/* clang-format off: one entry begins a line */
static const struct option_entry entries[] = {
    {OPTION_HEADING, .name = "Serving"},
    {OPTION_ADDRESS, "tcp", "HOST:PORT", "lines; port 0 picks a free one, which the ready line names", "127.0.0.1:9000",
     ADDRESS(tcp)},
    {OPTION_ADDRESS, "tcp-length", "HOST:PORT", "the same, each message behind its length in 4 bytes", "off",
     ADDRESS(tcp_length)},
    {OPTION_ADDRESS, "http", "HOST:PORT", "WebSocket, Server-Sent Events, publishing, administration", "127.0.0.1:9001",
     ADDRESS(http)},
    {OPTION_ADDRESS, "tcp-tls", "HOST:PORT", "lines over TLS", "off", ADDRESS(tcp_tls)},
    {OPTION_ADDRESS, "tcp-length-tls", "HOST:PORT", "--tcp-length over TLS", "off", ADDRESS(tcp_length_tls)},
    {OPTION_ADDRESS, "http-tls", "HOST:PORT", "https and wss: what --http serves, over TLS", "off", ADDRESS(http_tls)},
    {OPTION_LIST, "tls-cert", "FILE", "the certificate for TLS, and its chain, in PEM; may be repeated, see --tls-key",
     NULL, PLACE(tls_certificates), PATH_RULE},
    {OPTION_LIST, "tls-key", "FILE", "its key; the n-th one belongs to the n-th --tls-cert. SIGHUP reads both again",
     NULL, PLACE(tls_keys), PATH_RULE},
    {OPTION_TEXT, "tls-client-ca", "FILE", "clients show a certificate of these authorities: 'cert:NAME' in --tokens",
     NULL, PLACE(tls.client_ca), PATH_RULE},
    {OPTION_VALUE, "tls-clients", "WHAT", "a client without one: required is refused, optional is served", "required",
     CHOICE(tls_clients_names), PLACE(tls.clients)},
    {OPTION_VALUE, "max-connections", "N", "clients at a time; fewer if the limit of file descriptors wants it",
     "100000", NUMBER(1, MANY), PLACE(server.max_connections)},
    {OPTION_VALUE, "accept-rate", "N", "clients let in per second; 0 is no limit", "0", NUMBER(0, MANY),
     PLACE(server.accepts_per_second)},
    {OPTION_LIST, "proxy-from", "ADDRESS[/BITS]",
     "whose connections begin with a PROXY protocol v2 header; may be repeated", NULL, PLACE(server.proxies),
     PROXY_RULE},
    {OPTION_VALUE, "threads", "N", "serve clients on so many threads", "1", NUMBER(1, FLUXBP_WORKERS_MAX),
     PLACE(server.threads)},

    {OPTION_HEADING, .name = "Topics"},
    {OPTION_TEXT, "topic", "NAME", "the topic of a client that says nothing, and of standard input", "news",
     PLACE(server.topic), TOPIC_RULE},
    {OPTION_VALUE, "max-topics", "N", "topics with subscribers at a time, on each thread, besides these two kinds",
     "65536", NUMBER(1, FLUXBP_SERVER_TOPICS_MAX), PLACE(server.max_topics)},
    {OPTION_VALUE, "max-topics-per-client", "N", "topics of one client at a time", "256",
     NUMBER(1, FLUXBP_SESSION_TOPICS_MAX), PLACE(server.max_topics_per_session)},
    {OPTION_LIST, "state", "NAME", "a topic of which clients see the newest message of each key; may be repeated", NULL,
     PLACE(server.state_topics), TOPIC_RULE},
    {OPTION_VALUE, "state-keys", "N", "keys that one of these may have",
     .auto_is = "65536, or as many as half of the budget has room for", NUMBER(1, FLUXBP_TOPIC_KEYS_MAX),
     PLACE(server.state_keys)},
    {OPTION_VALUE, "state-age", "MS", "take a value back that was not set anew for so long; 0 is never", "0",
     NUMBER(0, FLUXBP_TIME_MS_MAX), PLACE(server.state_age_ms)},
    {OPTION_VALUE, "history", "N", "messages of the past that a client can resume from; 0 is none",
     .auto_is = "20000, or as many as half of the budget has room for", NUMBER(0, MANY),
     PLACE(server.history_messages)},
    {OPTION_VALUE, "history-bytes", "BYTES", "bytes of them",
     .auto_is = "32M, or a quarter of the budget if that is less", BYTES(0, 1024 * GIB), PLACE(server.history_bytes)},
    {OPTION_VALUE, "history-topic", "N", "of these messages, those that one topic may have; 0 is no limit of its own",
     .auto_is = "half of --history if that is auto, else all of it", NUMBER(0, MANY),
     PLACE(server.history_topic_messages)},
    {OPTION_VALUE, "history-topic-bytes", "BYTES", "of these bytes, those that one topic may have",
     .auto_is = "half of --history-bytes if that is auto, else all of it", BYTES(0, 1024 * GIB),
     PLACE(server.history_topic_bytes)},
    {OPTION_VALUE, "history-age", "MS", "how old these messages may become; 0 is no limit", "0",
     NUMBER(0, FLUXBP_TIME_MS_MAX), PLACE(server.history_ms)},

    {OPTION_HEADING, .name = "Feeding"},
    {OPTION_VALUE, "stdin", NULL, "publish each line of standard input", "off", SWITCH, PLACE(feeds_stdin)},
    {OPTION_VALUE, "wait-clients", "N", "begin to read when so many are connected", "0", NUMBER(0, MANY),
     PLACE(wait_clients)},
    {OPTION_VALUE, "once", NULL, "at the end of the input deliver what is queued and exit, instead of serving on",
     "off", SWITCH, PLACE(once)},
    {OPTION_VALUE, "max-message", "BYTES", "longer messages are refused; longer lines are skipped, logged and counted",
     "64K", BYTES(1, 64 * MIB), PLACE(server.max_message)},
    {OPTION_VALUE, "max-body", "BYTES", "of an HTTP request that publishes many messages",
     .auto_is = "1M, or --max-message if that is more", BYTES(1, GIB), PLACE(server.max_body)},
    {OPTION_VALUE, "patience", "MS",
     "how long a client that makes progress may hold up the input; 0 is live: nobody is waited for",
     .auto_is = "with --stdin that of --stall, else 0", NUMBER(0, DAY_MS), PLACE(server.patience_ms)},

    {OPTION_HEADING, .name = "Slow clients"},
    {OPTION_POLICY, "slots", "N", "messages that may wait for one client", .auto_is = "256, with patience 16384",
     .policy = "slots"},
    {OPTION_POLICY, "ring-bytes", "BYTES", "bytes that may wait for one client, at least twice --max-message",
     .auto_is = "1M, or 4 times --max-message if that is more", .policy = "ring_bytes"},
    {OPTION_POLICY, "high", "PERCENT", "a client is backpressured from this fill on", .policy = "high"},
    {OPTION_POLICY, "low", "PERCENT", "until it is down at this one", .policy = "low"},
    {OPTION_POLICY, "overflow", "RULE", "when more would wait: drop-newest, drop-oldest or evict",
     .auto_is = "evict, with --patience 0 drop-newest", .policy = "overflow"},
    {OPTION_POLICY, "stall", "MS", "evict a client without any progress for so long; 0 is off", .policy = "stall_ms"},
    {OPTION_POLICY, "slow", "MS", "evict a client that is backpressured and not catching up for so long",
     .policy = "slow_ms"},
    {OPTION_POLICY, "lag", "MS", "evict a client whose oldest waiting message is older; 0 is off", .policy = "lag_ms"},
    {OPTION_POLICY, "soft-bytes", "BYTES",
     "evict a client for which more than that waits for all of --soft-time; 0 is off", .policy = "soft_bytes"},
    {OPTION_POLICY, "soft-time", "MS", "the time for --soft-bytes; 0 is off", .policy = "soft_ms"},
    {OPTION_POLICY, "grace", "MS", "a new client isn't evicted by any of these before it is so old",
     .policy = "grace_ms"},
    {OPTION_POLICY, "shadow", NULL, "log who would be evicted, and evict nobody but for memory's sake",
     .policy = "shadow"},
    {OPTION_VALUE, "budget", "BYTES", "memory for all messages and queues together", BYTES(MIB, 1024 * GIB),
     PLACE(server.budget)},
    {OPTION_VALUE, "kernel-bytes", "BYTES",
     "what slow clients together may leave in the kernel's buffers; 0 is no limit",
     .auto_is = "a quarter of the kernel's own mark", BYTES(0, 1024 * GIB), PLACE(server.kernel_bytes)},

    {OPTION_HEADING, .name = "Quotas and rates, 0 being no limit; addresses of loopback have none"},
    {OPTION_VALUE, "max-per-address", "N", "connections at a time from one IPv4 address or IPv6 /64 prefix",
     .auto_is = "a quarter of --max-connections", NUMBER(0, MANY), PLACE(server.max_per_address)},
    {OPTION_VALUE, "max-per-subject", "N", "the same of one subject of tokens, from any address",
     .auto_is = "a quarter of --max-connections", NUMBER(0, MANY), PLACE(server.max_per_subject)},
    {OPTION_VALUE, "max-subscriptions-per-address", "N", "subscriptions of all connections of one address", "262144",
     NUMBER(0, MANY), PLACE(server.max_subscriptions_per_address)},
    {OPTION_VALUE, "max-subscriptions-per-subject", "N", "the same of a subject", "262144", NUMBER(0, MANY),
     PLACE(server.max_subscriptions_per_subject)},
    {OPTION_VALUE, "max-topics-per-address", "N", "topics that an address was the first to subscribe to",
     .auto_is = "a quarter of --max-topics", NUMBER(0, MANY), PLACE(server.max_topics_per_address)},
    {OPTION_VALUE, "max-topics-per-subject", "N", "the same of a subject", .auto_is = "a quarter of --max-topics",
     NUMBER(0, MANY), PLACE(server.max_topics_per_subject)},
    {OPTION_VALUE, "max-keys-per-address", "N", "keys of state topics that an address has given a value", "0",
     NUMBER(0, MANY), PLACE(server.max_keys_per_address)},
    {OPTION_VALUE, "max-keys-per-subject", "N", "the same of a subject", "0", NUMBER(0, MANY),
     PLACE(server.max_keys_per_subject)},
    {OPTION_VALUE, "command-rate", "N", "commands, requests and pings a second of one client; a faster one waits",
     "1000", NUMBER(0, MANY), PLACE(server.command_rate.per_client)},
    {OPTION_VALUE, "command-rate-per-address", "N", "the same of all clients of one address", "10000", NUMBER(0, MANY),
     PLACE(server.command_rate.per_address)},
    {OPTION_VALUE, "command-rate-per-subject", "N", "the same of a subject", "10000", NUMBER(0, MANY),
     PLACE(server.command_rate.per_subject)},
    {OPTION_VALUE, "publish-rate", "N", "messages a second that one client publishes; they are no commands here", "0",
     NUMBER(0, MANY), PLACE(server.publish_rate.per_client)},
    {OPTION_VALUE, "publish-rate-per-address", "N", "the same of all clients of one address", "0", NUMBER(0, MANY),
     PLACE(server.publish_rate.per_address)},
    {OPTION_VALUE, "publish-rate-per-subject", "N", "the same of a subject", "0", NUMBER(0, MANY),
     PLACE(server.publish_rate.per_subject)},
    {OPTION_VALUE, "replay-rate", "N", "messages a second that one client that resumes is given; further resumes wait",
     "20000", NUMBER(0, MANY), PLACE(server.replay_rate.per_client)},
    {OPTION_VALUE, "replay-rate-per-address", "N", "the same of all clients of one address", "100000", NUMBER(0, MANY),
     PLACE(server.replay_rate.per_address)},
    {OPTION_VALUE, "replay-rate-per-subject", "N", "the same of a subject", "100000", NUMBER(0, MANY),
     PLACE(server.replay_rate.per_subject)},
    {OPTION_VALUE, "replay-rate-per-thread", "N", "the same of all clients of a thread", "100000", NUMBER(0, MANY),
     PLACE(server.replay_rate_per_thread)},
    {OPTION_VALUE, "replay-bytes", "BYTES", "bytes a second of these messages of one client", "16M", BYTES(0, GIB),
     PLACE(server.replay_bytes.per_client)},
    {OPTION_VALUE, "replay-bytes-per-address", "BYTES", "the same of all clients of one address", "64M", BYTES(0, GIB),
     PLACE(server.replay_bytes.per_address)},
    {OPTION_VALUE, "replay-bytes-per-subject", "BYTES", "the same of a subject", "64M", BYTES(0, GIB),
     PLACE(server.replay_bytes.per_subject)},
    {OPTION_VALUE, "replay-bytes-per-thread", "BYTES", "the same of all clients of a thread", "64M", BYTES(0, GIB),
     PLACE(server.replay_bytes_per_thread)},

    {OPTION_HEADING, .name = "HTTP"},
    {OPTION_VALUE, "ping", "MS", "ask WebSocket and SSE clients whether they are there, 1000 or more; 0 is off",
     "25000", NUMBER(0, DAY_MS), PLACE(server.ping_ms)},
    {OPTION_VALUE, "message-timeout", "MS", "from the first byte of a line, frame or message to its last; 0 is off",
     "30000", NUMBER(0, DAY_MS), PLACE(server.message_ms)},
    {OPTION_VALUE, "handshake", "MS", "from the accept to the last byte of the first request", "10000",
     NUMBER(100, 600000), PLACE(server.handshake_ms)},
    {OPTION_VALUE, "keep-alive", "MS", "between two requests on a connection; announced to clients, in seconds",
     "75000", NUMBER(1000, DAY_MS), PLACE(server.keep_alive_ms)},
    {OPTION_VALUE, "compress", "BYTES", "from this length on, messages are compressed for clients that ask; 0 is off",
     "256", BYTES(0, GIB), PLACE(server.compress_bytes)},
    {OPTION_TEXT, "tokens", "FILE", "lines ROLE TOKEN [name=NAME] [topics=PATTERN,…]; ROLE: subscribe, publish, admin",
     NULL, PLACE(tokens_path), PATH_RULE},
    {OPTION_TEXT, "jwt-keys", "FILE", "keys for signed tokens: a JSON Web Key Set, or public keys in PEM", NULL,
     PLACE(keys_path), PATH_RULE},
    {OPTION_TEXT, "jwt-issuer", "TEXT", "a signed token has to be of this issuer (iss)", NULL,
     PLACE(server.token_issuer), TEXT_RULE},
    {OPTION_TEXT, "jwt-audience", "TEXT", "a signed token has to be for this audience (aud)", NULL,
     PLACE(server.token_audience), TEXT_RULE},
    {OPTION_LIST, "public", "PATTERN", "topics for which subscribing takes no token; may be repeated", NULL,
     PLACE(server.public_topics), PATTERN_RULE},
    {OPTION_TEXT, "token-cookie", "NAME", "a cookie that may hold a token, for pages that may use the gateway", NULL,
     PLACE(server.token_cookie), COOKIE_RULE},
    {OPTION_VALUE, "max-wrong-tokens", "N", "wrong tokens that an address may show within a minute; 0 is no limit",
     "60", NUMBER(0, MANY), PLACE(server.max_wrong_tokens)},
    {OPTION_TEXT, "authorize", "URL", "ask there, by HTTP, what clients may do whose tokens or cookies are not known",
     NULL, PLACE(server.authorize_url), AUTHORIZE_RULE},
    {OPTION_VALUE, "authorize-timeout", "MS", "time for the answer to one of these questions", "2000", NUMBER(1, 60000),
     PLACE(server.authorize_timeout_ms)},
    {OPTION_VALUE, "authorize-at-once", "N", "questions at a time", "64", NUMBER(1, FLUXBP_AUTHORIZE_AT_ONCE_MAX),
     PLACE(server.authorize_at_once)},
    {OPTION_VALUE, "authorize-cache", "N", "answers that are kept for as long as they say; 0 is none", "10000",
     NUMBER(0, FLUXBP_AUTHORIZE_CACHE_MAX), PLACE(server.authorize_cache)},
    {OPTION_VALUE, "authorize-when-away", "WHAT",
     "without an answer: closed is nothing, public is the topics of --public", "closed", CHOICE(when_away_names),
     PLACE(server.authorize_when_away)},
    {OPTION_VALUE, "trust-loopback", NULL, "no token is needed on loopback addresses; not for a machine with a proxy",
     "off", SWITCH, PLACE(server.trusts_loopback)},
    {OPTION_LIST, "allow-host", "NAME", "a Host header may name it, besides addresses and localhost; may be repeated",
     NULL, PLACE(server.allow_hosts), HOST_RULE},
    {OPTION_LIST, "allow-origin", "ORIGIN",
     "pages from there may use the gateway; '*' is any page, without credentials; may be repeated", NULL,
     PLACE(server.allow_origins), ORIGIN_RULE},

    {OPTION_HEADING, .name = "Many gateways"},
    {OPTION_TEXT, "nats", "URL", "publish by way of NATS there, so that the clients of all gateways get it", NULL,
     PLACE(nats_url), URL_RULE},
    {OPTION_TEXT, "nats-creds", "FILE", "a file of credentials for NATS", NULL, PLACE(nats.credentials), PATH_RULE},
    {OPTION_TEXT, "subject", "SUBJECT", "the subjects that are topics here", "fluxbp.>", PLACE(nats.subject),
     .is_right = fluxbp_nats_subject_is_right, .rule = FLUXBP_NATS_SUBJECT_RULE},
    {OPTION_TEXT, "jetstream", "STREAM", "take ids from that stream, so that clients may go on at any gateway", NULL,
     PLACE(nats.stream), STREAM_RULE},

    {OPTION_HEADING, .name = "Operation"},
    {OPTION_TEXT, "config", "FILE", "read options from there: lines NAME = VALUE, '#' begins a comment", NULL,
     PLACE(config_path), PATH_RULE},
    {OPTION_ACTION, .name = "check-config", .help = "say whether the options are right, and exit"},
    {OPTION_ACTION, .name = "print-config", .help = "show what all options come to, as a file for --config, and exit"},
    {OPTION_VALUE, "io-uring", "WHAT", "auto: one system call for many clients, if the kernel can; or off",
     "auto", CHOICE(io_uring_names), PLACE(server.io_uring)},
    {OPTION_VALUE, "drain-ms", "MS", "time for clients to take what is queued when the gateway stops", "5000",
     NUMBER(0, DAY_MS), PLACE(drain_ms)},
    {OPTION_VALUE, "log-level", "LEVEL", "debug, info, warn or error", "info", CHOICE(log_level_names),
     PLACE(log_level)},
    {OPTION_VALUE, "log-format", "FORMAT", "logfmt or json", "logfmt", CHOICE(log_format_names), PLACE(log_format)},
    {OPTION_ACTION, .name = "help", .help = "show this"},
    {OPTION_ACTION, .name = "version", .help = "show the version"},
};
/* clang-format on */

static const char help_begin[] = "Usage: gateway [OPTION]...\n"
                                 "Sends messages to every client that connects: nc 127.0.0.1 9000 shows the feed.\n";

static const char help_end[] =
    "\n"
    "BYTES take a suffix K, M or G; HOST:PORT may be 'off'. Each option may also be given by the environment\n"
    "(FLUXBP_MAX_CONNECTIONS=5000, FLUXBP_STATE=prices,scores) or in the file of --config (max-connections = 5000).\n"
    "What the command line says counts more than the environment, and that more than the file. A switch that they "
    "have\n"
    "on is put off by --NAME=off.\n"
    "\n"
    "With --stdin and patience the feed is lossless: whoever isn't evicted gets every line, in order. Empty lines and\n"
    "those over --max-message are skipped.\n"
    "SIGTERM and SIGINT drain and exit; a second one exits at once.\n"
    "\n"
    "Exit codes: 0 done, 1 failed while running, 2 wrong options, 3 cannot listen.\n"
    "\n"
    "Example:\n"
    "  tail -F access.log | gateway --stdin\n";

const struct option_table gateway_table = {
    .program = "gateway",
    .prefix = "FLUXBP_",
    .entries = entries,
    .count = sizeof entries / sizeof entries[0],
    .policy_setting = fluxbp_policy_setting_of,
    .policy_offset = offsetof(struct options, server.policy),
    .column = 27,
    .help_begin = help_begin,
    .help_end = help_end,
    .argument_hint = "input comes from standard input, with --stdin. See ",
};
