/* SPDX-License-Identifier: MIT */
/*
 * backbone_subjects: topics as subjects of NATS, and back: the subject of "news" is "fluxbp.news" with --subject
 * fluxbp.>.
 */
#ifndef FLUXBP_NATS_BACKBONE_SUBJECTS_H
#define FLUXBP_NATS_BACKBONE_SUBJECTS_H

#include <fluxbp/nats.h>

#include <stdbool.h>
#include <stddef.h>

/* Of the prefix with its last dot; and of any subject with its NUL. */
#define SUBJECT_PREFIX_BYTES 128
#define SUBJECT_BYTES (SUBJECT_PREFIX_BYTES + FLUXBP_SERVER_TOPIC_BYTES + 1)

/** @return false: the topic has no subject, since a part between its dots is empty */
bool subject_of_topic(const char *pattern, const char *topic, char subject[SUBJECT_BYTES]);

/** @return the topic, in `subject`; or NULL: it is no name of a topic */
const char *topic_of_subject(const char *pattern, const char *subject);

#endif
