/* SPDX-License-Identifier: MIT */
/*
 * probe_linux: socket options, SIOCOUTQ and TCP_INFO.
 */
#include "probe.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * The kernel keeps at most this much that it hasn't sent. Without it a client that never reads takes 4.3 MB before the
 * first EAGAIN, minutes of traffic that no ring sees; a healthy client's throughput is the same either way.
 */
enum { NOTSENT_LOWAT_BYTES = 16384 };

/* One process may fill this part of the kernel's memory for TCP with what slow clients haven't taken. */
enum { KERNEL_SHARE = 4 };

/* A silent peer that is gone is found after about 60 + 4 × 15 s when nothing is sent. TCP_USER_TIMEOUT stays off: it
 * counts the time of a closed window, too, whose peer is alive. */
enum { KEEPALIVE_IDLE_S = 60, KEEPALIVE_INTERVAL_S = 15, KEEPALIVE_PROBES = 4 };

/*
 * The kernel's struct tcp_info (include/uapi/linux/tcp.h, Linux 5.4) as far as we need it. glibc's lacks the later
 * fields, and the kernel's own header can't be included together with <netinet/tcp.h>, which <uv.h> includes. An older
 * kernel returns less, which the returned length tells.
 */
typedef struct tcp_info_5_4 {
  uint8_t state, ca_state, retransmits, probes, backoff, options, window_scales, flags;
  uint32_t rto, ato, snd_mss, rcv_mss;
  uint32_t unacked, sacked, lost, retrans, fackets;
  uint32_t last_data_sent, last_ack_sent, last_data_recv, last_ack_recv;
  uint32_t pmtu, rcv_ssthresh, rtt, rttvar, snd_ssthresh, snd_cwnd, advmss, reordering;
  uint32_t rcv_rtt, rcv_space, total_retrans;
  uint64_t pacing_rate, max_pacing_rate, bytes_acked, bytes_received;
  uint32_t segs_out, segs_in, notsent_bytes, min_rtt, data_segs_in, data_segs_out;
  uint64_t delivery_rate, busy_time, rwnd_limited, sndbuf_limited;
  uint32_t delivered, delivered_ce;
  uint64_t bytes_sent, bytes_retrans;
  uint32_t dsack_dups, reord_seen, rcv_ooopack, snd_wnd;
} tcp_info_5_4_t;

static int set(uv_os_fd_t fd, int level, int option, int value) {
  return setsockopt(fd, level, option, &value, sizeof value) == 0 ? 0 : uv_translate_sys_error(errno);
}

/* The last of them, which tells that a socket has all. */
static bool is_prepared(uv_os_fd_t fd) {
  int bytes;
  socklen_t len = sizeof bytes;
  return getsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, &len) == 0 && bytes == NOTSENT_LOWAT_BYTES;
}

static int prepare(uv_os_fd_t fd) {
  int err = set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  if (!err) err = set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  if (!err) err = set(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
  if (!err) err = set(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S);
  if (!err) err = set(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES);
  if (!err) err = set(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, NOTSENT_LOWAT_BYTES);
  return err;
}

int fluxbp__probe_prepare(uv_os_fd_t fd) {
  return is_prepared(fd) ? 0 : prepare(fd);
}

void fluxbp__probe_prepare_listening(uv_os_sock_t fd) {
  (void) prepare(fd);
}

int64_t fluxbp__probe_unacked(uv_os_fd_t fd) {
  int bytes;
  if (fd < 0 || ioctl(fd, SIOCOUTQ, &bytes) != 0) return -1;
  return bytes;
}

void fluxbp__probe_sample(uv_os_fd_t fd, fluxbp__sample_t *sample) {
  tcp_info_5_4_t info;
  socklen_t len = sizeof info;
  *sample = (fluxbp__sample_t){0};
  if (fd < 0) return;
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0 || len < sizeof info) return;
  *sample = (fluxbp__sample_t){
      .is_known = true,
      .window = info.snd_wnd,
      .unacked_packets = info.unacked,
      .retransmits = info.retransmits,
      .acked_bytes = info.bytes_acked,
      .busy_us = info.busy_time,
      .window_limited_us = info.rwnd_limited,
      .probes = info.probes,
      .last_ack_recv_ms = info.last_ack_recv,
      .last_data_recv_ms = info.last_data_recv,
  };
}

uint64_t fluxbp__probe_kernel_share(void) {
  FILE *file = fopen("/proc/sys/net/ipv4/tcp_mem", "re"); /* in pages: low, pressure, high */
  uint64_t pressure;
  int found = file != NULL ? fscanf(file, "%*u %" SCNu64, &pressure) : 0;
  if (file != NULL) (void) fclose(file);
  return found == 1 ? pressure / KERNEL_SHARE * (uint64_t) sysconf(_SC_PAGESIZE) : UINT64_MAX;
}
