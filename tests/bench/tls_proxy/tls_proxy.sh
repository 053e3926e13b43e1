#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# What a delivery over TLS costs a gateway that speaks TLS itself, and one behind HAProxy, which speaks TLS for it: both
# are started here, on ports that are free, with one thread each, and ended. Skipped where there is no haproxy.
#
#   tests/bench/tls_proxy/tls_proxy.sh [--build DIR] [--json FILE] -- [options of bench_tls_proxy]
#
#   --build DIR    where the project was built; default: build/
#   --json FILE    as the benches
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../../support/e2e.sh"
. "$here/../options.sh"
read_options "$@"
PATH=$PATH:/usr/sbin
command -v haproxy >/dev/null && command -v openssl >/dev/null || {
  echo "skipped: there is no haproxy, or no openssl"
  exit 77
}

make_certificate
cat "$certificate" "$key" >"$scratch/both.pem"

start_gateway --tcp-tls 127.0.0.1:0 --tls-cert "$certificate" --tls-key "$key" --log-level error </dev/null
tls_port=$(sed -n 's/.* tcp-tls=127.0.0.1:\([0-9]*\).*/\1/p' "$scratch/out")
echo "gateway $tls_port $port $gateway_pid" >"$scratch/ways"

start_gateway --log-level error </dev/null
cat >"$scratch/haproxy.cfg" <<CONFIG
global
  maxconn 4000
  nbthread 1
  ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256
defaults
  mode tcp
  timeout connect 10s
  timeout client 10m
  timeout server 10m
frontend tls
  bind fd@10 ssl crt $scratch/both.pem
  default_backend gateway
backend gateway
  server gateway 127.0.0.1:$port
CONFIG
# It is given a socket that listens already, on a port that is free.
python3 - "$scratch" >"$scratch/haproxy.log" 2>&1 <<'PYTHON' &
import os, socket, sys
scratch = sys.argv[1]
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(4096)
os.dup2(listener.fileno(), 10)
with open(scratch + "/port.new", "w") as port:
    print(listener.getsockname()[1], file=port)
os.rename(scratch + "/port.new", scratch + "/port")
os.execvp("haproxy", ["haproxy", "-db", "-f", scratch + "/haproxy.cfg"])
PYTHON
proxy_pid=$!
started+=("$proxy_pid")
for ((i = 0; i < 100; i++)); do
  [ ! -e "$scratch/port" ] || break
  kill -0 "$proxy_pid" 2>/dev/null || fail "haproxy did not start: $(cat "$scratch/haproxy.log")"
  sleep 0.1
done
proxy_port=$(cat "$scratch/port")
echo "haproxy+gateway $proxy_port $port $gateway_pid $proxy_pid" >>"$scratch/ways"

status=0
"$build/tests/bench_tls_proxy" "${options[@]}" <"$scratch/ways" || status=$?
kill "${started[@]}" && wait || true
started=()
exit "$status"
