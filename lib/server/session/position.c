/* SPDX-License-Identifier: MIT */
/*
 * position: see the header. What is live is queued for all subscribers before the hub's newest id is another one. So what is
 * said here stands in the client's ring behind everything up to that id.
 */
#include "position.h"

bool client_say_position_if_live(struct client *client) {
  const struct protocol *protocol = client_protocol(client);
  fluxbp_history_range_t range;
  char text[ID_TEXT_BYTES];
  if (!client->has_ids || client->is_closing || fluxbp_conn_is_replaying(client_conn(client))) return false;
  fluxbp_hub_history(client_clients(client)->hub, &range);
  id_format(range.newest_id, text);
  return protocol->say_position != NULL && protocol->say_position(client, text);
}

bool client_say_position(struct client *client) {
  return client->resume == NULL && client_say_position_if_live(client);
}
