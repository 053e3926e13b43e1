# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# What the scripts of the benches that start gateways share. Sourced, behind support/e2e.sh, with $here set.

# read_options ARG...: sets $build and $GATEWAY, and $options to the arguments of the bench's program. Of a script that
# lets its caller choose among servers, $only is its default before, and the choice behind. With other arguments it prints the
# comment on top of the script, and exits with 2.
read_options() {
  build=$here/../../../build
  options=()
  while [ $# -gt 0 ]; do
    case $1 in
      --build) build=$2 ;;
      --json) options+=(--json "$2") ;;
      --only) only=$2 ;;
      --)
        shift
        options+=("$@")
        break
        ;;
      *)
        sed -n '4,/^[^#]/{/^#/s/^# \{0,1\}//p}' "$0" >&2
        exit 2
        ;;
    esac
    shift 2
  done
  GATEWAY=${GATEWAY:-$build/examples/gateway}
  ulimit -n "$(ulimit -H -n)"
}
