/* SPDX-License-Identifier: MIT */
/*
 * The version of the headers a program is compiled with. Generated: the number is that of project() in CMakeLists.txt.
 * fluxbp_version() tells the version of the library that is running.
 */
#ifndef FLUXBP_VERSION_H
#define FLUXBP_VERSION_H

#define FLUXBP_VERSION_MAJOR 0
#define FLUXBP_VERSION_MINOR 1
#define FLUXBP_VERSION_PATCH 0
#define FLUXBP_VERSION_STRING "0.1.0"

#endif
