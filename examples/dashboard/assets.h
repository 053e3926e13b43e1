/* SPDX-License-Identifier: MIT */
/*
 * assets: the files of the page, which are in the binary. The table is made at build time by embed.cmake.
 */
#ifndef DASHBOARD_ASSETS_H
#define DASHBOARD_ASSETS_H

#include <stddef.h>

struct asset {
  const char *path; /* "/style.css" */
  const char *type; /* "text/css; charset=utf-8" */
  const unsigned char *plain, *gzip;
  size_t plain_length, gzip_length;
};

extern const struct asset assets[];
extern const size_t asset_count;

#endif
