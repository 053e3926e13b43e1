/* SPDX-License-Identifier: MIT */
/*
 * authorizer_http: see the header. libcurl tells which sockets it waits for, and until when; each socket has a uv_poll,
 * and one uv_timer is for all times. The connections to the backend stay for the next requests.
 */
#include "authorizer_http.h"

#include "server/queue.h"
#include "server/server.h"

#include <fluxbp/server/settings.h>

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(LIBCURL_VERSION_NUM >= 0x075700, "CURLOPT_QUICK_EXIT: without it DNS could hold the loop up");

#define CACHE_CONTROL_BYTES 256

struct authorizer_http {
  fluxbp_server_t *server;
  CURLM *multi;
  uv_timer_t timer;
  struct queue transfers; /* under way */
};

/* A socket that libcurl waits for. */
struct watch {
  uv_poll_t poll;
  curl_socket_t socket;
  struct authorizer_http *http;
};

/* A request under way. */
struct transfer {
  struct queue_link link;
  struct authorizer_http *http;
  CURL *easy;
  struct curl_slist *headers;
  char *body;
  size_t length;
  size_t head_length;
  bool is_too_long;
  char cache_control[CACHE_CONTROL_BYTES];
  char error[CURL_ERROR_SIZE];
  authorizer_http_cb cb;
  void *arg;
};

/* What has come. */

static size_t on_body(char *data, size_t size, size_t count, void *arg) {
  struct transfer *transfer = arg;
  size_t length = size * count;
  transfer->is_too_long = transfer->length + length > AUTHORIZER_BODY_BYTES;
  if (transfer->is_too_long) return CURL_WRITEFUNC_ERROR;
  char *body = memory_resize(&transfer->http->server->memory, MEMORY_INPUT, transfer->body, transfer->length + length);
  if (body == NULL) return CURL_WRITEFUNC_ERROR;
  memcpy(body + transfer->length, data, length);
  transfer->body = body;
  transfer->length += length;
  return length;
}

/* libcurl keeps headers for curl_easy_header, so their number has a limit as well. */
static size_t on_header(char *data, size_t size, size_t count, void *arg) {
  struct transfer *transfer = arg;
  (void) data;
  transfer->head_length += size * count;
  transfer->is_too_long = transfer->head_length > AUTHORIZER_BODY_BYTES;
  return transfer->is_too_long ? CURL_WRITEFUNC_ERROR : size * count;
}

/* All headers of the name, as one list. */
static void read_cache_control(struct transfer *transfer) {
  struct curl_header *header;
  size_t used = 0;
  CURL *easy = transfer->easy;
  for (size_t i = 0; curl_easy_header(easy, "Cache-Control", i, CURLH_HEADER, -1, &header) == CURLHE_OK; i++) {
    size_t length = strlen(header->value);
    if (used + length + 2 > sizeof transfer->cache_control) { /* it can't be known what the rest forbids */
      transfer->cache_control[0] = '\0';
      return;
    }
    memcpy(transfer->cache_control + used, header->value, length);
    used += length;
    transfer->cache_control[used++] = ',';
    transfer->cache_control[used] = '\0';
  }
}

static void free_transfer(struct transfer *transfer) {
  queue_remove(&transfer->link);
  curl_easy_cleanup(transfer->easy);
  curl_slist_free_all(transfer->headers);
  memory_free(transfer->body);
  free(transfer);
}

static void end_transfer(struct transfer *transfer, CURLcode result) {
  struct authorizer_reply reply = {.body = transfer->body != NULL ? transfer->body : "",
                                   .length = transfer->length,
                                   .cache_control = transfer->cache_control};
  if (result == CURLE_OK || transfer->is_too_long)
    (void) curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &reply.status);
  if (transfer->is_too_long)
    reply.problem = "the answer is longer than 64 KiB";
  else if (result != CURLE_OK)
    reply.problem = transfer->error[0] != '\0' ? transfer->error : curl_easy_strerror(result);
  else
    read_cache_control(transfer);
  (void) curl_multi_remove_handle(transfer->http->multi, transfer->easy);
  transfer->cb(transfer->arg, &reply);
  free_transfer(transfer);
}

static void end_transfers(struct authorizer_http *http) {
  const CURLMsg *message;
  int left;
  while ((message = curl_multi_info_read(http->multi, &left)) != NULL) {
    struct transfer *transfer = NULL;
    CURLcode result = message->data.result;
    if (message->msg != CURLMSG_DONE) continue;
    (void) curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **) &transfer);
    end_transfer(transfer, result);
  }
}

/* Sockets and times. */

static void on_ready(uv_poll_t *poll, int status, int events) {
  struct watch *watch = poll->data;
  struct authorizer_http *http = watch->http;
  int flags = (events & UV_READABLE ? CURL_CSELECT_IN : 0) | (events & UV_WRITABLE ? CURL_CSELECT_OUT : 0);
  int running;
  if (status < 0) flags = CURL_CSELECT_ERR;
  (void) curl_multi_socket_action(http->multi, watch->socket, flags, &running); /* may close the watch */
  end_transfers(http);
}

static void on_time(uv_timer_t *timer) {
  struct authorizer_http *http = timer->data;
  int running;
  (void) curl_multi_socket_action(http->multi, CURL_SOCKET_TIMEOUT, 0, &running);
  end_transfers(http);
}

/* libcurl may not be called from here, so "now" is the next iteration. */
static int set_time(CURLM *multi, long timeout_ms, void *arg) {
  struct authorizer_http *http = arg;
  (void) multi;
  if (timeout_ms < 0)
    (void) uv_timer_stop(&http->timer);
  else
    (void) uv_timer_start(&http->timer, on_time, (uint64_t) timeout_ms, 0);
  return 0;
}

static struct watch *begin_watch(struct authorizer_http *http, curl_socket_t socket) {
  struct watch *watch = calloc(1, sizeof *watch);
  int err = watch != NULL ? uv_poll_init_socket(http->server->options.loop, &watch->poll, socket) : UV_ENOMEM;
  if (err != 0) {
    free(watch);
    return NULL;
  }
  watch->poll.data = watch;
  watch->socket = socket;
  watch->http = http;
  http->server->open_handles++;
  (void) curl_multi_assign(http->multi, socket, watch);
  return watch;
}

static void on_watch_closed(uv_handle_t *handle) {
  struct watch *watch = handle->data;
  fluxbp_server_t *server = watch->http->server;
  free(watch);
  server_handle_closed(server);
}

static int set_watch(CURL *easy, curl_socket_t socket, int what, void *arg, void *socket_arg) {
  struct authorizer_http *http = arg;
  struct watch *watch = socket_arg;
  int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
  (void) easy;
  if (what == CURL_POLL_REMOVE) {
    if (watch != NULL) uv_close((uv_handle_t *) &watch->poll, on_watch_closed);
    return 0;
  }
  if (watch == NULL) watch = begin_watch(http, socket);
  return watch != NULL && uv_poll_start(&watch->poll, events, on_ready) == 0 ? 0 : -1;
}

/* Asking. */

static bool add_lines(struct transfer *transfer, const char *lines, size_t length) {
  for (const char *line = lines; line < lines + length; line += strlen(line) + 1) {
    struct curl_slist *longer = curl_slist_append(transfer->headers, line);
    if (longer == NULL) return false;
    transfer->headers = longer;
  }
  return true;
}

/* No option here depends on the environment, and none lets the backend send the request on to another place. */
static bool set_options(struct transfer *transfer) {
  const fluxbp_server_options_t *options = &transfer->http->server->options;
  CURL *easy = transfer->easy;
  return curl_easy_setopt(easy, CURLOPT_URL, options->authorize_url) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_USERAGENT, "libfluxbp-server/" FLUXBP_VERSION_STRING) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long) options->authorize_timeout_ms) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L) == CURLE_OK && /* else giving a look-up up waits for it */
         curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer) == CURLE_OK;
}

int authorizer_http_ask(struct authorizer_http *http, const char *lines, size_t length, authorizer_http_cb cb,
                        void *arg) {
  struct transfer *transfer = calloc(1, sizeof *transfer);
  if (transfer == NULL) return UV_ENOMEM;
  transfer->http = http;
  transfer->cb = cb;
  transfer->arg = arg;
  transfer->easy = curl_easy_init();
  bool is_ready = transfer->easy != NULL && add_lines(transfer, "Accept: application/json", 1) &&
                  add_lines(transfer, lines, length) && set_options(transfer);
  if (!is_ready || curl_multi_add_handle(http->multi, transfer->easy) != CURLM_OK) {
    free_transfer(transfer);
    return UV_ENOMEM;
  }
  queue_append(&http->transfers, &transfer->link);
  return 0;
}

/* Beginning and end. */

struct authorizer_http *authorizer_http_create(fluxbp_server_t *server) {
  struct authorizer_http *http = calloc(1, sizeof *http);
  if (http == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
    free(http);
    return NULL;
  }
  http->multi = curl_multi_init();
  if (http->multi == NULL) {
    curl_global_cleanup();
    free(http);
    return NULL;
  }
  http->server = server;
  queue_init(&http->transfers);
  (void) curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, set_watch);
  (void) curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
  (void) curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, set_time);
  (void) curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
  (void) uv_timer_init(server->options.loop, &http->timer);
  http->timer.data = http;
  server->open_handles++;
  return http;
}

static void on_timer_closed(uv_handle_t *handle) {
  server_handle_closed(((const struct authorizer_http *) handle->data)->server);
}

void authorizer_http_close(struct authorizer_http *http) {
  struct queue_link *first;
  while ((first = queue_first(&http->transfers)) != NULL) {
    struct transfer *transfer = QUEUE_ITEM(first, struct transfer, link);
    (void) curl_multi_remove_handle(http->multi, transfer->easy);
    free_transfer(transfer);
  }
  (void) curl_multi_cleanup(http->multi);
  uv_close((uv_handle_t *) &http->timer, on_timer_closed);
}

void authorizer_http_free(struct authorizer_http *http) {
  if (http == NULL) return;
  curl_global_cleanup();
  free(http);
}

int fluxbp_authorize_url_is_right(const char *text) {
  CURLU *url = curl_url();
  char *scheme = NULL;
  bool is_right = url != NULL && curl_url_set(url, CURLUPART_URL, text, CURLU_DISALLOW_USER) == CURLUE_OK &&
                  curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                  (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);
  curl_free(scheme);
  curl_url_cleanup(url);
  return is_right;
}
