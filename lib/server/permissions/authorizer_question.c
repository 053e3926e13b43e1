/* SPDX-License-Identifier: MIT */
/*
 * authorizer_question: see the header. No value has a NUL or a line end, so equal lines are equal questions, and no
 * client can add a header of its own.
 */
#include "authorizer_question.h"

#include <stdio.h>
#include <string.h>

static bool has_control_character(const char *value, size_t length) {
  for (size_t i = 0; i < length; i++)
    if (((unsigned char) value[i] < ' ' && value[i] != '\t') || value[i] == '\x7f') return true;
  return false;
}

bool authorizer_lines_add(struct authorizer_lines *lines, const char *name, const char *prefix, const char *value,
                          size_t length) {
  size_t room = sizeof lines->text - lines->length;
  char *line = lines->text + lines->length;
  if (has_control_character(value, length)) return false;
  int head = snprintf(line, room, "%s: %s", name, prefix);
  if (head < 0 || (size_t) head + length >= room) return false;
  memcpy(line + head, value, length);
  line[(size_t) head + length] = '\0';
  lines->length += (size_t) head + length + 1;
  return true;
}

struct authorizer_question *authorizer_question_create(struct memory *memory, const struct secret_hash *hash,
                                                       const struct authorizer_lines *lines) {
  struct authorizer_question *question = memory_alloc(memory, MEMORY_INPUT, sizeof *question + lines->length);
  if (question == NULL) return NULL;
  question->length = lines->length;
  memcpy(question->lines, lines->text, lines->length);
  secret_hash_digest(hash, question->lines, question->length, question->key);
  return question;
}

bool authorizer_question_is(const struct authorizer_question *a, const struct authorizer_question *b) {
  return a->length == b->length && memcmp(a->lines, b->lines, a->length) == 0;
}

void authorizer_question_free(struct authorizer_question *question) {
  memory_free(question);
}

void authorizer_question_end(struct authorizer_question *question, const struct authorizer_answer *answer) {
  struct authorizer_waiter *waiter = question->waiters;
  while (waiter != NULL) {
    struct authorizer_waiter *next = waiter->next; /* the waiter may be freed */
    waiter->answered(waiter, answer);
    waiter = next;
  }
  authorizer_question_free(question);
}
