#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Wrong options, a port in use, an unreachable target: a message that says what to do, and an exit code for scripts.
. "$(dirname "${BASH_SOURCE[0]}")/../support/e2e.sh"

expect_exit 0 "$GATEWAY" --help
expect_said '--stdin'
expect_exit 0 "$GATEWAY" --version
expect_exit 2 "$GATEWAY" --no-such-option
expect_exit 2 "$GATEWAY" --slots 1
expect_said '--slots'
expect_exit 2 "$GATEWAY" --slots many
expect_exit 2 "$GATEWAY" --low 60 --high 50
expect_said '--low 60 must be below --high 50'
expect_exit 2 "$GATEWAY" --overflow sometimes
expect_exit 2 "$GATEWAY" --tcp 127.0.0.1
expect_exit 2 "$GATEWAY" --tcp 127.0.0.1:99999
expect_exit 2 "$GATEWAY" --kernel-bytes much
expect_said 'suffix K, M or G'
expect_exit 2 "$GATEWAY" --once
expect_said 'add --stdin'
expect_exit 2 "$GATEWAY" stray

start_gateway </dev/null
expect_exit 3 "$GATEWAY" --tcp "127.0.0.1:$port"
expect_said 'choose another port with --tcp'
expect_exit 2 "$LOADCLIENT" --target "tcp://127.0.0.1:$port" --mix healthy=0
expect_exit 2 "$LOADCLIENT" --target "udp://127.0.0.1:$port"
stop_gateway
expect_exit 3 "$LOADCLIENT" --target "tcp://127.0.0.1:$port" --until 1
