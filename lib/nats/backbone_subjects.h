/* SPDX-License-Identifier: MIT */
/*
 * backbone_subjects: topics as subjects of NATS, and back: the subject of "news" is "fluxbp.news" with --subject fluxbp.>.
 */
#ifndef FLUXBP_NATS_BACKBONE_SUBJECTS_H
#define FLUXBP_NATS_BACKBONE_SUBJECTS_H

#include "server/topics.h"

#include <stdbool.h>
#include <stddef.h>

/* Of the prefix with its last dot; and of any subject with its NUL. */
#define SUBJECT_PREFIX_BYTES 128
#define SUBJECT_BYTES (SUBJECT_PREFIX_BYTES + TOPICS_NAME_BYTES + 1)

#define SUBJECT_RULE "a subject of NATS that ends with '.>', such as 'fluxbp.>', in at most 128 letters"

/** Whether a text can be --subject. */
bool subject_is_pattern(const char *text);

/** @return false: the topic has no subject, since a part between its dots is empty */
bool subject_of_topic(const char *pattern, const char *topic, char subject[SUBJECT_BYTES]);

/** @return the topic, in `subject`; or NULL: it is no name of a topic */
const char *topic_of_subject(const char *pattern, const char *subject);

#endif
