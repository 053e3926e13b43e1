/* SPDX-License-Identifier: MIT */
/*
 * limits: the arithmetic is apart from the asking, so that it can be tested.
 */
#include "limits.h"

#include "common/address.h"
#include "common/descriptors.h"

#include <inttypes.h>
#include <stdio.h>

/* Standard streams, the loop's own descriptors (6 in libuv 1.44), and a few that may have been inherited. */
static const uint64_t reserved_descriptors = 16;

static const char port_range_file[] = "/proc/sys/net/ipv4/ip_local_port_range";

static uint64_t find_ports(void) {
  FILE *file = fopen(port_range_file, "r");
  if (file == NULL) return UINT64_MAX;
  uint64_t first, last;
  int found = fscanf(file, "%" SCNu64 " %" SCNu64, &first, &last); /* NOLINT(cert-err34-c): the kernel's numbers */
  fclose(file);
  return found == 2 && last >= first ? last - first + 1 : UINT64_MAX;
}

struct limits limits_find(void) {
  return (struct limits){.descriptors = descriptors_raise_limit(), .ports = find_ports()};
}

static uint64_t divide_up(uint64_t amount, uint64_t parts) {
  return (amount + parts - 1) / parts;
}

static bool descriptors_fit(uint64_t descriptors, const struct options *options, char *problem) {
  uint32_t processes = options->processes;
  uint64_t most = descriptors > reserved_descriptors ? descriptors - reserved_descriptors : 1;
  uint64_t each = divide_up(options->connections, processes), wanted = each + reserved_descriptors;
  if (each <= most) return true;
  snprintf(problem, LIMITS_PROBLEM_BYTES,
           "%" PRIu32 " connections over %" PRIu32 " process%s need %" PRIu64
           " file descriptors in each; a process may open %" PRIu64 ", so %" PRIu64
           " connections fit.\nUse --processes %" PRIu64 ", or raise the limit as root: 'ulimit -n %" PRIu64
           "' in this shell, or nofile in /etc/security/limits.conf for new ones.",
           options->connections, processes, processes == 1 ? "" : "es", wanted, descriptors, most * processes,
           divide_up(options->connections, most), wanted);
  return false;
}

static bool ports_fit(uint64_t ports, const struct options *options, char *problem) {
  char sources[40] = "FIRST-LAST";
  bool is_loopback = options->target.address.ss_family == AF_INET && address_is_loopback(&options->target.address);
  uint64_t count = options->sources.count > 0 ? options->sources.count : 1;
  uint64_t each = divide_up(options->connections, count);
  if (each <= ports || ports == 0) return true;
  uint64_t wanted = divide_up(options->connections, ports);
  if (is_loopback && wanted < 250) snprintf(sources, sizeof sources, "127.0.0.2-127.0.0.%" PRIu64, wanted + 1);
  snprintf(problem, LIMITS_PROBLEM_BYTES,
           "%" PRIu32 " connections from %" PRIu64 " address%s need %" PRIu64
           " local ports of each; an address has %" PRIu64 ", so %" PRIu64
           " connections fit.\nUse more addresses: --source %s. Or widen the range as root: sysctl -w "
           "net.ipv4.ip_local_port_range='1024 65535'.",
           options->connections, count, count == 1 ? "" : "es", each, ports, ports * count, sources);
  return false;
}

bool limits_fit(const struct limits *limits, const struct options *options, char problem[LIMITS_PROBLEM_BYTES]) {
  return descriptors_fit(limits->descriptors, options, problem) && ports_fit(limits->ports, options, problem);
}
