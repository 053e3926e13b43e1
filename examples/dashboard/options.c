/* SPDX-License-Identifier: MIT */
/*
 * options: few enough to be read one by one. What is wrong is refused with a message that says what would be right.
 */
#include "options.h"

#include "common/address.h"

#include <arpa/inet.h>
#include <fluxbp/fluxbp.h>
#include <getopt.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum option_id { LISTEN = 1, GATEWAY, TOKEN_FILE, ALLOW_HOST, ACTIONS, TRUST_LOOPBACK, HELP, VERSION };

static const struct option long_options[] = {
    {"listen", required_argument, NULL, LISTEN},
    {"gateway", required_argument, NULL, GATEWAY},
    {"token-file", required_argument, NULL, TOKEN_FILE},
    {"allow-host", required_argument, NULL, ALLOW_HOST},
    {"actions", no_argument, NULL, ACTIONS},
    {"trust-loopback", no_argument, NULL, TRUST_LOOPBACK},
    {"help", no_argument, NULL, HELP},
    {"version", no_argument, NULL, VERSION},
    {0},
};

static const char help[] =
    "Usage: dashboard [OPTION]...\n"
    "Shows in a browser who of a gateway's clients is slow, and why: http://127.0.0.1:8080\n"
    "\n"
    "  --listen HOST:PORT    where browsers connect; port 0 picks a free one, which the ready line names\n"
    "                        (default 127.0.0.1:8080)\n"
    "  --gateway URL         a gateway's --http address; may be given several times, the page has a choice then\n"
    "                        (default http://127.0.0.1:9001)\n"
    "  --token-file FILE     the gateway's admin token: the first line of FILE, which nobody else may read\n"
    "  --allow-host NAME     a name under which browsers may find this server, besides addresses and localhost; may "
    "be\n"
    "                        given several times\n"
    "  --trust-loopback      let browsers of this machine evict and change the policy, where --listen is a loopback\n"
    "                        address; not behind a proxy on this machine\n"
    "  --actions             let every browser that reaches this server evict and change the policy\n"
    "  --help                show this\n"
    "  --version             show the version\n"
    "\n"
    "Exit codes: 0 done, 1 failed while running, 2 wrong options, 3 cannot listen.\n"
    "\n"
    "Example:\n"
    "  dashboard --gateway http://127.0.0.1:9001 --token-file admin.token\n";

__attribute__((format(printf, 1, 2))) static bool refuse(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("dashboard: ", stderr);
  vfprintf(stderr, format, arguments);
  fputs("\n", stderr);
  va_end(arguments);
  return false;
}

/* http://HOST:PORT or http://HOST:PORT/, to the target. The name goes into a header and into JSON. */
static bool take_gateway(struct options *options, const char *text) {
  static const char scheme[] = "http://";
  if (options->gateway_count == GATEWAYS_MAX) return refuse("--gateway: at most %d of them", GATEWAYS_MAX);
  struct gateway_target *target = &options->gateways[options->gateway_count];
  const char *rest = text;
  if (strncmp(rest, scheme, sizeof scheme - 1) == 0) rest += sizeof scheme - 1;
  size_t length = strlen(rest);
  if (length > 0 && rest[length - 1] == '/') length--;
  if (length >= sizeof target->name || strcspn(rest, "/\"\\ \t\r\n") < length)
    return refuse("--gateway %s: expected http://HOST:PORT, such as http://127.0.0.1:9001", text);
  memcpy(target->name, rest, length);
  target->name[length] = '\0';
  const char *problem = address_parse(target->name, &target->address);
  if (problem != NULL) return refuse("--gateway %s: %s", text, problem);
  if (!address_has_port(&target->address))
    return refuse("--gateway %s: the port must be a number from 1 to 65535", text);
  options->gateway_count++;
  return true;
}

static bool take_host(struct options *options, const char *name) {
  if (!fluxbp_host_is_right(name))
    return refuse("--allow-host '%s': expected one name without a port, such as board.example.org, or '*' for any",
                  name);
  if (options->origins.host_count == HOSTS_MAX) return refuse("--allow-host: at most %d of them", HOSTS_MAX);
  options->hosts[options->origins.host_count++] = name;
  return true;
}

/* What others may read is no secret; and what isn't visible ASCII could end the header that it goes into. */
static bool read_token(char token[TOKEN_BYTES], const char *path) {
  struct stat status;
  FILE *file = fopen(path, "r");
  if (file == NULL || fstat(fileno(file), &status) != 0) {
    if (file != NULL) fclose(file);
    return refuse("--token-file %s: it can't be read", path);
  }
  bool is_read = fgets(token, TOKEN_BYTES, file) != NULL;
  fclose(file);
  if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
    return refuse("--token-file %s: others may read or write it: chmod 600 %s", path, path);
  if (is_read) token[strcspn(token, "\r\n")] = '\0';
  size_t length = is_read ? strlen(token) : 0;
  for (size_t i = 0; i < length; i++)
    if (token[i] <= ' ' || token[i] > '~') length = 0;
  if (length < 16 || length == TOKEN_BYTES - 1)
    return refuse("--token-file %s: its first line has to be the token alone, 16 to 255 visible characters", path);
  return true;
}

static bool is_loopback(const struct sockaddr_storage *address) {
  if (address->ss_family == AF_INET) {
    const struct sockaddr_in *ip4 = (const struct sockaddr_in *) address;
    return ntohl(ip4->sin_addr.s_addr) >> 24 == 127;
  }
  const struct sockaddr_in6 *ip6 = (const struct sockaddr_in6 *) address;
  return IN6_IS_ADDR_LOOPBACK(&ip6->sin6_addr);
}

static bool take_option(struct options *options, int id) {
  switch (id) {
  case LISTEN:
    options->listen_text = optarg;
    return true;
  case GATEWAY:
    return take_gateway(options, optarg);
  case TOKEN_FILE:
    return read_token(options->token, optarg);
  case ALLOW_HOST:
    return take_host(options, optarg);
  case ACTIONS:
    options->everybody_may_act = true;
    return true;
  case TRUST_LOOPBACK:
    options->this_machine_may = true;
    return true;
  default: /* getopt_long has said what is wrong */
    fputs("See 'dashboard --help'.\n", stderr);
    return false;
  }
}

static bool finish(struct options *options) {
  const char *problem = address_parse(options->listen_text, &options->listen);
  if (problem != NULL) return refuse("--listen %s: %s", options->listen_text, problem);
  if (options->gateway_count == 0 && !take_gateway(options, "http://127.0.0.1:9001")) return false;
  for (size_t i = 0; i < options->gateway_count; i++)
    options->gateways[i].token = options->token[0] != '\0' ? options->token : NULL;
  options->origins.hosts = options->hosts;
  options->this_machine_may = options->this_machine_may && is_loopback(&options->listen);
  return true;
}

enum options_outcome options_parse(struct options *options, int argc, char **argv) {
  int id;
  *options = (struct options){.listen_text = "127.0.0.1:8080"};
  while ((id = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
    if (id == HELP) {
      fputs(help, stdout);
      return OPTIONS_DONE;
    }
    if (id == VERSION) {
      printf("dashboard %s (libfluxbp %s, libuv %s)\n", FLUXBP_VERSION_STRING, fluxbp_version(), uv_version_string());
      return OPTIONS_DONE;
    }
    if (!take_option(options, id)) return OPTIONS_REFUSED;
  }
  if (optind < argc) {
    refuse("'%s' is not an option. See 'dashboard --help'.", argv[optind]);
    return OPTIONS_REFUSED;
  }
  return finish(options) ? OPTIONS_RUN : OPTIONS_REFUSED;
}
