# SPDX-License-Identifier: MIT
#
# fluxbp_instrumentation: the flags of FLUXBP_SANITIZE and FLUXBP_COVERAGE, for compiling and for linking. Empty when
# neither is asked for.
add_library(fluxbp_instrumentation INTERFACE)

if(FLUXBP_SANITIZE)
  string(REPLACE ";" "," sanitizers "${FLUXBP_SANITIZE}")
  target_compile_options(fluxbp_instrumentation INTERFACE
    -fsanitize=${sanitizers} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(fluxbp_instrumentation INTERFACE -fsanitize=${sanitizers})
endif()

if(FLUXBP_COVERAGE)
  # Counters are updated atomically: the pool's tests run it on many threads.
  target_compile_options(fluxbp_instrumentation INTERFACE --coverage -fprofile-update=atomic)
  target_link_options(fluxbp_instrumentation INTERFACE --coverage)
endif()
