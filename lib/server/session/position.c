/* SPDX-License-Identifier: MIT */
/*
 * position: see the header. What is live is queued for all subscribers before the hub's newest id is another one. So
 * what is said here stands in the client's ring behind everything up to that id.
 */
#include "position.h"

bool session_say_position_if_live(fluxbp_session_t *session) {
  const struct protocol *protocol = session_protocol(session);
  fluxbp_history_range_t range;
  char text[ID_TEXT_BYTES];
  if (!session->has_ids || session->is_closing || fluxbp_conn_is_replaying(fluxbp_session_conn(session))) return false;
  fluxbp_hub_history(session_shard(session)->hub, &range);
  id_format(&fluxbp_session_server(session)->codecs, range.newest_id, text);
  return protocol->say_position != NULL && protocol->say_position(session, text);
}

bool session_say_position(fluxbp_session_t *session) {
  return session->resume == NULL && session_say_position_if_live(session);
}
