#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# What compression costs and saves: a gateway of one thread for each kind of client, and uWebSockets where its sources are
# given. All are started here, on ports that are free, and ended.
#
#   tests/bench/compression/compression.sh [--build DIR] [--json FILE] -- [options of bench_compression]
#
#   --build DIR    where the project was built; default: build/
#   --json FILE    as the benches
#
# UWEBSOCKETS=DIR in the environment: a folder with the sources of uWebSockets and uSockets, in folders of these names; a
# server on them is compiled, and takes part. UWEBSOCKETS=PROGRAM: it was compiled before.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../../support/e2e.sh"
. "$here/../options.sh"
read_options "$@"

# A kind of client a line of `ways`. A further kind: a name here, and a row in ways.c.
for kind in ws ws-deflate ws-deflate-all ws-json ws-json-deflate sse sse-gzip sse-json sse-json-gzip; do
  compress=256
  [ "$kind" != ws-deflate-all ] || compress=1
  start_gateway --http 127.0.0.1:0 --threads 1 --ping 600000 --compress "$compress" --log-level error </dev/null
  # shellcheck disable=SC2154
  echo "$kind $gateway_pid ${http#*:}" >>"$scratch/ways"
done

if [ -n "${UWEBSOCKETS-}" ]; then
  program=$UWEBSOCKETS
  if [ -d "$UWEBSOCKETS" ]; then
    flags=(-O2 -DLIBUS_NO_SSL -I "$UWEBSOCKETS/uSockets/src" -I "$UWEBSOCKETS/uWebSockets/src")
    for source in "$UWEBSOCKETS"/uSockets/src/*.c "$UWEBSOCKETS"/uSockets/src/eventing/*.c; do
      "${CC:-cc}" "${flags[@]}" -c "$source" -o "$scratch/$(basename "$source").o"
    done
    program=$scratch/uwebsockets
    "${CXX:-c++}" -std=c++20 "${flags[@]}" "$here/uwebsockets_peer.cc" "$scratch"/*.c.o -lz -lpthread -o "$program"
  fi
  for kind in uws uws-deflate uws-prepared; do
    "$program" >"$scratch/$kind" &
    started+=("$!")
    for ((i = 0; i < 200; i++)); do
      [ ! -s "$scratch/$kind" ] || break
      sleep 0.05
    done
    [ -s "$scratch/$kind" ] || fail "uWebSockets did not start"
    echo "$kind ${started[-1]} $(cat "$scratch/$kind")" >>"$scratch/ways"
  done
fi

status=0
"$build/tests/bench_compression" "${options[@]}" <"$scratch/ways" || status=$?
kill "${started[@]}" && wait || true
started=()
exit "$status"
