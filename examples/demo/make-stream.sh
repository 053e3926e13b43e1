#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Makes a stream in NATS, for gateways with --jetstream. It is for whoever hasn't NATS's own tool (nats stream add).
#
#   examples/demo/make-stream.sh NAME [SUBJECT [SETTINGS]]
#
#   SUBJECT     as the gateways' --subject; default: fluxbp.>
#   SETTINGS    more of them, as JSON: '{"max_bytes": 10000000000, "num_replicas": 3}'
#
# NATS is the one of $FLUXBP_NATS, as for the gateway: nats://[USER:PASSWORD@ or TOKEN@]HOST:PORT, by default
# nats://127.0.0.1:4222. A stream that is there already with the same settings is left as it is. Exit code 1 and the reason
# if NATS refuses.
set -euo pipefail

fail() {
  echo "make-stream.sh: $*" >&2
  exit 1
}

refuse() {
  printf 'make-stream.sh: %s\nUsage: examples/demo/make-stream.sh NAME [SUBJECT [SETTINGS]]\n' "$1" >&2
  exit 2
}

quoted() { # quoted TEXT: as JSON
  local text=${1//\\/\\\\}
  printf '"%s"' "${text//\"/\\\"}"
}

case ${1-} in
  -h | --help)
    sed -n '4,13s/^# \{0,1\}//p' "$0"
    exit 0
    ;;
esac
name=${1-}
subject=${2:-fluxbp.>}
settings=${3:-}
url=${FLUXBP_NATS:-nats://127.0.0.1:4222}
[ $# -le 3 ] || refuse "there are too many arguments"
[[ $name =~ ^[A-Za-z0-9_-]+$ ]] || refuse "the name of a stream is of letters, digits, - and _, not '$name'"
[[ $subject =~ ^[^[:space:]\"\\]+$ ]] || refuse "'$subject' is no subject: it has no blanks, quotes or backslashes"
[[ -z $settings || $settings =~ ^\{.*\}$ ]] || refuse "SETTINGS are a JSON object, such as '{\"max_msgs\": 1000000}'"
[[ $url =~ ^nats://(([^@/]+)@)?([^:@/]+)(:([0-9]+))?/?$ ]] || refuse "FLUXBP_NATS isn't nats://HOST:PORT"
identity=${BASH_REMATCH[2]}
host=${BASH_REMATCH[3]}
port=${BASH_REMATCH[5]:-4222}

login=
case $identity in
  '') ;;
  *:*) login=", \"user\": $(quoted "${identity%%:*}"), \"pass\": $(quoted "${identity#*:}")" ;;
  *) login=", \"auth_token\": $(quoted "$identity")" ;;
esac
config="\"name\": \"$name\", \"subjects\": [\"$subject\"], \"storage\": \"file\""
settings=${settings#\{}
settings=${settings%\}}
[[ $settings =~ ^[[:space:]]*$ ]] || config+=", $settings"

inbox=_INBOX.$$.${EPOCHREALTIME/[.,]/}
LC_ALL=C # lengths are bytes
{ exec {nats}<>"/dev/tcp/$host/$port"; } 2>/dev/null ||
  fail "nobody listens at $host:$port: start nats-server --jetstream there"
trap '' PIPE # whoever hangs up has said why
send() {
  { printf '%s\r\n' "$@" >&"$nats"; } 2>/dev/null || true
}

# What is asked is sent when NATS has accepted the login: it hangs up after a wrong one, and may meet what is still sent.
send "CONNECT {\"verbose\": true, \"pedantic\": false, \"headers\": true, \"no_responders\": true$login}"
asked=
while IFS= read -r -t 10 line <&"$nats"; do
  line=${line%$'\r'}
  case $line in
    PING) send PONG ;;
    INFO*'"tls_required":true'*) fail "NATS at $host:$port wants TLS, which this script doesn't speak: use nats stream add" ;;
    +OK)
      [ -z "$asked" ] || continue
      asked=yes
      send "SUB $inbox 1" "PUB \$JS.API.STREAM.CREATE.$name $inbox $((${#config} + 2))" "{$config}"
      ;;
    -ERR*) fail "NATS refuses: ${line#-ERR }" ;;
    HMSG*) fail "nobody makes streams there: start nats-server with --jetstream" ;;
    MSG*)
      IFS= read -r -t 10 answer <&"$nats" || fail "NATS at $host:$port hung up in the middle of its answer"
      case $answer in
        *'"error":'*)
          answer=${answer##*'"description":"'}
          fail "NATS refuses: ${answer%%\"*}"
          ;;
      esac
      echo "The stream $name takes $subject."
      exit 0
      ;;
  esac
done
fail "NATS at $host:$port doesn't answer"
