/* SPDX-License-Identifier: MIT */
/*
 * option_table: the options of the gateway. A new option is one line of the table.
 */
#ifndef GATEWAY_OPTION_TABLE_H
#define GATEWAY_OPTION_TABLE_H

#include "common/option_table.h"

extern const struct option_table gateway_table;

#endif
