#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# An example program may include public headers (fluxbp/...), headers of its own folder and examples/common; a person
# who writes such a program has nothing else. Prints each other include. The exit status is 1 if there is one.
#
#   public_headers.sh SOURCES
set -euo pipefail
sources=$1
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
  echo "examples/${file#./}:$line includes $header, which is no public header"
  status=1
done < <(grep -rnE --include='*.[ch]' --include='*.cc' '^[[:space:]]*#[[:space:]]*include[[:space:]]*["<]' .)
exit "$status"
