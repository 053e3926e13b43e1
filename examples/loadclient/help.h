/* SPDX-License-Identifier: MIT */
/*
 * help: the text of --help.
 */
#ifndef LOADCLIENT_HELP_H
#define LOADCLIENT_HELP_H

#include <stdio.h>

void help_print(FILE *file);

#endif
