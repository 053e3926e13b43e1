# SPDX-License-Identifier: MIT
#
# llhttp: the HTTP/1.1 parser of Node.js. The library that pkg-config finds is linked if its version is at least 9, as
# in Debian 13. Otherwise the sources in Debian 12's package node-llhttp (version 8) are compiled and become a part of
# our libraries (FLUXBP_llhttp_OBJECTS); none of our warnings apply to them. If neither is there, no target is added.
# Neither takes a blank in a header's name or a line end without a carriage return: version 9 by default, version 8 in
# strict mode, which has to be the same for the header and the sources.
if(NOT LLHTTP_SOURCE_DIR)
  fluxbp_find_dependency(llhttp GLOBAL)
endif()
if(TARGET fluxbp::dependency_llhttp)
  add_library(llhttp INTERFACE)
  target_link_libraries(llhttp INTERFACE fluxbp::dependency_llhttp)
  return()
endif()

find_path(LLHTTP_SOURCE_DIR llhttp.c PATHS /usr/share/llhttp NO_DEFAULT_PATH
  DOC "Folder of llhttp's api.c, http.c, llhttp.c")
find_path(LLHTTP_INCLUDE_DIR llhttp.h PATHS /usr/share/include/llhttp NO_DEFAULT_PATH DOC "Folder of llhttp.h")
if(NOT LLHTTP_SOURCE_DIR OR NOT LLHTTP_INCLUDE_DIR)
  return()
endif()

add_library(fluxbp_llhttp OBJECT EXCLUDE_FROM_ALL
  ${LLHTTP_SOURCE_DIR}/api.c
  ${LLHTTP_SOURCE_DIR}/http.c
  ${LLHTTP_SOURCE_DIR}/llhttp.c)
target_include_directories(fluxbp_llhttp SYSTEM PUBLIC ${LLHTTP_INCLUDE_DIR})
target_compile_definitions(fluxbp_llhttp PUBLIC LLHTTP_STRICT_MODE=1)
target_compile_options(fluxbp_llhttp PRIVATE -w)
target_link_libraries(fluxbp_llhttp PRIVATE fluxbp_instrumentation)
set_target_properties(fluxbp_llhttp PROPERTIES POSITION_INDEPENDENT_CODE ON C_VISIBILITY_PRESET hidden)
set(FLUXBP_llhttp_OBJECTS fluxbp_llhttp)
add_library(fluxbp::dependency_llhttp INTERFACE IMPORTED GLOBAL)
target_include_directories(fluxbp::dependency_llhttp SYSTEM INTERFACE ${LLHTTP_INCLUDE_DIR})
target_compile_definitions(fluxbp::dependency_llhttp INTERFACE LLHTTP_STRICT_MODE=1)

# For what links llhttp by itself.
add_library(llhttp STATIC EXCLUDE_FROM_ALL $<TARGET_OBJECTS:fluxbp_llhttp>)
target_link_libraries(llhttp PUBLIC fluxbp::dependency_llhttp)
