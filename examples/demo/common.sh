# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Sourced by the scripts of this folder: where things are, and what start.sh has recorded. The processes are known by their
# ids, and by the program that they run, as ids are used again.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# shellcheck disable=SC2034
{
  gateway=$PWD/build/examples/gateway
  dashboard=$PWD/build/examples/dashboard
  loadclient=$PWD/build/examples/loadclient
  run=${XDG_RUNTIME_DIR:-/tmp}/fluxbp-demo-$UID
  tcp=127.0.0.1:9000
  http=127.0.0.1:9001
  page=127.0.0.1:8080
  tcp_tls=127.0.0.1:9442 # these two with start.sh --tls
  http_tls=127.0.0.1:9443
  certificate=$run/localhost.pem
}

# is_running NAME: whether the recorded process is still the program of that name. Sets $pid.
is_running() {
  [ -f "$run/$1.pid" ] || return 1
  pid=$(cat "$run/$1.pid")
  case $(readlink "/proc/$pid/exe" || true) in
    */build/examples/"$1"*) return 0 ;;
  esac
  return 1
}

# stats FILTER: a figure of the gateway's, by jq.
stats() {
  curl -fsS -m 10 "http://$http/api/v1/stats" | jq -r "$1"
}

# need_running: ends the script, with what to do, unless start.sh's gateway is there.
need_running() {
  if ! is_running gateway || [ ! -x "$loadclient" ]; then
    echo "Nothing runs here yet: start it with examples/demo/start.sh" >&2
    exit 1
  fi
}
