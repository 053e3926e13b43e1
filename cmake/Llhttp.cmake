# SPDX-License-Identifier: MIT
#
# llhttp: the HTTP/1.1 parser of Node.js, as a static library from the sources that Debian ships (package node-llhttp).
# None of our warnings apply to it. Its strict mode takes no blank in a header's name and no line end without a carriage
# return; it has to be the same for the header and the sources.
find_path(LLHTTP_SOURCE_DIR llhttp.c PATHS /usr/share/llhttp NO_DEFAULT_PATH DOC "Folder of llhttp's api.c, http.c, llhttp.c")
find_path(LLHTTP_INCLUDE_DIR llhttp.h PATHS /usr/share/include/llhttp NO_DEFAULT_PATH DOC "Folder of llhttp.h")
if(NOT LLHTTP_SOURCE_DIR OR NOT LLHTTP_INCLUDE_DIR)
  message(FATAL_ERROR "The gateway needs the sources of llhttp: install the Debian package node-llhttp, or set "
    "LLHTTP_SOURCE_DIR and LLHTTP_INCLUDE_DIR, or build without the examples (-DFLUXBP_EXAMPLES=OFF).")
endif()

add_library(llhttp STATIC
  ${LLHTTP_SOURCE_DIR}/api.c
  ${LLHTTP_SOURCE_DIR}/http.c
  ${LLHTTP_SOURCE_DIR}/llhttp.c)
target_include_directories(llhttp SYSTEM PUBLIC ${LLHTTP_INCLUDE_DIR})
target_compile_definitions(llhttp PUBLIC LLHTTP_STRICT_MODE=1)
target_compile_options(llhttp PRIVATE -w)
target_link_libraries(llhttp PRIVATE fluxbp_instrumentation)
