# SPDX-License-Identifier: MIT
#
# Writes the page's files, plain and compressed, as C source: the table of assets.h. A script for the build:
#   cmake -DOUTPUT=assets.c -DGZIP=/bin/gzip -DFILES=a.js;b.css -P embed.cmake
# A file is served under its own name; index.html is "/".
set(types_html "text/html; charset=utf-8")
set(types_css "text/css; charset=utf-8")
set(types_js "text/javascript; charset=utf-8")
set(types_svg "image/svg+xml")

# Appends the bytes of FILE to the source as the array NAME.
function(write_array name file)
  file(READ ${file} hex HEX)
  string(REGEX REPLACE "(................................)" "\\1\n" hex "${hex}")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," hex "${hex}")
  file(APPEND ${OUTPUT}.new "static const unsigned char ${name}[] = {\n${hex}};\n")
endfunction()

file(WRITE ${OUTPUT}.new "/* Made by embed.cmake of the files in examples/dashboard/page. */\n#include \"assets.h\"\n\n")
set(rows "")
set(number 0)
foreach(file ${FILES})
  execute_process(COMMAND ${GZIP} -9 -n -c ${file} OUTPUT_FILE ${OUTPUT}.gz RESULT_VARIABLE failed)
  if(failed)
    message(FATAL_ERROR "gzip failed with ${file}")
  endif()
  write_array(plain_${number} ${file})
  write_array(gzip_${number} ${OUTPUT}.gz)
  get_filename_component(name ${file} NAME)
  string(REGEX MATCH "[a-z]+$" suffix ${name})
  set(path "/${name}")
  if(name STREQUAL "index.html")
    set(path "/")
  endif()
  string(APPEND rows "    {\"${path}\", \"${types_${suffix}}\", plain_${number}, gzip_${number},\n"
    "     sizeof plain_${number}, sizeof gzip_${number}},\n")
  math(EXPR number "${number} + 1")
endforeach()
file(APPEND ${OUTPUT}.new "\nconst struct asset assets[] = {\n${rows}};\n"
  "const size_t asset_count = sizeof assets / sizeof assets[0];\n")
file(REMOVE ${OUTPUT}.gz)
file(RENAME ${OUTPUT}.new ${OUTPUT})
