/* SPDX-License-Identifier: MIT */
/*
 * options: the table of the command line, and the readers of its values.
 */
#include "options.h"

#include "common/address.h"
#include "common/option_table.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* http://HOST:PORT or http://HOST:PORT/, or https, to the next target. The name goes into a header and into JSON. */
static const char *read_gateway(void *place, const char *text) {
  static const char plain[] = "http://", secure[] = "https://";
  struct options *options = place;
  if (options->gateway_count == GATEWAYS_MAX) return "there may be 16 gateways at most";
  struct gateway_target *target = &options->gateways[options->gateway_count];
  bool is_secure = strncmp(text, secure, sizeof secure - 1) == 0;
  target->scheme = is_secure ? "https" : "http";
  if (is_secure)
    text += sizeof secure - 1;
  else if (strncmp(text, plain, sizeof plain - 1) == 0)
    text += sizeof plain - 1;
  size_t length = strlen(text);
  if (length > 0 && text[length - 1] == '/') length--;
  if (length >= sizeof target->name || strcspn(text, "/\"\\ \t\r\n") < length)
    return "expected http://HOST:PORT or https://HOST:PORT, such as http://127.0.0.1:9001";
  memcpy(target->name, text, length);
  target->name[length] = '\0';
  options->gateway_count++;
  return address_parse_peer(text, length, &target->address);
}

/* A file that others may read holds no secret, and a token that isn't visible ASCII could end its header. */
static const char *read_token_file(void *token_place, const char *path) {
  char *token = token_place;
  struct stat status;
  FILE *file = fopen(path, "r");
  if (file == NULL) return "it can't be read";
  bool is_private = fstat(fileno(file), &status) == 0 && (status.st_mode & (S_IRWXG | S_IRWXO)) == 0;
  bool is_read = fgets(token, TOKEN_BYTES, file) != NULL;
  fclose(file);
  if (!is_private) return "others may read or write it: chmod 600 that file";
  if (is_read) token[strcspn(token, "\r\n")] = '\0';
  size_t length = is_read ? strlen(token) : 0;
  for (size_t i = 0; i < length; i++)
    if (token[i] <= ' ' || token[i] > '~') length = 0;
  if (length < 16 || length == TOKEN_BYTES - 1)
    return "its first line has to be the token alone, 16 to 255 visible characters";
  return NULL;
}

/* clang-format off: one entry begins a line */
static const struct option_entry entries[] = {
    {OPTION_TEXT, "listen", "HOST:PORT", "where browsers connect; port 0 picks a free one, which the ready line names",
     "127.0.0.1:8080", PLACE(listen)},
    {OPTION_READ, "gateway", "URL",
     "a gateway's --http address, or https://HOST:PORT; may be given several times, the page has a\n"
     "choice then (default http://127.0.0.1:9001)",
     .read = read_gateway},
    CLIENT_TLS_ENTRIES,
    {OPTION_READ, "token-file", "FILE", "the gateway's admin token: the first line of FILE, which nobody else may read",
     .read = read_token_file, PLACE(token)},
    {OPTION_READ, "login-token", "FILE",
     "let only browsers that log in watch, evict and change the policy; they show the token in the\n"
     "first line of FILE, which nobody else may read. Without this option browsers log in by the\n"
     "gateway's admin token, where the gateway wants one and --token-file is not given",
     .read = read_token_file, PLACE(login_token)},
    {OPTION_LIST, "allow-host", "NAME",
     "a name under which browsers may find this server, besides addresses and localhost; may be\ngiven several times",
     NULL, PLACE(allow_hosts), .is_right = fluxbp_host_is_right,
     .rule = "one name without a port, such as board.example.org, or '*' for any"},
    {OPTION_LIST, "trust-proxy", "NETWORK",
     "a proxy, or a network of some, whose X-Forwarded-For and X-Forwarded-Proto count for logins;\n"
     "may be given several times",
     NULL, PLACE(proxies), .is_right = fluxbp_network_is_right, .rule = FLUXBP_NETWORK_RULE},
    {OPTION_VALUE, "trust-loopback", NULL,
     "let browsers of this machine evict and change the policy, where --listen is a loopback\n"
     "address; not behind a proxy on this machine",
     "off", SWITCH, PLACE(trusts_loopback)},
    {OPTION_VALUE, "actions", NULL,
     "let every browser that reaches this server evict and change the policy, where --listen is a\n"
     "loopback address and a proxy in front asks for a password",
     "off", SWITCH, PLACE(everybody_may_act)},
    {OPTION_ACTION, .name = "help", .help = "show this"},
    {OPTION_ACTION, .name = "version", .help = "show the version"},
};
/* clang-format on */

static const struct option_table table = {
    .program = "dashboard",
    .entries = entries,
    .count = sizeof entries / sizeof entries[0],
    .column = 24,
    .help_begin = "Usage: dashboard [OPTION]...\n"
                  "Shows in a browser who of a gateway's clients is slow, and why: http://127.0.0.1:8080\n\n",
    .help_end = "\n"
                "Exit codes: 0 done, 1 failed while running, 2 wrong options, 3 cannot listen.\n\n"
                "Example:\n"
                "  dashboard --gateway http://127.0.0.1:9001 --token-file admin.token\n",
    .argument_hint = "see ",
};

static bool finish_gateways(struct options *options, struct givens *givens) {
  bool is_any_secure = false;
  for (size_t i = 0; i < options->gateway_count; i++)
    is_any_secure = is_any_secure || strcmp(options->gateways[i].scheme, "https") == 0;
  if (!client_tls_open(&options->tls, is_any_secure, givens)) return false;
  for (size_t i = 0; i < options->gateway_count; i++) {
    options->gateways[i].token = options->token[0] != '\0' ? options->token : NULL;
    options->gateways[i].tls = options->tls.tls;
  }
  return true;
}

static enum options_outcome finish_options(struct options *options, struct givens *givens) {
  struct sockaddr_storage address;
  const char *problem = address_parse(options->listen, &address);
  if (problem != NULL) {
    givens_refuse(givens, "--listen %s: %s", options->listen, problem);
    return OPTIONS_REFUSED;
  }
  if (options->gateway_count == 0) (void) read_gateway(options, "http://127.0.0.1:9001");
  options->is_on_loopback = address_is_loopback(&address);
  return finish_gateways(options, givens) ? OPTIONS_RUN : OPTIONS_REFUSED;
}

enum options_outcome options_parse(struct options *options, int argc, char **argv) {
  static struct givens givens = {.table = &table}; /* has the texts of the options for as long as the program runs */
  enum options_outcome outcome = options_read(&givens, options, argc, argv);
  if (outcome == OPTIONS_RUN) outcome = finish_options(options, &givens);
  return outcome == OPTIONS_REFUSED ? options_refuse(&givens) : outcome;
}
