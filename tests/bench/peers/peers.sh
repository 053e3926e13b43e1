#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# What a delivery costs other servers, beside a small one of the library's (fluxbp_relay), the seed's design
# (seed_baseline) and a bare loop of send. Debian's redis-server, nats-server, mosquitto and nginx with
# libnginx-mod-nchan take part where they are installed; each runs on a free port of 127.0.0.1, with one thread where it
# can be told, and is stopped in the end.
#
#   tests/bench/peers/peers.sh [--build DIR] [--only NAMES] -- [options of bench_peers]
#
#   --build DIR    where the project was built; default: build/
#   --only NAMES   those of redis, nats, mosquitto, nginx that are to take part, in one word; '' for none of them
#   --json FILE    as the benches
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=$here/../../../build
only='redis nats mosquitto nginx'
options=()
while [ $# -gt 0 ]; do
  case $1 in
    --build) build=$2 ;;
    --only) only=$2 ;;
    --json) options+=(--json "$2") ;;
    --)
      shift
      options+=("$@")
      break
      ;;
    *)
      sed -n '4,14s/^# \{0,1\}//p' "$0" >&2
      exit 2
      ;;
  esac
  shift 2
done

work=$(mktemp -d)
pids=()
stop() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
  rm -rf "$work"
}
trap stop EXIT
ulimit -n "$(ulimit -H -n)"
PATH=$PATH:/usr/sbin:/sbin

answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# wait_for PID PORT: until that process answers there. Fails when it ends, or does not in ten seconds.
wait_for() {
  local attempt
  for ((attempt = 0; attempt < 100; attempt++)); do
    if answers "$2"; then return 0; fi
    kill -0 "$1" 2>/dev/null || return 1
    sleep 0.1
  done
  return 1
}

# start NAME PROTOCOL COMMAND...: runs it with a free port in place of PORT, and names it for bench_peers. Somebody may be
# quicker at that port; then there is another one.
start() {
  local name=$1 protocol=$2 attempt port pid
  shift 2
  for attempt in 1 2 3 4 5; do
    port=$((20000 + RANDOM % 10000))
    if answers "$port"; then continue; fi
    "${@//PORT/$port}" >"$work/$name.log" 2>&1 &
    pid=$!
    pids+=("$pid")
    if wait_for "$pid" "$port"; then
      echo "$name $protocol $pid $port" >>"$work/servers"
      return 0
    fi
    kill "$pid" 2>/dev/null || true
    unset 'pids[-1]'
    echo "$name: attempt $attempt failed" >>"$work/$name.log"
  done
  echo "$name did not start:" >&2
  tail -n 5 "$work/$name.log" >&2
  return 1
}

# has NAME COMMAND: whether it takes part.
has() {
  case " $only " in *" $1 "*) ;; *) return 1 ;; esac
  command -v "$2" >/dev/null || { echo "$1 is not installed" && return 1; }
}

start fluxbp relay "$build/tests/fluxbp_relay" PORT
start send relay "$build/tests/seed_baseline" PORT bare
start seed relay "$build/tests/seed_baseline" PORT
if has redis redis-server; then
  start redis redis redis-server --port PORT --bind 127.0.0.1 --protected-mode no --save '' --appendonly no --dir "$work"
fi
if has nats nats-server; then
  start nats nats nats-server -a 127.0.0.1 -p PORT
fi
if has mosquitto mosquitto; then
  # its option for a port takes no address, so it gets a file
  # shellcheck disable=SC2016
  start mosquitto mqtt bash -c 'printf "listener $1 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n" >"$2"
    exec mosquitto -c "$2"' mosquitto PORT "$work/mosquitto.conf"
fi
nchan=/usr/lib/nginx/modules/ngx_nchan_module.so
if has nginx nginx && [ -f "$nchan" ]; then
  cat >"$work/nginx.conf" <<END
load_module $nchan;
daemon off;
master_process off;
pid $work/nginx.pid;
error_log $work/nginx.log;
events { worker_connections 8192; }
http {
  access_log off;
  keepalive_requests 100000000;
  keepalive_timeout 1h;
  client_body_temp_path $work/body;
  proxy_temp_path $work/proxy;
  fastcgi_temp_path $work/fastcgi;
  uwsgi_temp_path $work/uwsgi;
  scgi_temp_path $work/scgi;
  server {
    listen 127.0.0.1:LISTEN backlog=4096;
    location = /subscribe {
      nchan_subscriber http-raw-stream;
      nchan_channel_id t;
      nchan_subscriber_first_message newest;
    }
    location = /publish {
      nchan_publisher;
      nchan_channel_id t;
    }
  }
}
END
  # shellcheck disable=SC2016
  start nginx nchan bash -c 'sed "s/LISTEN/$1/" "$2" >"$2.port"; exec nginx -c "$2.port"' nginx PORT "$work/nginx.conf"
fi

"$build/tests/bench_peers" "${options[@]}" <"$work/servers"
