/* SPDX-License-Identifier: MIT */
/*
 * websocket_handshake: whether a request may become a WebSocket (RFC 6455, 4.2.1), and the proof that it was
 * understood. See websocket.h.
 */
#include "websocket.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <string.h>

enum { KEY_BYTES = 24 /* 16 bytes in base64 */ };

static int refuse_handshake(int status, const char *sentence, const char **problem) {
  *problem = sentence;
  return status;
}

static bool is_key(struct http_text key) {
  static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  if (key.length != KEY_BYTES || memcmp(key.data + KEY_BYTES - 2, "==", 2) != 0) return false;
  for (size_t i = 0; i < KEY_BYTES - 2; i++)
    if (memchr(alphabet, key.data[i], sizeof alphabet - 1) == NULL) return false;
  return true;
}

/* @return whether libcrypto could */
static bool answer_key(struct http_text key, char accept[WEBSOCKET_ACCEPT_BYTES]) {
  static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  char text[KEY_BYTES + sizeof guid - 1];
  memcpy(text, key.data, KEY_BYTES);
  memcpy(text + KEY_BYTES, guid, sizeof guid - 1);

  unsigned char digest[SHA_DIGEST_LENGTH];
  if (EVP_Digest(text, sizeof text, digest, NULL, EVP_sha1(), NULL) != 1) return false;
  EVP_EncodeBlock((unsigned char *) accept, digest, sizeof digest);
  return true;
}

int websocket_handshake(const struct http_request *request, char accept[WEBSOCKET_ACCEPT_BYTES], const char **problem) {
  if (strcmp(request->method, "GET") != 0) return refuse_handshake(405, "A WebSocket begins with GET.", problem);
  if (!http_request_has_token(request, "Upgrade", "websocket") ||
      !http_request_has_token(request, "Connection", "Upgrade"))
    return refuse_handshake(400, "A WebSocket is wanted here: send Upgrade: websocket and Connection: Upgrade.",
                            problem);

  struct http_text version = http_request_header(request, "Sec-WebSocket-Version");
  if (version.data == NULL) return refuse_handshake(400, "There is no Sec-WebSocket-Version.", problem);
  if (!http_text_is(version, "13"))
    return refuse_handshake(426, "Only Sec-WebSocket-Version 13 is spoken here.", problem);

  struct http_text key = http_request_header(request, "Sec-WebSocket-Key");
  if (key.data == NULL) return refuse_handshake(400, "There is no Sec-WebSocket-Key.", problem);
  if (!is_key(key)) return refuse_handshake(400, "Sec-WebSocket-Key has to be 16 bytes in base64.", problem);
  if (!answer_key(key, accept)) return refuse_handshake(503, "Out of memory.", problem);
  return 101;
}
