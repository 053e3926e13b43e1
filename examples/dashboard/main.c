/* SPDX-License-Identifier: MIT */
/*
 * main: prepares the process and runs the dashboard.
 */
#include "dashboard.h"

#include <signal.h>

int main(int argc, char **argv) {
  static struct dashboard dashboard;
  static struct options options;
  switch (options_parse(&options, argc, argv)) {
  case COMMAND_LINE_DONE:
    return EXIT_CODE_OK;
  case COMMAND_LINE_REFUSED:
    return EXIT_CODE_USAGE;
  case COMMAND_LINE_RUN:
    break;
  }
  /* A write to a browser that has gone must not end the process; libuv doesn't prevent it. */
  signal(SIGPIPE, SIG_IGN);
  return (int) dashboard_run(&dashboard, &options);
}
