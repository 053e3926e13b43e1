/* SPDX-License-Identifier: MIT */
/*
 * protocols: the relay of this folder, Redis (RESP2), NATS, MQTT 3.1.1 with QoS 0, and nchan's raw streams over HTTP.
 * The topic is `t` everywhere.
 */
#include "protocols.h"

#include <stdio.h>
#include <string.h>

enum { LENGTH = PROTOCOLS_MESSAGE_BYTES };

static size_t put(char *out, const char *text) {
  size_t len = strlen(text);
  memcpy(out, text, len);
  return len;
}

static size_t put_message(char *out, const char *before, const char *after) {
  size_t len = put(out, before);
  memset(out + len, 'm', LENGTH);
  return len + LENGTH + put(out + len + LENGTH, after);
}

static size_t say_nothing(char *out) {
  (void) out;
  return 0;
}

static size_t relay_subscribe(char *out, size_t index) {
  (void) out;
  (void) index;
  return 0;
}

static size_t relay_publish(char *out) {
  return put_message(out, "", "");
}

static size_t redis_subscribe(char *out, size_t index) {
  (void) index;
  return put(out, "*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\nt\r\n");
}

static size_t redis_publish(char *out) {
  return put_message(out, "*3\r\n$7\r\nPUBLISH\r\n$1\r\nt\r\n$128\r\n", "\r\n");
}

static size_t nats_subscribe(char *out, size_t index) {
  (void) index;
  return put(out, "CONNECT {\"verbose\":false}\r\nSUB t 1\r\nPING\r\n");
}

static size_t nats_introduce(char *out) {
  return put(out, "CONNECT {\"verbose\":false}\r\n");
}

static size_t nats_publish(char *out) {
  return put_message(out, "PUB t 128\r\n", "\r\n");
}

/* CONNECT: a clean session, no keep-alive. Returns its length. */
static size_t mqtt_connect(char *out, const char *client) {
  size_t len = strlen(client);
  static const char head[] = {0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0, 0};
  out[0] = 0x10;
  out[1] = (char) (sizeof head + 1 + len);
  memcpy(out + 2, head, sizeof head);
  out[2 + sizeof head] = (char) len;
  memcpy(out + 3 + sizeof head, client, len);
  return 3 + sizeof head + len;
}

static size_t mqtt_subscribe(char *out, size_t index) {
  static const char subscribe[] = {(char) 0x82, 6, 0, 1, 0, 1, 't', 0};
  char client[24];
  (void) snprintf(client, sizeof client, "s%zu", index);
  size_t len = mqtt_connect(out, client);
  memcpy(out + len, subscribe, sizeof subscribe);
  return len + sizeof subscribe;
}

static size_t mqtt_introduce(char *out) {
  return mqtt_connect(out, "publisher");
}

static size_t mqtt_publish(char *out) {
  static const char head[] = {0x30, (char) 0x83, 1, 0, 1, 't'}; /* 131 bytes follow the length */
  memcpy(out, head, sizeof head);
  memset(out + sizeof head, 'm', LENGTH);
  return sizeof head + LENGTH;
}

static size_t nchan_subscribe(char *out, size_t index) {
  (void) index;
  return put(out, "GET /subscribe HTTP/1.1\r\nHost: localhost\r\n\r\n");
}

static size_t nchan_publish(char *out) {
  return put_message(out, "POST /publish HTTP/1.1\r\nHost: localhost\r\nContent-Length: 128\r\n\r\n", "");
}

static const protocol_t protocols[] = {
    {"relay", relay_subscribe, say_nothing, NULL, relay_publish, LENGTH},
    {"redis", redis_subscribe, say_nothing, ":1\r\n", redis_publish,
     sizeof "*3\r\n$7\r\nmessage\r\n$1\r\nt\r\n$128\r\n\r\n" - 1 + LENGTH},
    {"nats", nats_subscribe, nats_introduce, "PONG\r\n", nats_publish, sizeof "MSG t 1 128\r\n\r\n" - 1 + LENGTH},
    {"mqtt", mqtt_subscribe, mqtt_introduce, "\x90\x03", mqtt_publish, 6 + LENGTH},
    {"nchan", nchan_subscribe, say_nothing, "\r\n\r\n", nchan_publish, LENGTH + 1},
};

const protocol_t *protocols_find(const char *name) {
  for (size_t i = 0; i < sizeof protocols / sizeof protocols[0]; i++)
    if (strcmp(protocols[i].name, name) == 0) return &protocols[i];
  return NULL;
}
