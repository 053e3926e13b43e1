/* SPDX-License-Identifier: MIT */
/*
 * backbone_keys: keys of state topics as the value of a header of NATS, which is a line whose blanks at both ends are
 * lost: control characters, blanks and '%' are written as %XX, everything else as it is.
 */
#ifndef FLUXBP_NATS_BACKBONE_KEYS_H
#define FLUXBP_NATS_BACKBONE_KEYS_H

#include "server/state_keys.h"

#include <stdbool.h>

/* The longest value of the header, with a NUL. */
#define KEY_HEADER_BYTES (3 * FLUXBP_SERVER_KEY_BYTES + 1)

/** Write a key of 1 to FLUXBP_SERVER_KEY_BYTES bytes. */
void key_encode(const char *key, char header[KEY_HEADER_BYTES]);

/**
 * Read one. A '%' without two hexadecimal digits stands for itself, as other programs may write it.
 *
 * @return false: it is empty or too long, or has a NUL
 */
bool key_decode(const char *header, char key[FLUXBP_SERVER_KEY_BYTES + 1]);

#endif
