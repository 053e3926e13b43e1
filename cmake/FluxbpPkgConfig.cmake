# SPDX-License-Identifier: MIT
#
# What pkg-config knows of our libraries. PACKAGE.pc is the shared library, and PACKAGE-static.pc links the archive. If
# the static library is the only one that is installed, PACKAGE.pc links the archive. FluxbpLibrary.cmake includes this
# file.

# Sets REQUIREMENT to what a .pc file says of a third-party library ("libuv >= 1.44.2"), or to nothing if pkg-config
# does not know the library.
function(fluxbp_pkg_config_requirement dependency requirement)
  set(text ${FLUXBP_${dependency}_MODULE})
  if(text AND FLUXBP_${dependency}_MINIMUM)
    string(APPEND text " >= ${FLUXBP_${dependency}_MINIMUM}")
  endif()
  set(${requirement} ${text} PARENT_SCOPE)
endfunction()

# Writes and installs NAME.pc; the variables pc_* of the caller's are its lines.
function(fluxbp_write_pkg_config pc_name)
  string(REPLACE ";" ", " pc_requires "${pc_requires}")
  string(REPLACE ";" " " pc_libs "${pc_libs}")
  string(REPLACE ";" " " pc_libs_private "${pc_libs_private}")
  configure_file(${PROJECT_SOURCE_DIR}/cmake/fluxbp.pc.in ${PROJECT_BINARY_DIR}/${pc_name}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${pc_name}.pc DESTINATION ${FLUXBP_LIBDIR}/pkgconfig)
endfunction()

# The arguments are those of fluxbp_library, lists in quotes.
function(fluxbp_install_pkg_config package pc_description uses public private)
  # The path from the file to the prefix makes an installed tree movable. A folder outside of the prefix has its full
  # path.
  set(pc_prefix ${CMAKE_INSTALL_PREFIX})
  if(NOT IS_ABSOLUTE ${FLUXBP_LIBDIR})
    file(RELATIVE_PATH to_prefix /${FLUXBP_LIBDIR}/pkgconfig /)
    string(REGEX REPLACE "/$" "" to_prefix ${to_prefix})
    set(pc_prefix "\${pcfiledir}/${to_prefix}")
  endif()
  foreach(folder LIBDIR INCLUDEDIR)
    set(pc_${folder} ${FLUXBP_${folder}})
    if(NOT IS_ABSOLUTE ${FLUXBP_${folder}})
      set(pc_${folder} "\${prefix}/${FLUXBP_${folder}}")
    endif()
  endforeach()

  set(packages)
  foreach(name_used ${uses})
    fluxbp_library_names(${name_used} target_used package_used)
    list(APPEND packages ${package_used})
  endforeach()
  set(public_requirements)
  foreach(dependency ${public})
    fluxbp_pkg_config_requirement(${dependency} requirement)
    list(APPEND public_requirements ${requirement})
  endforeach()
  set(private_requirements)
  set(private_libs -pthread)
  set(unknown_libs -pthread)
  foreach(dependency ${private})
    fluxbp_pkg_config_requirement(${dependency} requirement)
    list(APPEND private_requirements ${requirement})
    list(APPEND private_libs -l${FLUXBP_${dependency}_LIBRARY})
    if(NOT requirement)
      list(APPEND unknown_libs -l${FLUXBP_${dependency}_LIBRARY})
    endif()
  endforeach()

  # The private libraries of the shared one are no requirements: pkg-config would refuse a program whose machine has not
  # installed their headers.
  set(suffix)
  if(shared IN_LIST fluxbp_kinds)
    set(pc_requires ${packages} ${public_requirements})
    set(pc_libs "-L\${libdir}" -l${package})
    set(pc_libs_private ${private_libs})
    fluxbp_write_pkg_config(${package})
    set(suffix -static)
  endif()
  if(static IN_LIST fluxbp_kinds)
    list(TRANSFORM packages APPEND "${suffix}")
    set(pc_requires ${packages} ${public_requirements} ${private_requirements})
    set(pc_libs "\${libdir}/${CMAKE_STATIC_LIBRARY_PREFIX}${package}${CMAKE_STATIC_LIBRARY_SUFFIX}" ${unknown_libs})
    set(pc_libs_private)
    fluxbp_write_pkg_config(${package}${suffix})
  endif()
endfunction()
