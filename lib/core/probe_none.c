/* SPDX-License-Identifier: MIT */
/*
 * probe_none: for systems whose kernel isn't asked. Progress is then judged by what the kernel takes alone.
 */
#include "probe.h"

int fluxbp__probe_prepare(uv_tcp_t *tcp) {
  return uv_tcp_nodelay(tcp, 1);
}

void fluxbp__probe_prepare_listening(uv_os_sock_t fd) {
  (void) fd; /* whether connections inherit options isn't known */
}

int64_t fluxbp__probe_unacked(const uv_tcp_t *tcp) {
  (void) tcp;
  return -1;
}

void fluxbp__probe_sample(const uv_tcp_t *tcp, fluxbp__sample_t *sample) {
  (void) tcp;
  *sample = (fluxbp__sample_t){0};
}

uint64_t fluxbp__probe_kernel_share(void) {
  return UINT64_MAX;
}

void fluxbp__probe_close_resets(const uv_tcp_t *tcp) {
  (void) tcp; /* a plain close follows */
}
