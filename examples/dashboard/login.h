/* SPDX-License-Identifier: MIT */
/*
 * login: what a browser may do, and logging in and out.
 *
 * A login is needed if the dashboard has a token of its own (--login-token), or if a gateway wants a token that the
 * dashboard was not given. Then a browser without a login may do nothing. In the second case browsers show the admin
 * token of a gateway: the dashboard asks the gateway whether the token is right, and watches the gateway with it until
 * the last login ends. Without such a need every browser that reaches the dashboard may watch, and
 * --trust-loopback and --actions say who may act, on loopback addresses alone.
 */
#ifndef DASHBOARD_LOGIN_H
#define DASHBOARD_LOGIN_H

#include <fluxbp/server.h>
#include <stdbool.h>

#define LOGIN_SECONDS (12 * 60 * 60)

struct dashboard;

enum right { RIGHT_NONE, RIGHT_WATCH, RIGHT_ACT }; /* each includes those before */

/** Return the dashboard that a session belongs to. */
struct dashboard *dashboard_of(const fluxbp_session_t *session);

/** Return the serial of the login that a request shows in its cookie, or 0. */
uint64_t login_of(const fluxbp_request_t *request);

/** Return what a request may do. */
enum right login_right_of(const fluxbp_request_t *request);

/** Answer a request that takes more than its right with 401 or 403. @return whether it may be carried out */
bool login_admit(fluxbp_request_t *request, enum right right);

/** Decide whether a browser may have a stream, and note its login. The on_connect of the server. */
fluxbp_decision_t login_decide(fluxbp_session_t *session, const fluxbp_request_t *request);

/** Answer POST /api/login, whose body is {"token":TOKEN}. */
void login_answer(fluxbp_request_t *request);

/** Answer POST /api/logout. */
void login_answer_logout(fluxbp_request_t *request);

/** End logins whose time is over, and the streams of browsers without a login. To be called some times a second. */
void login_tick(struct dashboard *dashboard);

#endif
