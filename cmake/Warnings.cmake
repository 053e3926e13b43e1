# SPDX-License-Identifier: MIT
#
# fluxbp_warnings: the warnings that everything of ours is compiled with. Both gcc 12 and clang 14 know all of them.
add_library(fluxbp_warnings INTERFACE)
target_compile_options(fluxbp_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion
  -Wcast-qual -Wformat=2 -Wimplicit-fallthrough -Wmissing-format-attribute -Wpointer-arith -Wundef -Wvla -Wwrite-strings
  $<$<COMPILE_LANGUAGE:C>:-Wmissing-prototypes>
  $<$<COMPILE_LANGUAGE:C>:-Wold-style-definition>
  $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes>
  $<$<BOOL:${FLUXBP_WERROR}>:-Werror>)
