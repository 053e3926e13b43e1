/* SPDX-License-Identifier: MIT */
/*
 * input: reads a descriptor of any kind (file, pipe, terminal, socket) without blocking the loop, one piece for each
 * time that it is asked to, so that whoever can't take more simply doesn't ask.
 */
#ifndef GATEWAY_INPUT_H
#define GATEWAY_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#define INPUT_PIECE_BYTES 65536

struct input;

/**
 * `length` bytes at `data`, which stay until the next input_read; 0 is the end of the input, less a libuv error. Never
 * called inside input_read.
 */
typedef void (*input_cb)(struct input *input, const char *data, ssize_t length);

struct input {
  uv_loop_t *loop;
  input_cb on_piece;
  void *user;
  uv_file fd;
  int flags_before; /* of the descriptor, as other processes may share it */
  bool is_open, is_reading;
  bool is_file; /* read in libuv's threads; otherwise it is a stream */
  union {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_pipe_t pipe;
    uv_tty_t tty;
    uv_tcp_t tcp;
  };
  uv_fs_t request;
  char piece[INPUT_PIECE_BYTES];
};

/** @return 0; UV_EBADF (it is closed), UV_EINVAL (of a kind that can't be read), or another libuv error */
int input_open(struct input *input, uv_loop_t *loop, uv_file fd, input_cb on_piece);

/** Ask for the next piece. @return 0 or a libuv error */
int input_read(struct input *input);

/**
 * Read no more; on_piece isn't called again. Standard input itself stays open. May be called at any time, and again.
 * The memory has to stay until the loop has ended.
 */
void input_close(struct input *input);

#endif
