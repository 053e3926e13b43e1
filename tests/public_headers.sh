#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# An example program may include public headers (fluxbp/...), headers of its own folder and examples/common; a person
# who writes such a program has nothing else. Prints each other include, and each line of the exceptions that is not
# needed any more. The exit status is 1 if there is one.
#
#   public_headers.sh SOURCES EXCEPTIONS     a line of EXCEPTIONS: the folder in examples/, a blank, the header
set -euo pipefail
sources=$1
exceptions=$(realpath "$2")
status=0

# is_allowed FOLDER HEADER: FOLDER is relative to examples/, and . for examples/ itself.
is_allowed() {
  local folder=$1 header=$2
  case $header in
    fluxbp/version.h) ;; # generated
    fluxbp/*) [ -f "$sources/include/$header" ] ;;
    common/*) [ -f "$sources/examples/$header" ] ;;
    "$folder"/*) [ -f "$sources/examples/$header" ] ;;
    *) [ -f "$sources/examples/$folder/$header" ] ;;
  esac
}

cd "$sources/examples"
used=$(mktemp)
trap 'rm -f "$used"' EXIT
while IFS=: read -r file line include; do
  header=${include#*[\"<]}
  header=${header%%[\">]*}
  folder=${file%/*}
  case $include in
    *'<'*) # a header of the system's, unless our sources have one of that name
      [ -f "$sources/lib/$header" ] || [ -f "$sources/lib/core/$header" ] || [[ $header == fluxbp/* ]] || continue
      ;;
  esac
  ! is_allowed "${folder#./}" "$header" || continue
  if grep -qxF -- "${folder#./} $header" "$exceptions"; then
    echo "${folder#./} $header" >>"$used"
  else
    echo "examples/${file#./}:$line includes $header, which is no public header"
    status=1
  fi
done < <(grep -rnE --include='*.[ch]' --include='*.cc' '^[[:space:]]*#[[:space:]]*include[[:space:]]*["<]' .)

while read -r exception; do
  case $exception in
    '#'* | '') continue ;;
  esac
  if ! grep -qxF -- "$exception" "$used"; then
    echo "$exceptions: '$exception' is not needed any more: remove the line"
    status=1
  fi
done <"$exceptions"
exit "$status"
