#!/bin/sh
# SPDX-License-Identifier: MIT
#
# compare.sh finds each change of an interface that breaks programs, and accepts what docs/growth.md allows. Shown on
# the small interface in sample/, with one change at a time.
#
#   compare_test.sh COMPILER INCLUDE_DIR     COMPILER and INCLUDE_DIR as for the library (for export.h)
set -eu

compiler=$1
include=$2
here=$(dirname "$0")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/older/fluxbp" "$work/newer/fluxbp"
cp "$here/sample/fluxbp/fluxbp.h" "$include/fluxbp/export.h" "$work/older/fluxbp/"
cp "$include/fluxbp/export.h" "$work/newer/fluxbp/"
failures=0

# change VERDICT NAME SED...: after these changes of the sample compare.sh says that it VERDICT: passes or breaks.
change() {
  verdict=$1
  name=$2
  shift 2
  cp "$work/older/fluxbp/fluxbp.h" "$work/newer/fluxbp/fluxbp.h"
  for script in "$@"; do
    sed -e "$script" "$work/newer/fluxbp/fluxbp.h" >"$work/changed"
    if cmp -s "$work/changed" "$work/newer/fluxbp/fluxbp.h"; then
      echo "$name: '$script' changes nothing"
      failures=$((failures + 1))
    fi
    mv "$work/changed" "$work/newer/fluxbp/fluxbp.h"
  done
  status=0
  sh "$here/compare.sh" "$compiler" "$work/older" "$work/newer" "$here/sample/growth.md" >"$work/output" 2>&1 || status=$?
  case $status in
    0) found=passes ;;
    1) found=breaks ;;
    77)
      cat "$work/output"
      exit 77
      ;;
    *) found="fails with $status" ;;
  esac
  if [ "$found" = "$verdict" ]; then
    echo "ok: $name: $found"
  else
    echo "WRONG: $name: $found"
    cat "$work/output"
    failures=$((failures + 1))
  fi
}

more='  uint32_t reserved; uint64_t more;'
export=FLUXBP_EXTERN
last="^$export void fluxbp_sample_destroy"
change passes "a comment" 's/#endif/#endif \/* the end *\//'
change passes "a function is added" "s/$last/$export void fluxbp_sample_stop(int now);\n&/"
change passes "a function with a new opaque type is added" \
  "s/$last/$export void fluxbp_other_stop(struct fluxbp_other *other);\n&/" \
  's/^typedef struct fluxbp_sample fluxbp_sample_t;/&\ntypedef struct fluxbp_other fluxbp_other_t;/'
change passes "an option is appended" "s/uint32_t third;/&\n$more/"
change passes "a result is appended" 's/uint64_t total;/&\n  uint64_t more;/'
change passes "a handler is appended" 's/ length);$/&\n  void (*on_end)(fluxbp_sample_t *sample);/'
change passes "an enumerator is appended" 's/FLUXBP_COLOUR_COUNT/FLUXBP_BLUE, &/'

change breaks "two fields change places" 's/uint64_t first;/uint64_t swap;/' 's/uint64_t second;/uint64_t first;/' \
  's/uint64_t swap;/uint64_t second;/'
change breaks "two fields change places, and one is appended" 's/uint64_t first;/uint64_t swap;/' \
  's/uint64_t second;/uint64_t first;/' 's/uint64_t swap;/uint64_t second;/' "s/uint32_t third;/&\n$more/"
change breaks "a field is inserted" 's/uint64_t second;/uint64_t more;\n  &/'
change breaks "a field is removed" '/uint64_t second;/d'
change breaks "the last field is removed" '/uint64_t total;/d'
change breaks "a field is renamed" 's/uint64_t second;/uint64_t other;/'
change breaks "a field gets another type of the same size" 's/uint64_t second;/int64_t second;/'
change breaks "a field is put into the padding at the end" 's/uint32_t third;/&\n  uint32_t fourth;/'
change breaks "an array becomes longer" 's/COLOURS_MAX 8/COLOURS_MAX 9/'
change breaks "a closed struct grows" 's/alloc)(size_t size);/&\n  void (*free)(void *memory);/'
change breaks "a handler has other arguments" 's/, size_t length);$/, uint32_t length);/'
change breaks "a function is removed" '/fluxbp_sample_destroy/d'
change breaks "a constant is removed" '/fluxbp_sample_handlers_none/d'
change breaks "a parameter is added" 's/fluxbp_sample_destroy(fluxbp_sample_t \*sample/&, int now/'
change breaks "a parameter has another type" '/fluxbp_sample_paint/s/fluxbp_colour_t/uint32_t/'
change breaks "a function returns something else" "s/$last/$export int fluxbp_sample_destroy/"
change breaks "an enumerator is inserted" 's/FLUXBP_GREEN/FLUXBP_BLUE, &/'
change breaks "an enumerator is removed" 's/FLUXBP_GREEN, //'
change breaks "a new struct is in no row of growth.md" \
  "s/$last/$export void fluxbp_new_stop(fluxbp_new_t *now);\n&/" \
  "s/^typedef struct fluxbp_sample fluxbp_sample_t;/&\ntypedef struct fluxbp_new { int x; } fluxbp_new_t;/"
change breaks "a struct is returned by value" \
  "s/$last/$export fluxbp_sample_stats_t fluxbp_sample_stats(fluxbp_sample_t *sample);\n&/"
change breaks "a struct that may grow lies inside of another" 's/uint64_t second;/&\n  fluxbp_sample_stats_t stats;/'
change breaks "options do not begin with their size" 's/^  size_t size;/  size_t bytes;/'

[ "$failures" -eq 0 ]
