/* SPDX-License-Identifier: MIT */
/*
 * options: the table of the command line, and the readers of its values.
 */
#include "options.h"

#include "common/address.h"

#include <arpa/inet.h>
#include <fluxbp/fluxbp.h>
#include <fluxbp/server.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* http://HOST:PORT or http://HOST:PORT/, to the target. The name goes into a header and into JSON. */
static bool add_gateway(struct options *options, const char *text) {
  static const char scheme[] = "http://";
  if (options->gateway_count == GATEWAYS_MAX) return command_line_refuse("--gateway: at most %d of them", GATEWAYS_MAX);
  struct gateway_target *target = &options->gateways[options->gateway_count];
  const char *rest = text;
  if (strncmp(rest, scheme, sizeof scheme - 1) == 0) rest += sizeof scheme - 1;
  size_t length = strlen(rest);
  if (length > 0 && rest[length - 1] == '/') length--;
  if (length >= sizeof target->name || strcspn(rest, "/\"\\ \t\r\n") < length)
    return command_line_refuse("--gateway %s: expected http://HOST:PORT, such as http://127.0.0.1:9001", text);
  memcpy(target->name, rest, length);
  target->name[length] = '\0';
  const char *problem = address_parse_peer(rest, length, &target->address);
  if (problem != NULL) return command_line_refuse("--gateway %s: %s", text, problem);
  options->gateway_count++;
  return true;
}

static bool take_gateway(void *options, const struct command_option *option, const char *text) {
  (void) option;
  return add_gateway(options, text);
}

static bool take_listen(void *arg, const struct command_option *option, const char *text) {
  struct options *options = arg;
  (void) option;
  options->listen = text;
  return true;
}

static bool take_host(void *arg, const struct command_option *option, const char *name) {
  struct options *options = arg;
  (void) option;
  if (!fluxbp_host_is_right(name))
    return command_line_refuse(
        "--allow-host '%s': expected one name without a port, such as board.example.org, or '*' for any", name);
  if (options->host_count == HOSTS_MAX) return command_line_refuse("--allow-host: at most %d of them", HOSTS_MAX);
  options->hosts[options->host_count++] = name;
  return true;
}

static bool take_proxy(void *arg, const struct command_option *option, const char *address) {
  struct options *options = arg;
  (void) option;
  if (!fluxbp_network_is_right(address))
    return command_line_refuse("--trust-proxy '%s': expected " FLUXBP_NETWORK_RULE, address);
  if (options->proxy_count == PROXIES_MAX) return command_line_refuse("--trust-proxy: at most %d of them", PROXIES_MAX);
  options->proxies[options->proxy_count++] = address;
  return true;
}

/* A file that others may read holds no secret, and a token that isn't visible ASCII could end its header. */
static bool take_token_file(void *arg, const struct command_option *option, const char *path) {
  char *token = (char *) arg + option->offset;
  const char *name = option->name;
  struct stat status;
  FILE *file = fopen(path, "r");
  if (file == NULL || fstat(fileno(file), &status) != 0) {
    if (file != NULL) fclose(file);
    return command_line_refuse("--%s %s: it can't be read", name, path);
  }
  bool is_read = fgets(token, TOKEN_BYTES, file) != NULL;
  fclose(file);
  if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
    return command_line_refuse("--%s %s: others may read or write it: chmod 600 %s", name, path, path);
  if (is_read) token[strcspn(token, "\r\n")] = '\0';
  size_t length = is_read ? strlen(token) : 0;
  for (size_t i = 0; i < length; i++)
    if (token[i] <= ' ' || token[i] > '~') length = 0;
  if (length < 16 || length == TOKEN_BYTES - 1)
    return command_line_refuse("--%s %s: its first line has to be the token alone, 16 to 255 visible characters", name,
                               path);
  return true;
}

#define SWITCH(member) command_line_take_switch, .offset = offsetof(struct options, member)
#define TEXT(text)                                                                                                     \
  { .help = (text) }

static const struct command_option entries[] = {
    TEXT("Usage: dashboard [OPTION]...\n"
         "Shows in a browser who of a gateway's clients is slow, and why: http://127.0.0.1:8080\n\n"),
    {"listen", "HOST:PORT",
     "where browsers connect; port 0 picks a free one, which the ready line names\n(default 127.0.0.1:8080)",
     .take = take_listen},
    {"gateway", "URL",
     "a gateway's --http address; may be given several times, the page has a choice then\n"
     "(default http://127.0.0.1:9001)",
     .take = take_gateway},
    {"token-file", "FILE", "the gateway's admin token: the first line of FILE, which nobody else may read",
     .take = take_token_file, .offset = offsetof(struct options, token)},
    {"login-token", "FILE",
     "let only browsers that log in watch, evict and change the policy; they show the token in the\n"
     "first line of FILE, which nobody else may read. Without this option browsers log in by the\n"
     "gateway's admin token, where the gateway wants one and --token-file is not given",
     .take = take_token_file, .offset = offsetof(struct options, login_token)},
    {"allow-host", "NAME",
     "a name under which browsers may find this server, besides addresses and localhost; may be\ngiven several times",
     .take = take_host},
    {"trust-proxy", "NETWORK",
     "a proxy, or a network of some, whose X-Forwarded-For and X-Forwarded-Proto count for logins; may be given "
     "several\ntimes",
     .take = take_proxy},
    {"trust-loopback", NULL,
     "let browsers of this machine evict and change the policy, where --listen is a loopback\n"
     "address; not behind a proxy on this machine",
     SWITCH(trusts_loopback)},
    {"actions", NULL,
     "let every browser that reaches this server evict and change the policy, where --listen is a\n"
     "loopback address and a proxy in front asks for a password",
     SWITCH(everybody_may_act)},
    TEXT("  --help                show this\n"
         "  --version             show the version\n\n"
         "Exit codes: 0 done, 1 failed while running, 2 wrong options, 3 cannot listen.\n\n"
         "Example:\n"
         "  dashboard --gateway http://127.0.0.1:9001 --token-file admin.token\n"),
};

static bool finish_options(struct options *options) {
  struct sockaddr_storage address;
  const char *problem = address_parse(options->listen, &address);
  if (problem != NULL) return command_line_refuse("--listen %s: %s", options->listen, problem);
  if (options->gateway_count == 0 && !add_gateway(options, "http://127.0.0.1:9001")) return false;
  for (size_t i = 0; i < options->gateway_count; i++)
    options->gateways[i].token = options->token[0] != '\0' ? options->token : NULL;
  options->is_on_loopback = address_is_loopback(&address);
  return true;
}

enum command_line_outcome options_parse(struct options *options, int argc, char **argv) {
  char version[100];
  struct command_line line = {"dashboard", version, 24, sizeof entries / sizeof entries[0], entries};
  snprintf(version, sizeof version, "dashboard %s (libfluxbp %s, libuv %s)", FLUXBP_VERSION_STRING, fluxbp_version(),
           uv_version_string());
  *options = (struct options){.listen = "127.0.0.1:8080"};
  enum command_line_outcome outcome = command_line_read(&line, options, argc, argv);
  return outcome == COMMAND_LINE_RUN && !finish_options(options) ? COMMAND_LINE_REFUSED : outcome;
}
