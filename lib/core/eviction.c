/* SPDX-License-Identifier: MIT */
/*
 * eviction: the table of the reasons for evictions, and the names of causes and postponements.
 *
 * A new reason is a value at the end of fluxbp_evict_reason_t and a row here. All other code reads this table: codecs
 * and logs by the name, programs that talk to people by the words, the closing of connections by the farewell. Nothing
 * here knows a connection.
 */
#include "eviction.h"

typedef struct reason_row {
  const char *name;
  /* The peer can be expected to read one more message: it gets the codec's farewell and a FIN, and no reset. */
  bool has_farewell;
  const char *words;
} reason_row_t;

static const reason_row_t reasons[FLUXBP_EVICT_REASON_COUNT] = {
    [FLUXBP_EVICT_NONE] = {"none", false, "the client was not evicted"},
    [FLUXBP_EVICT_STALLED] = {"stalled", false, "messages were waiting, and the client took nothing for too long"},
    [FLUXBP_EVICT_SLOW] = {"slow", true, "the client was behind for too long and did not catch up"},
    [FLUXBP_EVICT_LAG] = {"lag", true, "the oldest message that waited for the client became too old"},
    [FLUXBP_EVICT_OVERFLOW] = {"overflow", true, "more messages were waiting for the client than its ring holds"},
    [FLUXBP_EVICT_BUDGET] = {"budget", false, "memory was nearly used up, and messages were waiting for the client"},
    [FLUXBP_EVICT_UNREACHABLE] = {"unreachable", false,
                                  "the client's host left retransmissions or probes without an answer for too long"},
    [FLUXBP_EVICT_SOFT_LIMIT] = {"soft_limit", true,
                                 "more bytes than the soft limit allows were waiting for the client for too long"},
};

static const reason_row_t *row_of(fluxbp_evict_reason_t reason) {
  return &reasons[(unsigned) reason < FLUXBP_EVICT_REASON_COUNT ? reason : FLUXBP_EVICT_NONE];
}

const char *fluxbp_evict_reason_name(fluxbp_evict_reason_t reason) {
  return row_of(reason)->name;
}

const char *fluxbp_evict_reason_words(fluxbp_evict_reason_t reason) {
  return row_of(reason)->words;
}

bool fluxbp__evict_reason_has_farewell(fluxbp_evict_reason_t reason) {
  return row_of(reason)->has_farewell;
}

const char *fluxbp_put_off_name(fluxbp_put_off_t put_off) {
  static const char *const names[FLUXBP_PUT_OFF_COUNT] = {
      [FLUXBP_PUT_OFF_NONE] = "none",     [FLUXBP_PUT_OFF_GRACE] = "grace",   [FLUXBP_PUT_OFF_CROWD] = "crowd",
      [FLUXBP_PUT_OFF_SPARED] = "spared", [FLUXBP_PUT_OFF_SHADOW] = "shadow",
  };
  return names[(unsigned) put_off < FLUXBP_PUT_OFF_COUNT ? put_off : FLUXBP_PUT_OFF_NONE];
}

const char *fluxbp_cause_name(fluxbp_cause_t cause) {
  static const char *const names[FLUXBP_CAUSE_COUNT] = {
      [FLUXBP_CAUSE_UNKNOWN] = "unknown",           [FLUXBP_CAUSE_NOT_READING] = "not reading",
      [FLUXBP_CAUSE_READS_SLOWLY] = "reads slowly", [FLUXBP_CAUSE_NETWORK] = "network",
      [FLUXBP_CAUSE_UNREACHABLE] = "unreachable",
  };
  return names[(unsigned) cause < FLUXBP_CAUSE_COUNT ? cause : FLUXBP_CAUSE_UNKNOWN];
}
