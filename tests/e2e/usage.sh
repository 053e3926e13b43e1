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

# The other sources, and what they come to.
config=$scratch/gateway.conf
printf 'slots = 1000\nhigh = 60 # percent\nstate = prices\n' >"$config"
expect_exit 0 "$GATEWAY" --config "$config" --check-config
expect_said '^configuration is good$'
expect_exit 0 env FLUXBP_CONFIG="$config" FLUXBP_HIGH=70 "$GATEWAY" --print-config --log-level warn
expect_said "^slots = 1000 .*# $config:1\$"
expect_said '^high = 70 .*# FLUXBP_HIGH$'
expect_said '^state = prices '
expect_said '^log-level = warn .*# --log-level$'
expect_said '^low = 25 .*# default$'
cp "$scratch/said" "$scratch/printed.conf"
expect_exit 0 "$GATEWAY" --config "$scratch/printed.conf" --check-config
expect_exit 2 "$GATEWAY" --config "$scratch/none" --check-config
expect_said 'No such file or directory'
expect_exit 2 "$GATEWAY" --tokens "$scratch/none" --check-config
expect_said 'No such file or directory'
printf 'slots = 1000\nhi = 60\n' >"$config"
expect_exit 2 "$GATEWAY" --config "$config" --check-config
expect_said "^gateway: $config:2: 'hi' is no option"
expect_exit 2 env FLUXBP_THREADS=none "$GATEWAY" --check-config
expect_said '^gateway: FLUXBP_THREADS=none: it must be a number'

start_gateway --log-format json </dev/null
stop_gateway
! grep -v '^{"ts":"[^"]*","level":"[a-z]*","event":"[a-z_]*",.*}$' "$scratch/log" || fail "that is no JSON"
grep -q '"event":"listening"' "$scratch/log" || fail "the log is not in JSON"

start_gateway </dev/null
expect_exit 3 "$GATEWAY" --tcp "127.0.0.1:$port"
expect_said 'choose another port with --tcp'
expect_exit 2 "$LOADCLIENT" --target "tcp://127.0.0.1:$port" --mix healthy=0
expect_exit 2 "$LOADCLIENT" --target "udp://127.0.0.1:$port"
stop_gateway
expect_exit 3 "$LOADCLIENT" --target "tcp://127.0.0.1:$port" --until 1
