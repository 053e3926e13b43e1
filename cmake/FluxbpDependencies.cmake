# SPDX-License-Identifier: MIT
#
# The third-party libraries, and how each is found. The build includes this file, and so does fluxbpConfig.cmake, beside
# which it is installed. It adds targets and sets variables that begin with FLUXBP_; it reports no error.

# What is known of each library:
#   MODULE, MINIMUM    its package for pkg-config, and the oldest version of it
#   HEADER, LIBRARY    what to look for if there is no pkg-config
#   PACKAGE            the Debian package, for error messages
#   TARGETS            CMake targets that a parent project may have added already; the first one that exists is linked
set(FLUXBP_libuv_MODULE libuv)
set(FLUXBP_libuv_MINIMUM 1.44.2)
set(FLUXBP_libuv_HEADER uv.h)
set(FLUXBP_libuv_LIBRARY uv)
set(FLUXBP_libuv_PACKAGE libuv1-dev)
set(FLUXBP_libuv_TARGETS ${FLUXBP_LIBUV_TARGET} libuv::uv libuv::libuv uv libuv::uv_a uv_a)

set(FLUXBP_uring_MODULE liburing)
set(FLUXBP_uring_MINIMUM 2.3)
set(FLUXBP_uring_HEADER liburing.h)
set(FLUXBP_uring_LIBRARY uring)
set(FLUXBP_uring_PACKAGE liburing-dev)

set(FLUXBP_crypto_MODULE libcrypto)
set(FLUXBP_crypto_HEADER openssl/evp.h)
set(FLUXBP_crypto_LIBRARY crypto)
set(FLUXBP_crypto_PACKAGE libssl-dev)

set(FLUXBP_ssl_MODULE libssl)
set(FLUXBP_ssl_MINIMUM 3.0.0)
set(FLUXBP_ssl_HEADER openssl/ssl.h)
set(FLUXBP_ssl_LIBRARY ssl)
set(FLUXBP_ssl_PACKAGE libssl-dev)
set(FLUXBP_ssl_TARGETS OpenSSL::SSL)

# From 7.87.0 on a look-up of a name can be given up without waiting for it.
set(FLUXBP_curl_MODULE libcurl)
set(FLUXBP_curl_MINIMUM 7.87.0)
set(FLUXBP_curl_HEADER curl/curl.h)
set(FLUXBP_curl_LIBRARY curl)
set(FLUXBP_curl_PACKAGE libcurl4-openssl-dev)
set(FLUXBP_curl_TARGETS CURL::libcurl)

set(FLUXBP_jansson_MODULE jansson)
set(FLUXBP_jansson_HEADER jansson.h)
set(FLUXBP_jansson_LIBRARY jansson)
set(FLUXBP_jansson_PACKAGE libjansson-dev)

# If pkg-config knows no version that is new enough, the build makes llhttp from its sources: Llhttp.cmake.
set(FLUXBP_llhttp_MODULE libllhttp)
set(FLUXBP_llhttp_MINIMUM 9)
set(FLUXBP_llhttp_LIBRARY llhttp)
set(FLUXBP_llhttp_PACKAGE "libllhttp-dev or node-llhttp")

set(FLUXBP_nats_MODULE libnats)
set(FLUXBP_nats_HEADER nats/nats.h)
set(FLUXBP_nats_LIBRARY nats)
set(FLUXBP_nats_PACKAGE libnats-dev)

# Debian's package has no file for pkg-config.
set(FLUXBP_wslay_HEADER wslay/wslay.h)
set(FLUXBP_wslay_LIBRARY wslay)
set(FLUXBP_wslay_PACKAGE libwslay-dev)

# From 1.2.12 on checksums can be combined many times for one look at a length.
set(FLUXBP_zlib_MODULE zlib)
set(FLUXBP_zlib_MINIMUM 1.2.12)
set(FLUXBP_zlib_HEADER zlib.h)
set(FLUXBP_zlib_LIBRARY z)
set(FLUXBP_zlib_PACKAGE zlib1g-dev)
set(FLUXBP_zlib_TARGETS ZLIB::ZLIB)

# fluxbp_find_dependency(NAME [GLOBAL]): adds the target fluxbp::dependency_NAME if the library is found. GLOBAL makes
# the target visible in the whole build.
function(fluxbp_find_dependency name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "GLOBAL" "" "")
  set(dependency fluxbp::dependency_${name})
  if(TARGET ${dependency})
    return()
  endif()
  set(scope)
  if(arg_GLOBAL)
    set(scope GLOBAL)
  endif()

  # A parent project has the library already.
  foreach(target ${FLUXBP_${name}_TARGETS})
    if(TARGET ${target})
      add_library(${dependency} INTERFACE IMPORTED ${scope})
      target_link_libraries(${dependency} INTERFACE ${target})
      return()
    endif()
  endforeach()

  # pkg-config knows the library. If its version is too old, no other one is looked for.
  find_package(PkgConfig QUIET)
  if(PkgConfig_FOUND AND FLUXBP_${name}_MODULE)
    string(TOUPPER FLUXBP_FOUND_${name} found)
    pkg_check_modules(${found} QUIET IMPORTED_TARGET ${scope} ${FLUXBP_${name}_MODULE})
    if(${found}_FOUND)
      if(FLUXBP_${name}_MINIMUM AND ${found}_VERSION VERSION_LESS FLUXBP_${name}_MINIMUM)
        return()
      endif()
      add_library(${dependency} INTERFACE IMPORTED ${scope})
      target_link_libraries(${dependency} INTERFACE PkgConfig::${found})
      return()
    endif()
  endif()

  # The header and the library are in the usual places or in CMAKE_PREFIX_PATH.
  if(FLUXBP_${name}_HEADER)
    find_path(FLUXBP_${name}_INCLUDE_DIR ${FLUXBP_${name}_HEADER})
    find_library(FLUXBP_${name}_LIBRARY_FILE ${FLUXBP_${name}_LIBRARY})
    mark_as_advanced(FLUXBP_${name}_INCLUDE_DIR FLUXBP_${name}_LIBRARY_FILE)
    if(FLUXBP_${name}_INCLUDE_DIR AND FLUXBP_${name}_LIBRARY_FILE)
      add_library(${dependency} INTERFACE IMPORTED ${scope})
      target_include_directories(${dependency} INTERFACE ${FLUXBP_${name}_INCLUDE_DIR})
      target_link_libraries(${dependency} INTERFACE ${FLUXBP_${name}_LIBRARY_FILE})
    endif()
  endif()
endfunction()

# fluxbp_find_dependencies(MISSING PACKAGES NAME... [GLOBAL]): looks for all of them. Sets MISSING to the names of those
# that are not found, with the oldest version that would do, and PACKAGES to their Debian packages.
function(fluxbp_find_dependencies missing_variable packages_variable)
  cmake_parse_arguments(PARSE_ARGV 2 arg "GLOBAL" "" "")
  set(scope)
  if(arg_GLOBAL)
    set(scope GLOBAL)
  endif()
  set(missing)
  set(packages)
  foreach(name ${arg_UNPARSED_ARGUMENTS})
    fluxbp_find_dependency(${name} ${scope})
    if(NOT TARGET fluxbp::dependency_${name})
      set(words ${name})
      if(FLUXBP_${name}_MINIMUM)
        string(APPEND words " ${FLUXBP_${name}_MINIMUM} or newer")
      endif()
      list(APPEND missing ${words})
      list(APPEND packages ${FLUXBP_${name}_PACKAGE})
    endif()
  endforeach()
  list(REMOVE_DUPLICATES packages)
  string(REPLACE ";" ", " missing "${missing}")
  string(REPLACE ";" " " packages "${packages}")
  set(${missing_variable} ${missing} PARENT_SCOPE)
  set(${packages_variable} ${packages} PARENT_SCOPE)
endfunction()
