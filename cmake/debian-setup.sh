# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Sourced by the scripts that a newcomer runs first (tests/run.sh, examples/demo/start.sh). It gives them need(), which
# installs what is missing on Debian and says so. It asks for the thing itself (a command, a library's version), not for
# the package, so what came from elsewhere counts too; where there is no apt it names what to install.
#
# A package that has another name in another release of Debian is written with both, `libllhttp-dev|node-llhttp`: one of
# them that can be used is enough, and the first of them that apt offers is installed.

# What every build of the project takes, for need().
# shellcheck disable=SC2034
build_packages=(gcc g++ libc6-dev make cmake pkg-config libuv1-dev libcmocka-dev
  'libllhttp-dev|node-llhttp' libwslay-dev libssl-dev libjansson-dev libcurl4-openssl-dev zlib1g-dev liburing-dev
  libjs-chart.js libnats-dev)

# What the tests take besides: ip and tc make their networks, spin explores their models, valgrind counts instructions,
# curl and Python are the gateway's clients, jq reads what programs report, Python plays the service manager for one
# that is built with libsystemd, and abidiff compares the interface with that of the baseline.
# shellcheck disable=SC2034
test_packages=(iproute2 spin valgrind curl jq python3 python3-websockets python3-jwt python3-cryptography
  libsystemd-dev nats-server haproxy openssl abigail-tools)

# What tests with a browser take besides, which are skipped without: a browser is large.
# shellcheck disable=SC2034
browser_packages=(python3 chromium chromium-driver libnss3-tools)

# What the test of other proxies takes besides. Each is a web server that begins to serve when it is installed, so they are
# installed for CI only; elsewhere those that aren't there are skipped.
# shellcheck disable=SC2034
proxy_packages=(nginx caddy apache2-bin)

# Can what PACKAGE is there for, or one of ALTERNATIVE|ALTERNATIVE, be used already?
is_usable() {
  local alternative
  case $1 in
    *'|'*)
      for alternative in ${1//|/ }; do
        ! is_usable "$alternative" || return 0
      done
      return 1
      ;;
    gcc) command -v cc ;;
    g++) command -v c++ ;;
    libc6-dev) echo '#include <stdlib.h>' | cc -E - ;;
    cmake) (cd "$(dirname "${BASH_SOURCE[0]}")/.." && cmake --list-presets) ;; # 3.21: reads our presets
    libuv1-dev) pkg-config --exists 'libuv >= 1.44.2' ;;
    libcmocka-dev) pkg-config --exists cmocka ;;
    libllhttp-dev) pkg-config --exists 'libllhttp >= 9' ;; # Debian 13; from 9 on it is strict unless told otherwise
    node-llhttp) [ -e /usr/share/llhttp/llhttp.c ] ;;      # Debian 12
    libwslay-dev) echo '#include <wslay/wslay.h>' | cc -E - ;;
    libjs-chart.js) [ -e /usr/share/javascript/chart.js/chart.min.js ] ;;
    chromium-driver) command -v chromedriver ;;
    libnss3-tools) command -v certutil ;;
    abigail-tools) command -v abidiff && command -v abidw ;;
    libssl-dev) pkg-config --exists 'libssl >= 3.0.0' libcrypto ;;
    libcurl4-openssl-dev) pkg-config --exists 'libcurl >= 7.87.0' ;;
    libjansson-dev) pkg-config --exists jansson ;;
    zlib1g-dev) pkg-config --exists 'zlib >= 1.2.12' ;;
    liburing-dev) pkg-config --exists 'liburing >= 2.3' ;;
    libnats-dev) pkg-config --exists libnats ;;
    nats-server | haproxy | nginx) [ -x "/usr/sbin/$1" ] || command -v "$1" ;;
    apache2-bin) [ -x /usr/sbin/apache2 ] || command -v apache2 ;;
    libsystemd-dev) pkg-config --exists libsystemd ;;
    iproute2) (PATH=$PATH:/usr/sbin:/sbin && command -v ip && command -v tc) ;;
    netcat-openbsd) command -v nc ;;
    python3-websockets) /usr/bin/python3 -c 'import websockets' ;;
    python3-jwt) /usr/bin/python3 -c 'import jwt' ;;
    python3-cryptography) /usr/bin/python3 -c 'import cryptography' ;;
    *) command -v "$1" ;;
  esac >/dev/null 2>&1
}

# missing_of PACKAGE...: sets `missing` to those that cannot be used yet.
missing_of() {
  local package
  missing=()
  for package in "$@"; do
    is_usable "$package" || missing+=("$package")
  done
}

# offered_of PACKAGE...: sets `offered` to what to install for them: of alternatives the first that apt offers.
offered_of() {
  local package
  offered=()
  for package in "$@"; do
    while [[ $package == *'|'* ]] && ! apt-cache show "${package%%|*}" >/dev/null 2>&1; do
      package=${package#*|}
    done
    offered+=("${package%%|*}")
  done
}

# need PACKAGE...: returns when all of them can be used, or ends the script and says what to do.
need() {
  local missing offered as_root=()
  missing_of "$@"
  [ ${#missing[@]} -gt 0 ] || return 0

  if ! command -v apt-get >/dev/null; then
    echo "Please install what these Debian packages hold, and run this again: ${missing[*]}" >&2
    echo "(cmake from 3.21 on, libuv from 1.44.2 on)" >&2
    exit 1
  fi
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
      offered_of "${missing[@]}"
      echo "Please run this as root, then this script again: apt-get install ${offered[*]}" >&2
      exit 1
    fi
    as_root=(sudo)
  fi

  echo "Installing by apt-get${as_root[0]:+ (with sudo)}: ${missing[*]}"
  if ! "${as_root[@]}" apt-get update -qq ||
     ! offered_of "${missing[@]}" ||
     ! "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
       "${offered[@]}" >/dev/null; then
    echo "apt-get could not install them; its message is above." >&2
    exit 1
  fi

  missing_of "${missing[@]}"
  if [ ${#missing[@]} -gt 0 ]; then
    echo "Installed, but missing or too old still: ${missing[*]} (cmake from 3.21 on, libuv from 1.44.2 on)" >&2
    exit 1
  fi
}
