/* SPDX-License-Identifier: MIT */
/*
 * probe_linux: socket options and SIOCOUTQ.
 */
#include "probe.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/*
 * The kernel keeps at most this much that it hasn't sent. Without it a client that never reads takes 4.3 MB before the
 * first EAGAIN, minutes of traffic that no ring sees; a healthy client's throughput is the same either way.
 */
enum { NOTSENT_LOWAT_BYTES = 16384 };

/* A silent peer that is gone is found after about 60 + 4 × 15 s when nothing is sent. */
enum { KEEPALIVE_IDLE_S = 60, KEEPALIVE_INTERVAL_S = 15, KEEPALIVE_PROBES = 4 };

static int set(uv_os_fd_t fd, int level, int option, int value) {
  return setsockopt(fd, level, option, &value, sizeof value) == 0 ? 0 : uv_translate_sys_error(errno);
}

int fluxbp__probe_prepare(uv_tcp_t *tcp, uint32_t user_timeout_ms) {
  uv_os_fd_t fd;
  int err = uv_fileno((const uv_handle_t *) tcp, &fd);
  if (!err) err = uv_tcp_nodelay(tcp, 1);
  if (!err) err = set(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, NOTSENT_LOWAT_BYTES);
  if (!err) err = set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int) user_timeout_ms);
  if (!err) err = uv_tcp_keepalive(tcp, 1, KEEPALIVE_IDLE_S);
  if (!err) err = set(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S);
  if (!err) err = set(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES);
  return err;
}

int64_t fluxbp__probe_unacked(const uv_tcp_t *tcp) {
  uv_os_fd_t fd;
  int bytes;
  if (uv_fileno((const uv_handle_t *) tcp, &fd) != 0 || ioctl(fd, SIOCOUTQ, &bytes) != 0) return -1;
  return bytes;
}

void fluxbp__probe_close_resets(const uv_tcp_t *tcp) {
  /* uv_tcp_close_reset does the same, but refuses while a shutdown is pending, which is when a deadline needs it */
  uv_os_fd_t fd;
  struct linger at_once = {.l_onoff = 1, .l_linger = 0};
  if (uv_fileno((const uv_handle_t *) tcp, &fd) == 0)
    (void) setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}
