#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Starts the demonstration: installs what is missing, builds, and runs a gateway with a live feed of fifty numbered lines a
# second, and the dashboard, in the background. Harmless to run twice; cleanup.sh beside it stops what this started.
#
#   start.sh [--tls]     --tls: over TLS, too, with a certificate for localhost that is made for that
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

ready_seconds=10
tls=
case ${1-} in
  --tls) tls=yes ;;
  '') ;;
  *)
    echo "Usage: examples/demo/start.sh [--tls]" >&2
    exit 2
    ;;
esac

fail() { # fail NAME MESSAGE: with the end of its log, if there is one
  printf '%s\n' "$2" >&2
  if [ -s "$run/$1.log" ]; then
    echo "The end of $run/$1.log:" >&2
    tail -n 20 "$run/$1.log" >&2
  fi
  examples/demo/cleanup.sh >&2
  exit 1
}

say_how_to_go_on() {
  cat <<TEXT

  The dashboard:                http://$page
  See the feed (Ctrl-C ends):   curl -N http://$http/sse      or     nc ${tcp/:/ }
  Say something on it:          curl -d hello 'http://$http/api/v1/publish?topic=news'
  Slow and stalled clients,     examples/demo/demo.sh
    watched on the dashboard:
  What it promises, measured:   examples/demo/verify.sh
  What the gateway says:        tail -f $run/gateway.log
  Stop it:                      examples/demo/cleanup.sh

TEXT
  [ -e "$certificate" ] || return 0
  cat <<TEXT
  The same over TLS:            curl -N --cacert $certificate https://localhost:${http_tls##*:}/sse
    (a certificate for trying   openssl s_client -quiet -CAfile $certificate -connect ${tcp_tls/127.0.0.1/localhost}
    it out, of localhost)

TEXT
}

# A certificate that signs itself, for a month.
make_certificate() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout "$run/localhost.key" -out "$certificate" 2>"$run/openssl.log" ||
    fail openssl "No certificate could be made."
}

# Five lines each 100 ms, until nobody reads them any more. They are long enough (10 KB a second in all) that the kernel's
# buffers for a client that doesn't read are full within seconds.
feed() {
  local n=0 i rest
  printf -v rest '%170s' ''
  rest=${rest// /.}
  trap '' HUP PIPE # it goes on when the terminal is closed, and ends by the failing printf
  while :; do
    for i in 1 2 3 4 5; do
      n=$((n + 1))
      printf '%d %(%H:%M:%S)T hello from the feed %s\n' "$n" -1 "$rest" || return
    done
    sleep 0.1
  done
}

# wait_until_ready NAME: until it has said so, or is gone.
wait_until_ready() {
  local i
  for ((i = 0; i < ready_seconds * 10; i++)); do
    ! grep -qs '^ready' "$run/$1.out" || return 0
    kill -0 "$(cat "$run/$1.pid")" 2>/dev/null || fail "$1" "The $1 did not start."
    sleep 0.1
  done
  fail "$1" "The $1 was not ready within $ready_seconds seconds."
}

if is_running gateway; then
  echo "The demonstration is running already (process $pid)."
  [ -z "$tls" ] || [ -e "$certificate" ] || echo "It runs without TLS: examples/demo/cleanup.sh, then start.sh --tls" >&2
  say_how_to_go_on
  exit 0
fi

# shellcheck source=cmake/debian-setup.sh
. cmake/debian-setup.sh
need "${build_packages[@]}" netcat-openbsd curl jq ${tls:+openssl}
cmake --preset release
cmake --build --preset release --parallel "$(nproc)" --target gateway dashboard loadclient

mkdir -p "$run"
if [ ! -O "$run" ] || [ -L "$run" ]; then
  echo "$run belongs to somebody else; remove it, or set XDG_RUNTIME_DIR to a folder of yours." >&2
  exit 1
fi
chmod 700 "$run"
rm -f "$run"/gateway.* "$run"/dashboard.* "$run"/localhost.* # of a run that ended without cleanup.sh
tls_options=()
if [ -n "$tls" ]; then
  make_certificate
  tls_options=(--tcp-tls "$tcp_tls" --http-tls "$http_tls" --tls-cert "$certificate" --tls-key "$run/localhost.key")
fi

# setsid: they go on when the terminal is closed. $! is the gateway, the last of the pipeline.
feed </dev/null 2>/dev/null |
  setsid "$gateway" --tcp "$tcp" --http "$http" --trust-loopback --stdin --patience 0 --threads "$(nproc)" "${tls_options[@]}" \
    >"$run/gateway.out" 2>"$run/gateway.log" &
echo $! >"$run/gateway.pid"
wait_until_ready gateway

setsid "$dashboard" --listen "$page" --trust-loopback --gateway "http://$http" \
  </dev/null >"$run/dashboard.out" 2>"$run/dashboard.log" &
echo $! >"$run/dashboard.pid"
wait_until_ready dashboard
say_how_to_go_on
