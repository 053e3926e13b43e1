#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Compares three lists of names that have to be the same: what the shared library exports, what the linker's version
# script allows it to, and what the public headers declare with FLUXBP_EXTERN. Prints each difference; the exit status
# is 1 when there is one.
#
# The library's SONAME ends with VERSION, and the names that the library exports have the version FLUXBP_VERSION. In the
# archive (- is none) all names that a program sees begin with fluxbp_, so that they are not those of the program.
#
#   exports.sh LIBRARY ARCHIVE VERSION MAP HEADER...
set -eu

library=$1
archive=$2
version=$3
map=$4
shift 4
lists=$(mktemp -d)
trap 'rm -rf "$lists"' EXIT

# Not the version's own name (type A), and names without the version behind them.
nm -D --defined-only "$library" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort -u >"$lists/library"

# Every entry between `global:` and `local:`, also one that is no name of ours.
sed -n '/global:/,/local:/s/^ *\([^ ;]*\);$/\1/p' "$map" | sort -u >"$lists/map"

# Headers without comments and directives, a declaration a line; then the name before the parameters, or the last word
# of a declaration that has none (a constant).
cat "$@" | awk '
  { text = text $0 "\n" }
  END {
    while (match(text, /\/\*|\/\//)) {
      printf "%s", substr(text, 1, RSTART - 1)
      end = substr(text, RSTART, 2) == "/*" ? "*/" : "\n"
      text = substr(text, RSTART + 2)
      text = substr(text, index(text, end) + length(end) - (end == "\n"))
    }
    printf "%s", text
  }' |
  sed '/^ *#/d' | tr '\n' ' ' | tr ';{}' '[\n*]' |
  sed -n 's/.*FLUXBP_EXTERN //p' |
  sed -e 's/.*[^a-z0-9_]\(fluxbp_[a-z0-9_]*\) *(.*/\1/' -e 's/.*[^a-z0-9_]\(fluxbp_[a-z0-9_]*\) *$/\1/' |
  sort -u >"$lists/headers"

status=0
compare() { # what is in list $1 and not in list $2
  missing=$(comm -23 "$lists/$1" "$lists/$2")
  if [ -n "$missing" ]; then
    status=1
    printf 'In the %s, but not in the %s:\n' "$1" "$2"
    printf '%s\n' "$missing" | sed 's/^/  /'
  fi
}
if [ ! -s "$lists/library" ] || [ ! -s "$lists/map" ] || [ ! -s "$lists/headers" ]; then
  printf 'One of the lists is empty: is %s a shared library, and %s a version script?\n' "$library" "$map"
  status=1
fi
compare headers map
compare map headers
compare map library
compare library map
case $(objdump -p "$library" | awk '$1 == "SONAME" { print $2 }') in
  *".so.$version") ;;
  *)
    printf 'The SONAME does not end with .so.%s\n' "$version"
    status=1
    ;;
esac
others=$(nm -D --defined-only "$library" |
  awk -v version="@@FLUXBP_$version" '$2 != "A" && substr($3, index($3, "@")) != version { print $3 }')
if [ -n "$others" ]; then
  status=1
  printf 'Not of the version FLUXBP_%s:\n' "$version"
  printf '%s\n' "$others" | sed 's/^/  /'
fi
visible=
[ "$archive" = - ] || visible=$(nm -g --defined-only "$archive" | awk 'NF == 3 && $3 !~ /^fluxbp_/ { print $3 }')
if [ -n "$visible" ]; then
  status=1
  printf 'Visible in %s:\n' "$archive"
  printf '%s\n' "$visible" | sed 's/^/  /'
fi
exit "$status"
