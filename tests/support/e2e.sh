# SPDX-License-Identifier: MIT
#
# What the end-to-end scripts share: a scratch folder, starting a gateway on a free port, and saying what went wrong.
# Sourced. Everything that was started is ended, by its process id, when the script ends.
set -euo pipefail

scratch=$(mktemp -d)
started=()
gateway_log=log # the file in $scratch

finish() {
  local status=$? pid
  for pid in "${started[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
  if [ "$status" -ne 0 ] && [ "$status" -ne 77 ]; then
    echo "--- the end of the gateway's log:"
    tail -n 20 "$scratch/$gateway_log" 2>/dev/null || true
  fi
  rm -rf "$scratch"
  exit "$status"
}
trap finish EXIT

fail() {
  echo "FAIL: $*"
  exit 1
}

# start_gateway ARG...: standard input is the caller's, and the test may do everything without a token; sets $gateway_pid and $port,
# and with --http 127.0.0.1:0 $http. With FLUXBP_E2E_TLS=1 the gateway speaks TLS, and these are ports of a relay in front of it.
start_gateway() {
  local ready=$scratch/out arguments=(--tcp 127.0.0.1:0 --http off "$@") i
  : >"$scratch/out"
  if [ "${FLUXBP_E2E_TLS-}" = 1 ]; then
    ready=$scratch/ready_tls
    : >"$ready"
    make_certificate
    export SSL_CERT_FILE=$certificate
    for i in "${!arguments[@]}"; do
      case ${arguments[i]} in --tcp | --tcp-length | --http) arguments[i]+=-tls ;; esac
    done
    arguments+=(--tcp off --http off --tls-cert "$certificate" --tls-key "$key")
  fi
  env -u FLUXBP_E2E_TLS "$GATEWAY" --trust-loopback "${arguments[@]}" >"$ready" 2>"$scratch/$gateway_log" <&0 &
  gateway_pid=$!
  started+=("$gateway_pid")
  [ "${FLUXBP_E2E_TLS-}" != 1 ] || start_relay "$ready"
  for ((i = 0; i < 400; i++)); do
    port=$(sed -n 's/^ready tcp=127.0.0.1:\([0-9]*\).*/\1/p' "$scratch/out")
    # shellcheck disable=SC2034
    http=$(sed -n 's/^ready .*http=\(127.0.0.1:[0-9]*\).*/\1/p' "$scratch/out")
    [ -z "$port" ] || return 0
    kill -0 "$gateway_pid" 2>/dev/null || fail "the gateway did not start: $(cat "$scratch/$gateway_log")"
    sleep 0.05
  done
  fail "the gateway was not ready within 20 s"
}

# make_certificate: of localhost and 127.0.0.1, which signs itself; sets $certificate and $key to the files.
make_certificate() {
  certificate=$scratch/tls.pem key=$scratch/tls.key
  [ -e "$certificate" ] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout "$key" -out "$certificate" 2>"$scratch/openssl.log" ||
    fail "$(cat "$scratch/openssl.log")"
}

start_relay() {
  local i
  for ((i = 0; i < 400; i++)); do
    [ ! -s "$1" ] || break
    kill -0 "$gateway_pid" 2>/dev/null || return 0
    sleep 0.05
  done
  python3 "$(dirname "${BASH_SOURCE[0]}")/tls_relay.py" "$(head -n 1 "$1")" >"$scratch/out" 2>"$scratch/relay_log" </dev/null &
  started+=("$!")
}

# stop_gateway: by SIGTERM; its exit code has to be 0.
stop_gateway() {
  local status=0
  kill -TERM "$gateway_pid"
  wait "$gateway_pid" || status=$?
  [ "$status" -eq 0 ] || fail "the gateway exited with $status"
}

# say DESCRIPTOR COMMAND...: what the command prints, to a peer. It may have hung up: what counts is what it has said.
say() {
  (trap '' PIPE && "${@:2}" >&"$1") 2>/dev/null || true
}

# say_lines DESCRIPTOR LINE...
say_lines() {
  say "$1" printf '%s\n' "${@:2}"
}

# expect_exit CODE COMMAND...: what it prints is in $scratch/said.
expect_exit() {
  local want=$1 status=0
  shift
  timeout 30 "$@" >"$scratch/said" 2>&1 </dev/null || status=$?
  [ "$status" -eq "$want" ] || fail "$* exited with $status instead of $want: $(cat "$scratch/said")"
}

expect_said() {
  grep -q -- "$1" "$scratch/said" || fail "it did not say '$1' but: $(cat "$scratch/said")"
}

# wait_for_log PATTERN: until the gateway's log has it.
wait_for_log() {
  local i
  for ((i = 0; i < 600; i++)); do
    ! grep -q -- "$1" "$scratch/$gateway_log" || return 0
    sleep 0.05
  done
  fail "the log never said '$1'"
}

# wait_for_room: until the gateway has seen somebody go, and serves another client on lines.
wait_for_room() {
  local connection line i
  for ((i = 0; i < 400; i++)); do
    line=
    exec {connection}<>"/dev/tcp/127.0.0.1/$port"
    say_lines "$connection" PING
    IFS= read -r -t 20 -u "$connection" line || true
    exec {connection}>&-
    [ "$line" != '+PONG' ] || return 0
    sleep 0.05
  done
  fail "there was no room again: '$line'"
}
