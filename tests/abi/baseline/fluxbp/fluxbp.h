/* SPDX-License-Identifier: MIT */
#ifndef FLUXBP_FLUXBP_H
#define FLUXBP_FLUXBP_H
#include "fluxbp/bus.h"
#include "fluxbp/codec.h"
#include "fluxbp/conn.h"
#include "fluxbp/eviction.h"
#include "fluxbp/export.h"
#include "fluxbp/frame.h"
#include "fluxbp/histogram.h"
#include "fluxbp/hub.h"
#include "fluxbp/input.h"
#include "fluxbp/listener.h"
#include "fluxbp/metrics.h"
#include "fluxbp/msg.h"
#include "fluxbp/pattern.h"
#include "fluxbp/policy.h"
#include "fluxbp/pool.h"
#include "fluxbp/ring.h"
#include "fluxbp/topic.h"
#include "fluxbp/transport.h"
#include "fluxbp/value.h"
#include "fluxbp/version.h"
#include "fluxbp/visits.h"
#include "fluxbp/workers.h"
#ifdef __cplusplus
extern "C" {
#endif
FLUXBP_EXTERN const char *fluxbp_version(void);
#ifdef __cplusplus
}
#endif
#endif
