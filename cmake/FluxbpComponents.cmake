# SPDX-License-Identifier: MIT
#
# Which libraries are built besides the core. Each has a switch with three values. ON: its dependencies have to be
# there. OFF: it is not built, nor is what needs it. AUTO, the default: it is built if its dependencies are found, and
# the configuration says which Debian packages are missing if they are not.

# fluxbp_component(NAME RESULT [REQUIRED] [USES name...] [NEEDS name...]): sets RESULT to whether lib/NAME is to be
# built. USES are the components that it uses, which were asked for before. NEEDS are its third-party libraries.
# REQUIRED: something that is built needs it, so AUTO is like ON.
function(fluxbp_component name result)
  cmake_parse_arguments(PARSE_ARGV 2 arg "REQUIRED" "" "USES;NEEDS")
  string(TOUPPER FLUXBP_${name} switch)
  set(${switch} AUTO CACHE STRING "Build libfluxbp-${name}: ON, OFF, or AUTO: if its dependencies are found")
  set_property(CACHE ${switch} PROPERTY STRINGS AUTO ON OFF)
  set(${result} OFF PARENT_SCOPE)

  set(is_required ${arg_REQUIRED})
  if(NOT ${switch} STREQUAL AUTO)
    if(NOT ${switch})
      message(STATUS "libfluxbp-${name}: off")
      return()
    endif()
    set(is_required ON)
  endif()

  set(reasons)
  foreach(used ${arg_USES})
    if(NOT TARGET fluxbp_${used})
      list(APPEND reasons "libfluxbp-${used}, which isn't built")
    endif()
  endforeach()
  fluxbp_find_dependencies(missing packages ${arg_NEEDS} GLOBAL)
  if(missing)
    list(APPEND reasons "${missing} (Debian: ${packages})")
  endif()
  if(reasons)
    string(REPLACE ";" ", " reasons "${reasons}")
    if(is_required)
      message(FATAL_ERROR "libfluxbp-${name} needs ${reasons}. Install that, or build without it: -D${switch}=OFF")
    endif()
    message(STATUS "libfluxbp-${name}: not built, it needs ${reasons}")
    return()
  endif()
  message(STATUS "libfluxbp-${name}: built")
  set(${result} ON PARENT_SCOPE)
endfunction()
