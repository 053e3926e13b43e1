/* SPDX-License-Identifier: MIT */
/*
 * child: fork and a pair of UNIX sockets.
 */
#include "child.h"

#include "bench.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#ifdef __linux__
#include <sys/prctl.h>
#endif

static void run(int channel, pid_t parent, void (*body)(int channel, void *arg), void *arg) {
#ifdef __linux__
  (void) prctl(PR_SET_PDEATHSIG, SIGKILL); /* other children hold the channel, too: it doesn't end with the parent */
#endif
  if (getppid() == parent) body(channel, arg);
  exit(0);
}

void child_start(child_t *child, void (*body)(int channel, void *arg), void *arg) {
  int channels[2];
  pid_t parent = getpid();
  (void) bench_check(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, channels), "socketpair");
  child->pid = bench_check(fork(), "fork");
  child->channel = channels[0];
  (void) close(channels[child->pid == 0 ? 0 : 1]);
  if (child->pid == 0) run(channels[1], parent, body, arg);
}

void child_end(child_t *child) {
  int status;
  (void) shutdown(child->channel, SHUT_RDWR);
  (void) bench_check(waitpid(child->pid, &status, 0), "waitpid");
  (void) close(child->channel);
  if (status != 0) bench_die("a child process", UV_ECANCELED);
}

void child_tell(int channel, const void *words, size_t size) {
  if (send(channel, words, size, MSG_NOSIGNAL) != (ssize_t) size) bench_die("the channel", UV_EPIPE);
}

bool child_hear(int channel, void *words, size_t size) {
  return recv(channel, words, size, 0) == (ssize_t) size;
}

void *child_shared_memory(size_t size) {
  void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) bench_die("memory", UV_ENOMEM);
  return memory;
}
