#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# examples/gateway/proxies/haproxy.cfg ends TLS in front of two gateways on one backbone: WebSocket, SSE and lines work through it,
# the gateways see who the clients are, one that stops loses no client's messages, and a client that doesn't read is
# evicted, while HAProxy keeps some of what it should have read.
# shellcheck disable=SC2119
. "$(dirname "${BASH_SOURCE[0]}")/../support/e2e.sh"
. "$(dirname "${BASH_SOURCE[0]}")/../support/nats.sh"
for tool in haproxy openssl; do
  if ! command -v "$tool" >/dev/null; then
    echo "SKIPPED: no $tool"
    exit 77
  fi
done

# come NAME PROTOCOL ADDRESS SOURCE COUNT: a client, whose messages are in $scratch/NAME. Returns when it is subscribed.
come() {
  local i
  python3 "$support/edge_client.py" "$3" "$certificate" "$2" "$4" "$5" >"$scratch/$1" 2>&1 < <(wait_for_end) &
  client_pid=$!
  started+=("$client_pid")
  for ((i = 0; i < 400; i++)); do
    ! grep -q '^ready' "$scratch/$1" || return 0
    kill -0 "$client_pid" 2>/dev/null || fail "client $1: $(cat "$scratch/$1")"
    sleep 0.05
  done
  fail "client $1 was not subscribed within 20 s"
}

wait_for_end() { # of the stalled client's stall
  until [ -e "$scratch/read_now" ] || [ ! -d "$scratch" ]; do sleep 0.1; done
}

start_nats
gateway=(--nats "$nats_url" --proxy-from 127.0.0.1 --http 127.0.0.1:0 --ping 0 --stall 2000 --grace 0 --slots 4096 --ring-bytes 64M --log-level debug)
start_named one "${gateway[@]}"
one=$gateway_pid one_lines=$port one_http=$http
start_named two "${gateway[@]}"
two=$gateway_pid two_lines=$port two_http=$http

make_certificate
cat "$certificate" "$key" >"$scratch/fluxbp.pem"
sed -e "s|/etc/haproxy/fluxbp.pem|$scratch/fluxbp.pem|; s|bind :443|bind fd@10|; s|bind :9443|bind fd@11|" \
  -e "s|127.0.0.1:9001|$one_http|; s|127.0.0.1:9101|$two_http|" \
  -e "s|127.0.0.1:9000|127.0.0.1:$one_lines|; s|127.0.0.1:9100|127.0.0.1:$two_lines|" \
  "$(dirname "${BASH_SOURCE[0]}")/../../examples/gateway/proxies/haproxy.cfg" >"$scratch/haproxy.cfg"
# It is given sockets that listen already, on ports that are free.
python3 - "$scratch" <<'PYTHON' 2>"$scratch/haproxy.log" &
import os, socket, sys
scratch = sys.argv[1]
with open(scratch + "/ports.new", "w") as ports:
    for fd in (10, 11):
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        os.dup2(listener.fileno(), fd, inheritable=True)
        print(listener.getsockname()[1], file=ports)
os.rename(scratch + "/ports.new", scratch + "/ports")
os.execvp("haproxy", ["haproxy", "-db", "-f", scratch + "/haproxy.cfg"])
PYTHON
haproxy_pid=$!
started+=("$haproxy_pid")
for ((i = 0; i < 400; i++)); do
  [ ! -e "$scratch/ports" ] || break
  sleep 0.05
done
{ read -r https && read -r tls_lines; } <"$scratch/ports"
https=127.0.0.1:$https
tls_lines=127.0.0.1:$tls_lines

# Its checks have found the gateways when both have been asked.
kill -0 "$haproxy_pid" || fail "HAProxy: $(cat "$scratch/haproxy.log")"
wait_for_named one 'peer=127.0.0.1'
wait_for_named two 'peer=127.0.0.1'

come websocket ws "$https" 127.0.0.71 50
websocket_pid=$client_pid
come events sse "$https" 127.0.0.72 50
events_pid=$client_pid
come lines lines "$tls_lines" 127.0.0.73 50
lines_pid=$client_pid
for address in 71 72 73; do
  for ((i = 0; i < 400; i++)); do
    ! grep -q "event=connected .*peer=127.0.0.$address:" "$scratch/one" "$scratch/two" || break
    sleep 0.05
  done
  [ "$i" -lt 400 ] || fail "no gateway has seen 127.0.0.$address"
done
seq 1 50 | nats publish fluxbp.news
for pid in "$websocket_pid" "$events_pid" "$lines_pid"; do wait "$pid" || fail "a client had not everything"; done
for client in websocket events lines; do
  [ "$(tail -n +2 "$scratch/$client")" = "$(seq 1 50)" ] || fail "client $client got: $(tail -n 5 "$scratch/$client")"
done

# Administration is refused at the edge, health isn't.
python3 - "$https" "$certificate" <<'PYTHON' || fail "the edge lets in whom it shouldn't"
import http.client, ssl, sys
for path, wanted in (("/metrics", 403), ("/api/v1/stats", 403), ("/livez", 200)):
    connection = http.client.HTTPSConnection("localhost", int(sys.argv[1].rsplit(":")[-1]), timeout=10,
                                             context=ssl.create_default_context(cafile=sys.argv[2]))
    connection.request("GET", path)
    assert connection.getresponse().status == wanted, path
PYTHON

# A client that doesn't read: HAProxy and the kernel keep some, then the gateway sees it stand still.
come stalled stalled "$https" 127.0.0.78 0
come healthy ws "$https" 127.0.0.79 3000
healthy_pid=$client_pid
for ((i = 1; i <= 3000; i++)); do printf '%05d%08190d\n' "$i" 0; done >"$scratch/feed"
nats publish fluxbp.news <"$scratch/feed"
for ((i = 0; i < 600; i++)); do
  ! grep -q 'event=evicted .*peer=127.0.0.78:.*reason=stalled' "$scratch/one" "$scratch/two" || break
  sleep 0.05
done
grep -h 'event=evicted .*peer=127.0.0.78:' "$scratch/one" "$scratch/two" || fail "who stalls behind HAProxy wasn't evicted"
wait "$healthy_pid" || fail "the client beside it: $(tail -c 200 "$scratch/healthy")"
touch "$scratch/read_now"
for ((i = 0; i < 400; i++)); do
  ! grep -q '^bytes' "$scratch/stalled" || break
  sleep 0.05
done
echo "what the stalled client was still given: $(tail -n 1 "$scratch/stalled")"

# One gateway stops: new clients come to the other.
kill -TERM "$one"
wait "$one" || fail "a gateway behind HAProxy exited with $?"
come after ws "$https" 127.0.0.74 1
echo after | nats publish fluxbp.news
wait "$client_pid" || fail "the client after it: $(cat "$scratch/after")"

# Then the other one, and there is none: who asks for events is told when to come back, by 200; others get 503.
kill -TERM "$two"
wait "$two" || fail "the last gateway behind HAProxy exited with $?"
python3 - "$https" "$certificate" <<'PYTHON' || fail "with no gateway up the edge ends an EventSource for good"
import http.client, re, ssl, sys
retries = set()
for path, headers, wanted in [("/sse?topic=news", {}, 200)] * 5 + [("/events", {"Accept": "text/event-stream"}, 200), ("/livez", {}, 503)]:
    connection = http.client.HTTPSConnection("localhost", int(sys.argv[1].rsplit(":")[-1]), timeout=60,
                                             context=ssl.create_default_context(cafile=sys.argv[2]))
    connection.request("GET", path, headers=headers)
    response = connection.getresponse()
    assert response.status == wanted, (path, response.status)
    if wanted == 200:
        assert response.headers["Content-Type"] == "text/event-stream", path
        retries.add(int(re.fullmatch(rb"retry: (\d+)\n\n", response.read())[1]))
assert len(retries) > 1 and min(retries) >= 1000 and max(retries) < 3000, retries
PYTHON
