/* SPDX-License-Identifier: MIT */
/*
 * listener_socket: from an address, a path or a descriptor to a socket that listens.
 *
 * A UNIX socket gets its permissions between bind and listen: before it listens nobody can connect to it, so there is
 * no moment at which it is open to more than it should be.
 */
#include "listener_socket.h"

#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

enum { KIND = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC };

static int last_error(void) {
  return uv_translate_sys_error(errno);
}

static int set_option(int fd, int level, int name, int value) {
  return setsockopt(fd, level, name, &value, sizeof value) == 0 ? 0 : last_error();
}

static socklen_t length_of(const struct sockaddr *address) {
  switch (address->sa_family) {
  case AF_INET:
    return sizeof(struct sockaddr_in);
  case AF_INET6:
    return sizeof(struct sockaddr_in6);
  default:
    return 0;
  }
}

static int bind_tcp(int fd, const struct sockaddr *address, const fluxbp_listener_options_t *options) {
  /* a server that starts anew gets its port although connections of the last one are in TIME_WAIT */
  int err = set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (!err && options->reuse_port) err = set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
  /* both ways: what it is by default is the host's configuration */
  if (!err && address->sa_family == AF_INET6) err = set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, options->ipv6_only != 0);
  fluxbp__probe_prepare_listening(fd);
  if (!err && bind(fd, address, length_of(address)) != 0) err = last_error();
  if (!err && listen(fd, options->backlog) != 0) err = last_error();
  return err;
}

int fluxbp__listener_socket_open_tcp(fluxbp__listener_socket_t *out, const struct sockaddr *address,
                                     const fluxbp_listener_options_t *options) {
  if (address == NULL || length_of(address) == 0) return UV_EINVAL;
  int fd = socket(address->sa_family, KIND, 0);
  if (fd < 0) return last_error();
  int err = bind_tcp(fd, address, options);
  if (err) {
    (void) close(fd);
    return err;
  }
  *out = (fluxbp__listener_socket_t){.fd = fd};
  return 0;
}

/* What became of a connection that was tried: 0 says that somebody listens. */
static int probe(const struct sockaddr_un *address) {
  int fd = socket(AF_UNIX, KIND, 0);
  if (fd < 0) return last_error();
  int err = connect(fd, (const struct sockaddr *) address, sizeof *address) == 0 ? 0 : last_error();
  (void) close(fd);
  return err;
}

/* Remove a socket file that nobody listens on. */
static int remove_stale(const struct sockaddr_un *address) {
  struct stat file;
  struct stat same;
  if (lstat(address->sun_path, &file) != 0) return errno == ENOENT ? 0 : last_error();
  if (!S_ISSOCK(file.st_mode)) return UV_EEXIST;

  int err = probe(address);
  if (err == 0 || err == UV_EAGAIN || err == UV_EPROTOTYPE) return UV_EADDRINUSE; /* its queue is full; not a stream */
  if (err != UV_ECONNREFUSED) return err == UV_ENOENT ? 0 : err;

  /* probing took a moment, in which another server may have put its own file there */
  if (lstat(address->sun_path, &same) != 0) return errno == ENOENT ? 0 : last_error();
  if (same.st_dev != file.st_dev || same.st_ino != file.st_ino) return UV_EADDRINUSE;
  return unlink(address->sun_path) == 0 || errno == ENOENT ? 0 : last_error();
}

static int bind_unix(int fd, const struct sockaddr_un *address) {
  if (bind(fd, (const struct sockaddr *) address, sizeof *address) == 0) return 0;
  if (errno != EADDRINUSE) return last_error();
  int err = remove_stale(address);
  if (!err && bind(fd, (const struct sockaddr *) address, sizeof *address) != 0) err = last_error();
  return err;
}

/* It is bound: from here on there is a file to be removed. */
static int listen_unix(fluxbp__listener_socket_t *made, const fluxbp_listener_options_t *options) {
  struct stat file;
  if (lstat(made->file.sun_path, &file) != 0) return last_error();
  made->device = file.st_dev;
  made->inode = file.st_ino;
  if (options->unix_mode >= 0 && chmod(made->file.sun_path, (mode_t) options->unix_mode) != 0) return last_error();
  return listen(made->fd, options->backlog) == 0 ? 0 : last_error();
}

int fluxbp__listener_socket_open_unix(fluxbp__listener_socket_t *out, const char *path,
                                      const fluxbp_listener_options_t *options) {
  fluxbp__listener_socket_t made = {.file.sun_family = AF_UNIX};
  if (path == NULL || path[0] == '\0') return UV_EINVAL;
  size_t length = strnlen(path, sizeof made.file.sun_path);
  if (length == sizeof made.file.sun_path) return UV_ENAMETOOLONG;
  memcpy(made.file.sun_path, path, length);

  made.fd = socket(AF_UNIX, KIND, 0);
  if (made.fd < 0) return last_error();
  int err = bind_unix(made.fd, &made.file);
  if (err) {
    (void) close(made.fd);
    return err;
  }
  err = listen_unix(&made, options);
  if (err)
    fluxbp__listener_socket_close(&made);
  else
    *out = made;
  return err;
}

static int get_option(int fd, int name, int *value) {
  socklen_t length = sizeof *value;
  return getsockopt(fd, SOL_SOCKET, name, value, &length) == 0 ? 0 : last_error();
}

int fluxbp__listener_socket_adopt(fluxbp__listener_socket_t *out, int fd) {
  int family;
  int type;
  int listens;
  int err = get_option(fd, SO_DOMAIN, &family);
  if (!err) err = get_option(fd, SO_TYPE, &type);
  if (!err) err = get_option(fd, SO_ACCEPTCONN, &listens);
  if (err) return err;
  if (type != SOCK_STREAM || !listens) return UV_EINVAL;
  if (family != AF_INET && family != AF_INET6 && family != AF_UNIX) return UV_EINVAL;
  if (family != AF_UNIX) fluxbp__probe_prepare_listening(fd);
  *out = (fluxbp__listener_socket_t){.fd = fd};
  return 0;
}

static bool is_still_ours(const fluxbp__listener_socket_t *made) {
  struct stat file;
  return lstat(made->file.sun_path, &file) == 0 && file.st_dev == made->device && file.st_ino == made->inode;
}

void fluxbp__listener_socket_close(fluxbp__listener_socket_t *made) {
  /* the file goes first: a peer that connects meanwhile should find none, rather than a socket without a listener */
  if (made->file.sun_path[0] != '\0' && is_still_ours(made)) (void) unlink(made->file.sun_path);
  (void) close(made->fd);
  made->fd = -1;
}
