/* SPDX-License-Identifier: MIT */
/*
 * conn_evidence: what can be said of a connection: its statistics, and the record of a verdict.
 */
#ifndef FLUXBP_LIB_CONN_EVIDENCE_H
#define FLUXBP_LIB_CONN_EVIDENCE_H

#include "conn.h"

/* Return the evidence for a verdict that falls now. */
fluxbp_eviction_t fluxbp__conn_record(const fluxbp_conn_t *conn, fluxbp_evict_reason_t reason);

#endif
