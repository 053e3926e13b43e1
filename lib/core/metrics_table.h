/* SPDX-License-Identifier: MIT */
/*
 * metrics_table: one row for each field of fluxbp_metrics_t. The rows say how snapshots are added (metrics.c), and
 * what the Prometheus text is (prometheus.c). A field without a row fails the compilation.
 *
 * To add a metric, add the field to fluxbp_metrics_t, a row here, and its lines to tests/unit/metrics.txt.
 *
 * The rows stand in the order of the text. Columns:
 *
 *   field   the field of fluxbp_metrics_t
 *   adding  what the field of several hubs together is:
 *             sum, sum_by_reason  their sum; of each item of an array
 *             largest             the largest of them
 *             any                 1 if it is 1 on one of them
 *             derived             computed from other fields when these have been added
 *   type    counter or gauge
 *   format  how the value is written:
 *             whole      as it is
 *             flag       as it is, 0 or 1
 *             rest       without the values of the rows above that have the same name; 0 if these are more
 *             by_reason  one line for each eviction reason, with the label `reason`
 *             micros     microseconds, as seconds
 *             percent    a percentage, as a ratio
 *             ratio      a ratio
 *   name    the name in the text, without the prefix "fluxbp_"
 *   label   the label of the row, or NULL
 *   help    the description; NULL if the row above has the same name
 */
#ifndef FLUXBP_LIB_METRICS_TABLE_H
#define FLUXBP_LIB_METRICS_TABLE_H

#include "fluxbp/metrics.h"

/* clang-format off */
#define FLUXBP__METRICS(X) \
  X(published, sum, counter, whole, "messages_published_total", NULL, \
    "Messages published on topics or sent to one connection.") \
  X(accepted, sum, counter, whole, "deliveries_accepted_total", NULL, \
    "Deliveries due: messages times their receivers.") \
  X(written, sum, counter, whole, "deliveries_written_total", NULL, \
    "Deliveries handed to the kernel whole.") \
  X(written_at_once, sum, counter, whole, "deliveries_written_at_once_total", NULL, \
    "Deliveries that the kernel took at the first offer.") \
  X(dropped_newest, sum, counter, whole, "messages_dropped_total", "rule=\"drop_newest\"", \
    "Deliveries lost, by overflow rule; by none if the history had forgotten them or a codec refused them.") \
  X(dropped_oldest, sum, counter, whole, "messages_dropped_total", "rule=\"drop_oldest\"", NULL) \
  X(dropped, sum, counter, rest, "messages_dropped_total", "rule=\"none\"", NULL) \
  X(conflated, sum, counter, whole, "deliveries_conflated_total", NULL, \
    "Deliveries replaced by a newer value.") \
  X(discarded, sum, counter, whole, "deliveries_discarded_total", NULL, \
    "Deliveries thrown away with their connection.") \
  X(written_bytes, sum, counter, whole, "written_bytes_total", NULL, \
    "Bytes handed to the kernel.") \
  X(received_bytes, sum, counter, whole, "received_bytes_total", NULL, \
    "Bytes received from clients.") \
  X(writes, sum, counter, whole, "writes_total", NULL, \
    "Attempts to write.") \
  X(refusals, sum, counter, whole, "writes_refused_total", NULL, \
    "Attempts to write that the kernel took in part or not at all.") \
  X(io_uring_writes, sum, counter, whole, "io_uring_writes_total", NULL, \
    "Attempts to write that were made together with others, by io_uring.") \
  X(backpressure_events, sum, counter, whole, "backpressure_events_total", NULL, \
    "Connections that came above their high watermark.") \
  X(ring_full_events, sum, counter, whole, "ring_full_events_total", NULL, \
    "Full rings at which an overflow rule began to act.") \
  X(gaps, sum, counter, whole, "gaps_total", NULL, \
    "Gaps reported.") \
  X(opened, sum, counter, whole, "connections_opened_total", NULL, \
    "Connections started.") \
  X(closed, sum, counter, whole, "connections_closed_total", NULL, \
    "Connections that are gone.") \
  X(history_forgotten_by_topic, largest, counter, whole, "history_forgotten_total", "limit=\"topic\"", \
    "Messages that the history has forgotten, by the limit: of their topic, of their age, of all together.") \
  X(history_forgotten_by_age, largest, counter, whole, "history_forgotten_total", "limit=\"age\"", NULL) \
  X(history_forgotten, largest, counter, rest, "history_forgotten_total", "limit=\"all\"", NULL) \
  X(spared, sum, counter, whole, "verdicts_spared_total", NULL, \
    "Verdicts that the server did not want carried out.") \
  X(unkept, sum, counter, whole, "messages_unkept_total", NULL, \
    "Messages that their state topic had no place for.") \
  X(crowd_slow_events, sum, counter, whole, "crowd_slow_events_total", NULL, \
    "Times that nearly all connections became slow together.") \
  X(input_us, sum, counter, micros, "input_seconds_total", NULL, \
    "Time used for what clients send.") \
  X(input_waits, sum, counter, whole, "input_waits_total", NULL, \
    "Iterations of the loop that had no time for the input of some connections.") \
  X(evictions, sum_by_reason, counter, by_reason, "evictions_total", NULL, \
    "Connections evicted, by reason.") \
  X(shadow_evictions, sum_by_reason, counter, by_reason, "shadow_evictions_total", NULL, \
    "Verdicts of shadow policies, not carried out, by reason.") \
  X(connections, sum, gauge, whole, "connections", NULL, \
    "Connections.") \
  X(topics, largest, gauge, whole, "topics", NULL, \
    "Topics.") \
  X(queued, sum, gauge, whole, "pending_deliveries", NULL, \
    "Deliveries in rings.") \
  X(queued_bytes, sum, gauge, whole, "pending_bytes", NULL, \
    "Bytes in rings that the kernel has not taken.") \
  X(refused, sum, gauge, whole, "connections_refused", NULL, \
    "Connections whose last write the kernel refused.") \
  X(backpressured, sum, gauge, whole, "connections_backpressured", NULL, \
    "Connections that cannot keep up.") \
  X(kernel_bytes, sum, gauge, whole, "kernel_bytes", NULL, \
    "Bytes sent by refused connections and not acknowledged.") \
  X(input_waiting, sum, gauge, whole, "input_waiting_connections", NULL, \
    "Connections that wait for their turn with what they have sent.") \
  X(history_messages, largest, gauge, whole, "history_messages", NULL, \
    "Messages in the history.") \
  X(history_bytes, largest, gauge, whole, "history_bytes", NULL, \
    "Bytes of these messages.") \
  X(longest_turn_us, largest, gauge, micros, "longest_turn_seconds", NULL, \
    "The longest that the loop was kept at once.") \
  X(is_crowd_slow, any, gauge, flag, "crowd_slow", NULL, \
    "1 while nearly all connections are slow together.") \
  X(backpressured_fill_percent, derived, gauge, percent, "backpressured_fill_ratio", NULL, \
    "Mean fill of the rings of backpressured connections.") \
  X(write_success_rate, derived, gauge, ratio, "write_success_ratio", NULL, \
    "Deliveries taken at the first offer, of all written or lost.")
/* clang-format on */

/* Two rows for one field are two enumerators of one name. With that, the sizes add up only if each field has a row. */
#define FLUXBP__METRIC_ID(field, ...) FLUXBP__METRIC_##field,
enum { FLUXBP__METRICS(FLUXBP__METRIC_ID) FLUXBP__METRICS_COUNT };
#define FLUXBP__METRIC_SIZE(field, ...) +sizeof(((fluxbp_metrics_t *) 0)->field)
_Static_assert(0 FLUXBP__METRICS(FLUXBP__METRIC_SIZE) == sizeof(fluxbp_metrics_t),
               "a field of fluxbp_metrics_t has no row");

#endif
