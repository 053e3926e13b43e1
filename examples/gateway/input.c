/* SPDX-License-Identifier: MIT */
/*
 * input: streams are started for one piece and stopped in its callback; files, which epoll doesn't know, are read by a
 * request in libuv's threads.
 */
#include "input.h"

#include <errno.h>
#include <fcntl.h>

static void hand_over(struct input *input, ssize_t length) {
  input->is_reading = false;
  input->on_piece(input, input->piece, length == UV_EOF ? 0 : length);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
  (void) suggested;
  struct input *input = handle->data;
  *buffer = uv_buf_init(input->piece, sizeof input->piece);
}

static void on_stream(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer) {
  (void) buffer;
  if (length == 0) /* EAGAIN */
    return;
  uv_read_stop(stream);
  hand_over(stream->data, length);
}

static void on_file(uv_fs_t *request) {
  struct input *input = request->data;
  ssize_t length = request->result;
  uv_fs_req_cleanup(request);
  if (input->is_open) hand_over(input, length);
}

static int open_stream(struct input *input, uv_handle_type kind) {
  int err;
  switch (kind) {
  case UV_TTY:
    return uv_tty_init(input->loop, &input->tty, input->fd, 0);
  case UV_NAMED_PIPE:
    err = uv_pipe_init(input->loop, &input->pipe, 0);
    if (err == 0 && (err = uv_pipe_open(&input->pipe, input->fd)) != 0) uv_close(&input->handle, NULL);
    return err;
  case UV_TCP:
    err = uv_tcp_init(input->loop, &input->tcp);
    if (err == 0 && (err = uv_tcp_open(&input->tcp, input->fd)) != 0) uv_close(&input->handle, NULL);
    return err;
  default:
    return UV_EINVAL;
  }
}

int input_open(struct input *input, uv_loop_t *loop, uv_file fd, input_cb on_piece) {
  input->loop = loop;
  input->fd = fd;
  input->on_piece = on_piece;
  input->is_reading = false;
  input->flags_before = fcntl(fd, F_GETFL);
  if (input->flags_before == -1) return uv_translate_sys_error(errno);

  uv_handle_type kind = uv_guess_handle(fd);
  input->is_file = kind == UV_FILE;
  if (!input->is_file) {
    int err = open_stream(input, kind);
    if (err != 0) return err;
    input->handle.data = input;
  }
  input->is_open = true;
  return 0;
}

int input_read(struct input *input) {
  if (input->is_reading) return 0;
  int err;
  if (input->is_file) {
    uv_buf_t buffer = uv_buf_init(input->piece, sizeof input->piece);
    input->request.data = input;
    err = uv_fs_read(input->loop, &input->request, input->fd, &buffer, 1, -1, on_file);
  } else {
    err = uv_read_start(&input->stream, on_alloc, on_stream);
  }
  input->is_reading = err == 0;
  return err;
}

void input_close(struct input *input) {
  if (!input->is_open) return;
  input->is_open = false;
  if (input->is_file) {
    if (input->is_reading) uv_cancel((uv_req_t *) &input->request); /* if it has begun, on_file comes all the same */
    return;
  }
  uv_close(&input->handle, NULL);
  fcntl(input->fd, F_SETFL, input->flags_before); /* libuv made it non-blocking */
}
