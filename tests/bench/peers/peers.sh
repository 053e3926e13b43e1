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
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../../support/e2e.sh"
. "$here/../options.sh"
. "$here/../servers.sh"
only='redis nats mosquitto nginx'
read_options "$@"

# named NAME PROTOCOL COMMAND...: starts it, and names it for bench_peers.
named() {
  local name=$1 protocol=$2
  start "$name" "${@:3}"
  echo "$name $protocol $server_pid $server_port" >>"$scratch/servers"
}

named fluxbp relay "$build/tests/fluxbp_relay" PORT
named send relay "$build/tests/seed_baseline" PORT bare
named seed relay "$build/tests/seed_baseline" PORT
if has redis redis-server; then
  named redis redis "${redis[@]}"
fi
if has nats nats-server; then
  named nats nats "${nats[@]}"
fi
if has mosquitto mosquitto; then
  # its option for a port takes no address, so it gets a file
  # shellcheck disable=SC2016
  named mosquitto mqtt bash -c 'printf "listener $1 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n" >"$2"
    exec mosquitto -c "$2"' mosquitto PORT "$scratch/mosquitto.conf"
fi
nchan=/usr/lib/nginx/modules/ngx_nchan_module.so
if has nginx nginx && [ -f "$nchan" ]; then
  cat >"$scratch/nginx.conf" <<END
load_module $nchan;
daemon off;
master_process off;
pid $scratch/nginx.pid;
error_log $scratch/nginx.log;
events { worker_connections 8192; }
http {
  access_log off;
  keepalive_requests 100000000;
  keepalive_timeout 1h;
  client_body_temp_path $scratch/body;
  proxy_temp_path $scratch/proxy;
  fastcgi_temp_path $scratch/fastcgi;
  uwsgi_temp_path $scratch/uwsgi;
  scgi_temp_path $scratch/scgi;
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
  named nginx nchan bash -c 'sed "s/LISTEN/$1/" "$2" >"$2.port"; exec nginx -c "$2.port"' nginx PORT "$scratch/nginx.conf"
fi

status=0
"$build/tests/bench_peers" "${options[@]}" <"$scratch/servers" || status=$?
kill "${started[@]}" && wait || true
started=()
exit "$status"
